"""A journal of an older version is brought up to date whole or not at all, and nothing in it is lost."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, inspect, text

from src.errors import ConfigError
from src.journal.journal import Journal
from src.journal.migrations import __main__ as go_back
from src.journal.migrations import rewriting
from src.journal.migrations.migrate import alembic_config, migrate
from src.journal.schema import SCHEMA, SCHEMA_VERSION, JournaledStep
from src.market.bars import Bar
from src.storage import locked

ROOT = Path(__file__).resolve().parents[3]
SYMBOLS = ("BTC/USDT", "ETH/USDT")
STEPS = 5  # of each symbol

# The tables as the first version made them.
VERSION_1 = """
create table meta ("key" varchar(64) not null, value text not null, primary key ("key"));
create table bars (
    symbol varchar(32) not null, open_time bigint not null, open float not null, high float not null,
    low float not null, close float not null, volume float not null, primary key (symbol, open_time)
);
create table steps (
    symbol varchar(32) not null, close_time bigint not null, decided_at bigint not null, status varchar(16) not null,
    record json not null, state json not null, saw json not null, changed json not null, model varchar(64) not null,
    primary key (symbol, close_time)
);
create table orders (
    client_id varchar(18) not null, symbol varchar(32) not null, close_time bigint not null,
    decided_at bigint not null, side varchar(4) not null, amount varchar(40) not null, price varchar(40),
    reference float not null, state varchar(8) not null, sent_at bigint, exchange_id varchar(64), outcome text,
    primary key (client_id)
);
create index ix_orders_symbol on orders (symbol);
create index ix_orders_decided_at on orders (decided_at);
create index ix_orders_state on orders (state);
create table fills (
    symbol varchar(32) not null, trade_id varchar(64) not null, client_id varchar(18) not null, time bigint not null,
    units varchar(40) not null, price varchar(40) not null, fee varchar(40) not null, fee_coin varchar(16) not null,
    booked_at bigint, primary key (symbol, trade_id)
);
create index ix_fills_client_id on fills (client_id);
create index ix_fills_booked_at on fills (booked_at);
create table events (
    id integer not null, time bigint not null, symbol varchar(32) not null, kind varchar(16) not null,
    text text not null, primary key (id)
);
create index ix_events_time on events (time);
create table risk_states (
    symbol varchar(32) not null, state varchar(8) not null, reason text not null, time bigint not null,
    primary key (symbol)
);
insert into meta values ('schema_version', '1'), ('mode', 'real orders');
insert into bars values ('BTC/USDT', 0, 1.0, 2.0, 0.5, 1.5, 10.0);
insert into orders values
    ('st1', 'BTC/USDT', 60, 65, 'buy', '0.10', null, 100.0, 'sending', 66, null, null);
insert into fills values
    ('BTC/USDT', '7', 'st1', 67, '0.30000000000000004', '1.10', '0.001', 'USDT', null);
insert into risk_states values ('BTC/USDT', 'REDUCING', 'why', 1);
"""


def record_of(place: int, version: int) -> dict[str, Any]:
    """A step's record whose floats are read back to the last bit only by who does not touch them.

    The last is that of a margin call, whose fill stands apart since version 6.
    """
    called = place == STEPS - 1
    fill = {"units": 0.1 + place / 3, "price": 7.1, "commission": 0.7, "spread": 0.3, "slippage": 0.1}
    units, price, *costs = fill
    ordered = {"fill_units": fill[units], "fill_price": fill[price]}
    if called and version >= 6:
        ordered = dict.fromkeys(ordered, 0.0)
    record = {
        "close_time": place,
        "target": 0.1 + 0.2,
        "position" if version == 1 else "units": 1e-320 + place / 3,
        **ordered,
        **{name: fill[name] for name in costs},
        "equity": -0.0,
        "terminated": called,
    }
    if version < 6:
        return record
    return record | {f"call_{name}": fill[name] if called else 0.0 for name in fill}


def state_of(place: int, version: int) -> dict[str, Any]:
    """A step's state, in which what a station remembers found a place of its own with version 3."""
    state = {"books": {"accounts.units": 0.1}, "position": "another thing"}
    if version < 3:
        return {**state, "patience": {"target": place / 3, "waited": 4.0}}
    return {**state, "stations": {"decision filter": {"followed": place / 3, "waited": 4.0}}}


