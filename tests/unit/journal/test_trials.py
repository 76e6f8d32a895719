"""Trials and looks are only ever added, each once, however runs are split, resumed, repeated or run side by side."""

import json
import multiprocessing
import sqlite3
import struct
import zlib
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, create_engine, event, inspect

from src.config.data import DataSource
from src.config.runtime import RunConfig
from src.errors import ConfigError, DataError
from src.journal.database import Database
from src.journal.trials import Stretch, Trial, TrialLog, TrialSource, open_trials, stretch_of
from tests.support.random_bars import random_bars

SELECTION = Stretch("SP500", 1_000, 2_000, "folds")
SEALED = Stretch("SP500", 3_000, 4_000, "sealed")
SOURCE = TrialSource("SP500_a", "stage_4", SELECTION, "1d", "whole", seed=7, settings="hash")


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'runs' / 'trials.db'}"


def members(count: int) -> list[Trial]:
    return [Trial(f"g00_m{place}", f"genome {place}") for place in range(count)]


def counted(log: TrialLog) -> int:
    """How many trials another run that looks now finds on the bars of `SELECTION`."""
    return log.look(SEALED, "another run", "gate", replace(SOURCE, run="another run")).trials


def test_a_trial_keeps_everything_that_is_known_of_it(url: str) -> None:
    trial = Trial("g00_m0", "genome", [{"sharpe": 1.5}], {"total": 0.25}, np.array([0.5, -0.25]), 3)
    with TrialLog(url) as log:
        log.add(SOURCE, [trial])
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        connection.row_factory = sqlite3.Row
        (row,) = map(dict, connection.execute("select * from trials"))
    assert struct.unpack("<2f", zlib.decompress(row.pop("returns"))) == (0.5, -0.25)
    assert json.loads(row.pop("folds")) == [{"sharpe": 1.5}]
    assert json.loads(row.pop("metrics")) == {"total": 0.25}
    assert str(row.pop("created_at")).startswith("20")
    assert row == {
        "id": 1, "run": "SP500_a", "stage": "stage_4", "name": "g00_m0", "spec": "genome", "symbol": "SP500",
        "timeframe": "1d", "data_fingerprint": "whole", "first_time": 1_000, "last_time": 2_000, "evaluations": 3,
        "seed": 7, "settings": "hash",
    }  # fmt: skip


def test_a_resumed_run_enters_no_trial_twice(url: str) -> None:
    with TrialLog(url) as log:
        log.add(SOURCE, members(3))
        log.add(SOURCE, members(5))
        log.add(SOURCE, [Trial("refused", "", evaluations=4)])
        assert counted(log) == 9


def test_trials_count_over_runs_seeds_and_settings_on_overlapping_bars_of_a_market(url: str) -> None:
    with TrialLog(url) as log:
        log.add(SOURCE, members(3))
        log.add(replace(SOURCE, run="SP500_b", seed=8), members(2))
        log.add(replace(SOURCE, run="SP500_c", selection=Stretch("SP500", 2_000, 2_500, "later")), members(1))
        log.add(replace(SOURCE, run="SP500_d", selection=Stretch("SP500", 2_001, 2_500, "apart")), members(16))
        coins = replace(SOURCE, run="BTC_e", data_fingerprint="coins", selection=Stretch("BTC", 1_000, 2_000, "folds"))
        log.add(coins, members(32))
        renamed = replace(SOURCE, run="SPX_f", selection=Stretch("SPX", 1_000, 2_000, "folds"))
        log.add(renamed, members(4))  # the same data under another name
        assert counted(log) == 3 + 2 + 1 + 4


@pytest.mark.parametrize(
    ("first", "last", "number"),
    [
        (3_000, 4_000, 2),
        (3_999, 5_000, 2),  # split elsewhere, or with more bars
        (2_000, 3_000, 2),  # one bar in common
        (4_000, 5_000, 2),
        (3_400, 3_500, 2),
        (4_001, 5_000, 1),
        (1_000, 2_999, 1),
    ],
)
def test_looks_at_bars_that_overlap_are_looks_at_the_same_bars(url: str, first: int, last: int, number: int) -> None:
    with TrialLog(url) as log:
        assert log.look(SEALED, "run a", "gate").number == 1
        assert log.look(Stretch("SP500", first, last, "other"), "run b", "gate").number == number
        assert log.look(Stretch("BTC", first, last, "another"), "run b", "gate").number == 1


