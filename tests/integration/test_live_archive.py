"""A journal whose past lies in an archive: the bot goes on as before, and the past is explained and replayed there."""

from pathlib import Path

import pytest

import run_live_bot
from src.execution.tape import DAY_MS
from src.journal import archive
from src.journal.journal import Journal
from src.journal.queries import JournalReader
from src.journal.schema import JournaledStep
from src.live.day_replay import replay_day
from src.live.trader import TAPE_BARS
from src.live.venues.venue import OrderKind
from src.market.bars import Bar
from src.storage import locked
from tests.support.live_scene import Stage
from tests.support.live_setup import CONFIG, HOUR_MS, LIMITS, START, SYMBOL, Chooser, model_of, random_rows

WINDOW = 5
STEPS = 24 * 10


def test_82_after_its_past_was_moved_a_bot_goes_on_and_both_parts_are_replayed_without_a_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "KEPT_MS", 2 * HOUR_MS)
    with Stage(tmp_path, agent=Chooser(), rows=random_rows(TAPE_BARS + 60, sigma=1e-4)) as stage:
        stage.server.fates = ["ok", "lost", "cut after accept", "-2010"]
        stage.server.fill_plan = [1.0, 1.0, 0.4]
        stage.play(30)
        stage.check()
        journal, last = stage.services.journal, stage.steps()[-1]
        midnight = last.close_time // DAY_MS * DAY_MS
        archived = Journal(f"sqlite:///{tmp_path / 'archive.db'}")
        moved = archive.move_to_archive(journal, archived, SYMBOL, midnight, WINDOW, last.close_time)
        assert moved.steps > 5
        assert moved.until == midnight
        past = archived.steps(SYMBOL, 0, midnight - 1)
        stage.restart()
        stage.play(3)
        present = stage.steps()
        monkeypatch.setattr(stage, "steps", lambda: [*past, *present])
        stage.check()
        for part, day in ((archived, midnight - DAY_MS), (stage.services.journal, midnight)):
            count, differences = replay_day(part, model_of(stage.agent), CONFIG, LIMITS, day, OrderKind.REAL)
            assert count >= WINDOW
            assert differences == []
        archived.close()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a journal of hourly steps over ten days."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config/live.yaml").write_text("drift: {window_bars: 20}\n")
    (tmp_path / "state").mkdir()
    journal = Journal(f"sqlite:///{tmp_path / 'state/journal.db'}")
    for number in range(1, STEPS + 1):
        close = START // DAY_MS * DAY_MS + number * HOUR_MS
        record = {"equity": 1000.0, "units": 0.0, "target": 0.0}
        step = JournaledStep(SYMBOL, close, close, "decided", record, {}, {"day": number // 24}, [], "abc")
        journal.record_step(step, Bar(close - HOUR_MS, close, 1.0, 1.0, 1.0, 1.0, 1.0), None, [])
    journal.close()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = run_live_bot.main([*arguments, "--symbol", SYMBOL])
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def test_82_the_command_moves_the_past_into_a_file_that_is_looked_at(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    size = (folder / "state/journal.db").stat().st_size
    code, said = run(capsys, "archive", "--before", "2020-09-18")
    assert code == 0
    assert "119 steps and 0 bars of before 2020-09-18 00:00 UTC were moved to " in said
    assert "stays" not in said
    assert (folder / "state/journal.db").stat().st_size < size
    assert sorted(path.name for path in (folder / "state").iterdir()) == ["journal.db", "journal_archive.db"]
    archived = (folder / "state/journal_archive.db").resolve()
    hint = f"nothing was decided at or before 2020-09-15 00:00 UTC; --journal {archived} looks into the archive"
    assert hint in run(capsys, "explain", "2020-09-15")[1]
    code, said = run(capsys, "explain", "2020-09-15T05:00", "--journal", "state/journal_archive.db")
    assert code == 0
    assert "candle that closed 2020-09-15 05:00 UTC" in said
    code, said = run(capsys, "archive", "--before", "2030-01-01")
    assert "what is newer stays, since the bot looks back on it" in said
    assert JournalReader("sqlite:///state/journal.db").last_step(SYMBOL) is not None


REFUSED = {
    "no time": (["archive"], "needs --before with a time"),
    "a time elsewhere": (["status", "--before", "2026-01-01"], "archive, and nothing else, needs --before"),
    "no time at all": (["archive", "--before", "soon"], "--before"),
    "another journal elsewhere": (
        ["close", "--journal", "state/journal.db"],
        "--journal is for explain and replay",
    ),
    "a look at how things are": (["status", "--journal", "state/journal.db"], "--journal is for explain and replay"),
    "a file that is not there": (["explain", "2020-09-15", "--journal", "state/gone.db"], "there is no journal"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_makes_no_sense_is_refused_in_one_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    arguments, sentence = REFUSED[case]
    code, said = run(capsys, *arguments)
    assert code == 2
    assert sentence in said.splitlines()[-1]
    assert not (folder / "state/journal_archive.db").exists()


def test_while_a_bot_runs_nothing_is_moved(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with locked(folder / "state/journal.db.lock", "busy"):
        code, said = run(capsys, "archive", "--before", "2020-09-18")
    assert code == 2
    assert "another process is working on this journal" in said
    assert not (folder / "state/journal_archive.db").exists()


def test_a_symbol_the_journal_does_not_know_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run_live_bot.main(["archive", "--before", "2020-09-18", "--symbol", "BTC/USDC"])
    assert code == 2
    assert "did you mean 'BTC/USDT'" in capsys.readouterr().err
    assert not (folder / "state/journal_archive.db").exists()