def old_journal(path: Path) -> Path:
    rest = ("{}", "[]", "abc")
    rows = [
        (symbol, place, 65, "decided", *map(json.dumps, (record_of(place, 1), state_of(place, 1))), *rest)
        for symbol in SYMBOLS
        for place in range(STEPS)
    ]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("pragma journal_mode = wal")
        connection.executescript(VERSION_1)
        connection.executemany("insert into steps values (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    return path


def contents(path: Path) -> dict[str, list[Any]]:
    with closing(sqlite3.connect(path)) as connection:
        names = [row[0] for row in connection.execute("select name from sqlite_master where type = 'table'")]
        return {name: connection.execute(f"select * from {name}").fetchall() for name in sorted(names)}


def has_column(path: Path, table: str, name: str) -> bool:
    with closing(sqlite3.connect(path)) as connection:
        return name in [row[1] for row in connection.execute(f"pragma table_info({table})")]


def is_of_version(path: Path, version: int) -> bool:
    """Say whether version, every record and state and the fills agree with it; a mixture of two is of neither."""
    found = contents(path)
    if not has_column(path, "fills", "units" if version < 4 else "quantity"):
        return False
    if has_column(path, "bars", "step_ms") != (version >= 7):
        return False
    steps = [(json.loads(row[4]), json.loads(row[5])) for row in found["steps"]]
    wanted = [(record_of(place, version), state_of(place, version)) for _ in SYMBOLS for place in range(STEPS)]
    return ("schema_version", str(version)) in found["meta"] and repr(steps) == repr(wanted)


def chain() -> ScriptDirectory:
    with create_engine("sqlite://").connect() as connection:
        return ScriptDirectory.from_config(alembic_config(connection))


def test_every_version_that_ever_was_leads_to_todays() -> None:
    revisions = list(chain().walk_revisions())
    assert [revision.revision for revision in revisions] == [str(n) for n in range(SCHEMA_VERSION, 0, -1)]
    assert all(Path(revision.path).name.startswith(f"v{revision.revision}_") for revision in revisions)


def migrated(engine: Engine, found: int, wanted: int) -> None:
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        migrate(connection, found, wanted)


def from_nothing(engine: Engine) -> None:
    """Make a database by all revisions, the first included."""
    with engine.begin() as connection:
        command.upgrade(alembic_config(connection), "head")


def description(engine: Engine) -> dict[str, Any]:
    """What a database's tables are, but for the order of their columns and indexes."""
    found = inspect(engine)
    return {
        name: (
            {column["name"]: (str(column["type"]), column["nullable"]) for column in found.get_columns(name)},
            found.get_pk_constraint(name)["constrained_columns"],
            sorted(unique["column_names"] for unique in found.get_unique_constraints(name)),
            sorted((index["name"] or "", index["column_names"]) for index in found.get_indexes(name)),
        )
        for name in found.get_table_names()
    }


def test_all_revisions_together_make_the_tables_of_a_new_journal(tmp_path: Path) -> None:
    by_revisions, new = (create_engine(f"sqlite:///{tmp_path / name}.db") for name in ("revisions", "new"))
    from_nothing(by_revisions)
    Journal(str(new.url)).close()
    with by_revisions.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), SCHEMA) == []
    assert description(by_revisions) == description(new)
    triggers = text("select name, sql from sqlite_master where type = 'trigger' order by name")
    with by_revisions.connect() as ours, new.connect() as theirs:
        assert ours.execute(triggers).all() == theirs.execute(triggers).all() != []
        for table in ("meta", "alembic_version"):
            assert (
                ours.execute(text(f"select * from {table}")).all()
                == theirs.execute(text(f"select * from {table}")).all()
            )
    by_revisions.dispose()
    new.dispose()