def test_who_looks_again_finds_the_look_it_had(url: str) -> None:
    with TrialLog(url) as log:
        log.add(SOURCE, members(3))
        other = replace(SOURCE, run="SP500_b")
        log.add(other, members(2))
        assert log.look(SEALED, "SP500_a", "gate", SOURCE) == (1, 2)
        assert log.look(SEALED, "SP500_b", "gate", other) == (2, 3)
        log.add(replace(SOURCE, run="SP500_c"), members(9))
        assert log.look(SEALED, "SP500_c", "gate") == (3, 0)
        assert log.look(SEALED, "SP500_a", "gate", SOURCE) == (1, 2)  # resumed: as if it had never been interrupted
        assert log.look(Stretch("SP500", 3_500, 4_500, "more bars"), "SP500_a", "backtest").number == 1
        assert log.look(SEALED, "SP500_d", "gate").number == 4  # of each of the others it is one, however many it had


def test_parts_of_a_candidate_are_no_looks_of_others(url: str) -> None:
    with TrialLog(url) as log:
        for number, part in enumerate(("step 1", "step 2")):
            log.look(Stretch("SP500", 3_000 + 500 * number, 3_499 + 500 * number, part), part, "gate")
        assert log.look(SEALED, "rolling", "rolling", parts=["step 1", "step 2"]).number == 1
        assert log.look(SEALED, "run b", "gate").number == 4


def look_of(url: str, run: str) -> int:
    with TrialLog(url) as log:
        log.add(replace(SOURCE, run=run), members(1))
        return log.look(SEALED, run, "gate").number


def test_processes_that_look_at_once_wait_for_each_other(url: str) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        numbers = pool.map(partial(look_of, url), [f"run {number}" for number in range(12)], chunksize=1)
    assert sorted(numbers) == list(range(1, 13))
    with TrialLog(url) as log:
        assert counted(log) == 12


@pytest.mark.parametrize("change", ["update {} set symbol = 'X'", "delete from {}"])
@pytest.mark.parametrize("table", ["trials", "looks"])
def test_what_was_entered_can_neither_be_changed_nor_deleted(url: str, table: str, change: str) -> None:
    with TrialLog(url) as log:
        log.add(SOURCE, members(1))
        log.look(SEALED, "run", "gate")
    with (
        closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection,
        pytest.raises(sqlite3.IntegrityError, match=f"{table} are only ever added"),
    ):
        connection.execute(change.format(table))


def test_a_ledger_of_an_earlier_version_is_taken_over_once_and_nothing_is_lost(tmp_path: Path) -> None:
    run, ledger = RunConfig(runs_dir=str(tmp_path)), tmp_path / "sealed_looks.json"
    looks = {"sealed": ["run a", "run b"], "elsewhere": ["run a"]}
    ledger.write_text(json.dumps(looks))
    with open_trials(run) as log:
        assert log.look(SEALED, "run c", "gate").number == 3
        assert log.look(SEALED, "run a", "gate").number == 1
    assert not ledger.exists()
    assert json.loads((tmp_path / "sealed_looks.json.taken_over").read_text()) == looks
    ledger.write_text(json.dumps(looks | {"third": ["run d"]}))  # a kill before the file was renamed, and one look more
    with open_trials(run) as log:
        assert log.look(SEALED, "run e", "gate").number == 4
    with closing(sqlite3.connect(tmp_path / "trials.db")) as connection:
        assert connection.execute("select count(*) from looks where kind = 'ledger'").fetchone() == (4,)


def test_a_damaged_ledger_is_refused_and_left_alone(tmp_path: Path) -> None:
    ledger = tmp_path / "sealed_looks.json"
    ledger.write_text('{"bars": ["run-a"')
    with pytest.raises(DataError, match="is not a ledger of looks"):
        open_trials(RunConfig(runs_dir=str(tmp_path)))
    assert ledger.read_text() == '{"bars": ["run-a"'