@pytest.mark.skipif("POSTGRESQL" not in os.environ, reason="needs an empty database, named by its URL in POSTGRESQL")
def test_a_journal_is_kept_by_postgresql_too() -> None:
    engine = create_engine(os.environ["POSTGRESQL"])
    from_nothing(engine)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), SCHEMA) == []
    migrated(engine, SCHEMA_VERSION, 1)
    journal = Journal(os.environ["POSTGRESQL"])
    bar = Bar(0, 60, 1.0, 2.0, 0.5, 1.5, 10.0)
    journal.record_step(JournaledStep("BTC/USDT", 60, 65, "decided", {"equity": 0.1}, {}, {}, [], "abc"), bar, None, [])
    assert journal.bars("BTC/USDT", 10, 5, 60) == [bar]
    journal.close()
    with engine.begin() as connection:
        SCHEMA.drop_all(connection)
    engine.dispose()


@pytest.mark.parametrize("steps_at_a_time", [1, 2, 500])
def test_version_1_gets_todays_names_and_all_else_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps_at_a_time: int
) -> None:
    monkeypatch.setattr(rewriting, "STEPS_AT_A_TIME", steps_at_a_time)
    path = old_journal(tmp_path / "journal.db")
    before = contents(path)
    assert is_of_version(path, 1)
    journal = Journal(f"sqlite:///{path}")
    step, fill = journal.last_step("ETH/USDT"), journal.fills("BTC/USDT", unbooked=True)[0]
    assert step is not None
    assert repr(step.record) == repr(record_of(STEPS - 1, SCHEMA_VERSION))
    assert step.state == state_of(STEPS - 1, SCHEMA_VERSION)
    assert fill.quantity == Decimal("0.30000000000000004")
    assert [order.client_id for order in journal.unresolved("BTC/USDT")] == ["st1"]
    journal.close()
    assert is_of_version(path, SCHEMA_VERSION)
    after = contents(path)
    for name in set(before) - {"meta", "steps", "bars", "orders"}:
        assert after[name] == before[name]
    assert after["orders"] == [(*order, None, 0, "IOC") for order in before["orders"]], "no stop, whole and immediate"
    assert after["bars"] == [(symbol, 1, *row) for symbol, *row in before["bars"]]  # as long as steps lie apart
    assert [(*row[:4], *row[6:]) for row in after["steps"]] == [(*row[:4], *row[6:]) for row in before["steps"]]
    assert sorted(after["meta"]) == [("mode", "real orders"), ("schema_version", str(SCHEMA_VERSION))]


def test_a_journal_brought_up_to_date_is_left_alone_from_then_on(tmp_path: Path) -> None:
    path = old_journal(tmp_path / "journal.db")
    Journal(f"sqlite:///{path}").close()
    once = contents(path)
    Journal(f"sqlite:///{path}").close()
    assert contents(path) == once


def moved(path: Path, found: int, wanted: int) -> Path:
    engine = create_engine(f"sqlite:///{path}")
    migrated(engine, found, wanted)
    engine.dispose()
    return path


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION))
def test_there_is_a_way_back_to_each_version_and_forth_again(tmp_path: Path, version: int) -> None:
    there = moved(old_journal(tmp_path / "there.db"), 1, version)
    back = moved(moved(old_journal(tmp_path / "back.db"), 1, SCHEMA_VERSION), SCHEMA_VERSION, version)
    assert is_of_version(back, version)
    assert contents(back) == contents(there)
    Journal(f"sqlite:///{back}").close()
    assert is_of_version(back, SCHEMA_VERSION)


def test_a_pause_is_as_strict_in_versions_that_know_none(tmp_path: Path) -> None:
    path = moved(old_journal(tmp_path / "journal.db"), 1, 8)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("update risk_states set state = 'PAUSED', reason = 'paused by hand'")
    assert contents(moved(path, 8, 7))["risk_states"] == [("BTC/USDT", "REDUCING", "paused by hand", 1)]


LOSSES = {  # a version, what it has no place for, and what is said then
    9: ("update orders set time_in_force = 'GTC'", "one order that lapsed at once, and st1 is another"),
    8: ("update orders set stop_price = '60.5'", "BTC/USDT has had a protective stop"),
    7: (
        "insert into commands (key, symbol, verb, origin, created_at, state, result) "
        "values ('a', 'BTC/USDT', 'close', 'command line', 1, 'taken', '')",
        "`close` of BTC/USDT is still to be done",
    ),
    6: ("insert into bars select symbol, 7, open_time, 1, 1, 1, 1, 1 from bars", "those of BTC/USDT are not"),
    5: (
        "update steps set record = json_set(record, '$.fill_units', 1.5) where close_time = 4",
        "the step at 4 holds the fill of an order and of a margin call",
    ),
    4: (
        "insert into looks (candidate, kind, fingerprint, trials) values ('run', 'gate', 'bars', 0)",
        "no place for looks, and some are entered",
    ),
    2: (
        "update steps set state = json_set(state, '$.stations.news', 1)",
        r"a step holds \['decision filter', 'news'\]",
    ),
    0: ("select 1", "nothing would be left of it"),
}