def test_the_url_of_the_settings_is_used(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere" / "all.db"
    open_trials(RunConfig(runs_dir=str(tmp_path), database=f"sqlite:///{elsewhere}")).close()
    assert elsewhere.exists()
    assert not (tmp_path / "trials.db").exists()


def test_a_database_that_cannot_be_used_is_refused_with_the_setting_that_names_another(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no database")
    with pytest.raises(ConfigError, match=r"the database of trials sqlite:.*file cannot be used.*`run\.database`"):
        TrialLog(f"sqlite:///{tmp_path / 'file'}")
    with pytest.raises(ConfigError, match="the database of trials"):
        TrialLog("nonsense")


def damage(path: Path, table: str) -> None:
    """Overwrite the pages of a table, but the first one of the file."""
    with closing(sqlite3.connect(path)) as connection:
        size = connection.execute("pragma page_size").fetchone()[0]
        roots = "select rootpage from sqlite_master where tbl_name = ? and type in ('table', 'index')"
        pages = [row[0] for row in connection.execute(roots, [table])]
    with path.open("r+b") as file:
        for page in pages:
            file.seek((page - 1) * size)
            file.write(b"\xff" * size)


def test_damaged_looks_are_refused_when_the_database_is_opened(url: str) -> None:
    with TrialLog(url) as log:
        log.look(SEALED, "run", "gate")
    damage(Path(url.removeprefix("sqlite:///")), "looks")
    with pytest.raises(ConfigError, match=r"the database of trials .*(is damaged|cannot be used)"):
        TrialLog(url)


def test_damaged_trials_are_refused_when_they_are_read(url: str) -> None:
    with TrialLog(url) as log:
        log.add(SOURCE, members(3))
    damage(Path(url.removeprefix("sqlite:///")), "trials")
    with TrialLog(url) as log, pytest.raises(DataError, match="the database of trials cannot be"):
        counted(log)


def test_damaged_trials_are_refused_at_once_where_nobody_closed_the_database(url: str) -> None:
    with TrialLog(url) as log:
        log.add(SOURCE, members(3))
    path = Path(url.removeprefix("sqlite:///"))
    damage(path, "trials")
    path.with_name(f"{path.name}-wal").touch()  # as a process leaves it that was killed
    with pytest.raises(ConfigError, match=r"the database of trials .*(is damaged|cannot be used)"):
        TrialLog(url)


def test_opening_a_database_that_was_closed_does_not_read_all_its_trials(url: str) -> None:
    TrialLog(url).close()
    asked: list[str] = []

    def listen(_c: object, _k: object, statement: str, *_: object) -> None:
        asked.append(statement)

    event.listen(Engine, "before_cursor_execute", listen)
    try:
        TrialLog(url).close()
    finally:
        event.remove(Engine, "before_cursor_execute", listen)
    assert [text for text in asked if "quick_check" in text] == [
        "PRAGMA quick_check(meta)",
        "PRAGMA quick_check(looks)",
    ]


def test_a_stretch_is_known_by_its_times_and_a_generated_path_by_its_prices() -> None:
    bars, other = random_bars(50, seed=0), random_bars(50, seed=1)
    stretch = stretch_of(bars, range(10, 20), DataSource.files)
    assert stretch[1:] == (bars.close_time[10], bars.close_time[19], bars[10:20].fingerprint)
    assert stretch.market == stretch_of(other, range(10, 20), DataSource.files).market
    generated = [stretch_of(each, range(10, 20), DataSource.synthetic).market for each in (bars, bars, other)]
    assert generated[0] == generated[1] != generated[2]


def schema_of(url: str) -> dict[str, Any]:
    found = inspect(create_engine(url))
    return {
        table: (
            [(column["name"], str(column["type"]), column["nullable"]) for column in found.get_columns(table)],
            sorted(tuple(unique["column_names"]) for unique in found.get_unique_constraints(table)),
            sorted(str(index["name"]) for index in found.get_indexes(table)),
        )
        for table in ("trials", "looks")
    }


def test_a_database_brought_up_to_date_has_the_tables_of_a_new_one(tmp_path: Path, url: str) -> None:
    old = tmp_path / "old.db"
    with closing(sqlite3.connect(old)) as connection, connection:
        connection.execute("create table meta (key varchar(64) primary key, value text not null)")
        connection.execute("insert into meta values ('schema_version', '4')")
        connection.execute("create table steps (symbol text, close_time integer, record text)")
        connection.execute("create table bars (symbol text, open_time integer)")
        connection.execute("create table orders (symbol text, client_id text)")
    Database(f"sqlite:///{old}").close()
    TrialLog(url).close()
    assert schema_of(f"sqlite:///{old}") == schema_of(url)
    test_what_was_entered_can_neither_be_changed_nor_deleted(f"sqlite:///{old}", "trials", "delete from {}")