@pytest.mark.parametrize("version", LOSSES)
def test_what_an_older_version_has_no_place_for_is_said_and_nothing_is_lost(tmp_path: Path, version: int) -> None:
    path = moved(old_journal(tmp_path / "journal.db"), 1, SCHEMA_VERSION)
    statement, said = LOSSES[version]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)
    before = contents(path)
    with pytest.raises(ConfigError, match=f"no way back to schema version {version}: .*{said}"):
        moved(path, SCHEMA_VERSION, version)
    assert contents(path) == before


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    """Run the command; return its exit code, and its last line."""
    capsys.readouterr()  # what was said before
    code = go_back.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, (captured.out or captured.err).splitlines()[-1]


def test_a_person_brings_a_journal_back_for_an_older_program(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, there = old_journal(tmp_path / "journal.db"), moved(old_journal(tmp_path / "there.db"), 1, 6)
    Journal(f"sqlite:///{path}").close()
    assert run(capsys, path, 6) == (0, f"{path} has schema version 6 now")
    assert contents(path) == contents(there)
    Journal(f"sqlite:///{path}").close()
    assert is_of_version(path, SCHEMA_VERSION)


def test_what_cannot_be_brought_back_is_said_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = old_journal(tmp_path / "journal.db")
    Journal(f"sqlite:///{path}").close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(LOSSES[6][0])
    before = contents(path)
    with locked(tmp_path / "journal.db.lock", "busy"):
        assert run(capsys, path, 7) == (2, f"error: another process is working on {path}; stop it first")
    assert "no way back to schema version 6" in run(capsys, path, 6)[1]
    assert f"must be in 1..{SCHEMA_VERSION - 1}" in run(capsys, path, SCHEMA_VERSION)[1]
    assert run(capsys, tmp_path / "gone.db", 6)[0] == 2
    assert contents(path) == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["journal.db"]


def test_a_journal_that_is_up_to_date_is_opened_without_alembic(tmp_path: Path) -> None:
    opened = f"from src.journal.journal import Journal; Journal('sqlite:///{tmp_path}/journal.db').close()"
    script = f"import sys; {opened}; {opened}; sys.exit('alembic' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)


# Dies just before its n-th statement, in a process of its own for each n, until one lives to the end.
DRIVER = """
import os, shutil, signal, sys
from pathlib import Path
from sqlalchemy import event
from sqlalchemy.engine import Engine
from src.journal.journal import Journal
from src.journal.migrations import migrate, rewriting

rewriting.STEPS_AT_A_TIME = 3
folder = Path(sys.argv[1])

def doomed(place, last):
    left = [last]
    @event.listens_for(Engine, "before_cursor_execute")
    @event.listens_for(Engine, "commit")
    def count(*_):
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1
    Journal(f"sqlite:///{place}/journal.db")

for last in range(1000):
    place = folder / str(last)
    shutil.copytree(folder / "old", place)
    child = os.fork()
    if child == 0:
        doomed(place, last)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        print(last)
        break
"""


def test_killed_at_any_statement_a_journal_is_old_or_new_and_the_next_start_brings_it_up_to_date(
    tmp_path: Path,
) -> None:
    (tmp_path / "old").mkdir()
    old_journal(tmp_path / "old/journal.db")
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    lived = int(done.stdout)
    assert lived > len(SYMBOLS) * STEPS, "there is a statement for each step"
    for last in range(lived):
        path = tmp_path / str(last) / "journal.db"
        assert is_of_version(path, 1), f"killed before statement {last}"
        Journal(f"sqlite:///{path}").close()
        assert is_of_version(path, SCHEMA_VERSION)
    assert is_of_version(tmp_path / str(lived) / "journal.db", SCHEMA_VERSION)
