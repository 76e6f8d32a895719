"""What a file is taken for is shown before anything is trained on it, refused files as far as they are understood."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from src.market.file_picture import extremes
from src.market.look import main

FILES = Path(__file__).parent / "reading" / "price_files"
ROOT = Path(__file__).resolve().parents[3]
PNG = b"\x89PNG\r\n\x1a\n"


def looked(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def in_one_line(text: str) -> str:
    return " ".join(text.split())


def test_a_usable_file_is_shown_with_its_rows_gaps_days_and_splits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "split.png"
    code, shown, _ = looked(capsys, str(FILES / "split_3_for_2.csv"), "--out", str(out))
    assert code == 0
    assert out.read_bytes().startswith(PNG)
    lines = shown.splitlines()
    assert all(len(line) <= 80 for line in lines if not line.startswith("next"))
    text = in_one_line(shown)
    assert "columns open_time: Date, open: Open, high: High, low: Low, close: Close, volume: Volume" in text
    assert "times %Y-%m-%d, zone UTC" in text
    assert "bars 400, 1d, 2022-01-03 00:00 to 2023-07-14 00:00" in text
    assert "0 2022-01-03 00:00 200.18 201.93 199.25 200.08 1028679" in text  # as it stands in the file
    assert "399 2023-07-14 00:00 163.83 165.47 162.67 165.23 1988767" in text
    assert "gaps 158 bars missing in 79; the longest: 72 h before 2022-01-10 00:00" in text
    assert "sessions Mon 80, Tue 80, Wed 80, Thu 80, Fri 80 " in text
    assert "splits 1: row 200 (2022-10-10 00:00)" in text
    assert "looks like a 1.5:1 split at 2022-10-10" in text
    assert "usable nothing had to be changed" in text
    assert lines[-1].startswith("next      python run_training.py symbol=split_3_for_2 data.source=files data.path=")


def test_a_guess_is_shown_and_overridden(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, out = str(FILES / "us_stock_15min_eastern.csv"), str(tmp_path / "x.png")
    _, shown, _ = looked(capsys, file, "--out", out)
    assert "zone America/New_York" in in_one_line(shown)
    assert "the first bar opens at 13:30, the last at 19:45 UTC" in in_one_line(shown)
    _, shown, _ = looked(capsys, file, "data.timezone=UTC", "--out", out)
    assert "the first bar opens at 09:30, the last at 15:45 UTC" in in_one_line(shown)


def test_a_refused_file_is_shown_with_the_reasons(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "x.png"
    code, shown, _ = looked(capsys, str(FILES / "daily_bars_then_4h.csv"), "--out", str(out))
    assert code == 2
    assert out.read_bytes().startswith(PNG)
    assert "rows 300, 4h, 2024-01-01 00:00 to 2024-05-17 20:00" in in_one_line(shown)
    assert "keep 240 bars with data.start=2024-03-25" in in_one_line(shown)
    assert "next" not in shown


def test_a_file_that_is_not_understood_is_shown_as_it_stands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = (FILES / "mt4_headerless.csv").read_text().splitlines()[:5]  # too few rows to tell what stands where
    (tmp_path / "head.csv").write_text("\n".join(head))
    code, shown, _ = looked(capsys, str(tmp_path / "head.csv"))
    assert code == 2
    text = in_one_line(shown)
    assert "columns 0, 1, 2, 3, 4, 5, 6 rows - 2024.03.08 | 00:00 | 1.09041 |" in text
    assert "refused no column found for open_time, open, high, low, close; it has no header" in text


def test_what_is_no_table_or_contradicts_the_settings_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"no parquet")
    code, shown, _ = looked(capsys, str(broken))
    assert (code, "refused cannot be read" in in_one_line(shown)) == (2, True)
    code, shown, _ = looked(capsys, str(FILES / "mt5_export_h1.csv"), "data.timeframe=4h")
    assert (code, "timeframe 4h contradicts the bars, which are 1h apart" in in_one_line(shown)) == (2, True)


def test_the_remedy_for_several_markets_works_as_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, out = str(FILES / "many_symbols.csv"), str(tmp_path / "x.png")
    code, shown, _ = looked(capsys, file, "--out", out)
    assert (code, "\"data.columns={symbol: 'Name'}\" and, for example, symbol=AAA" in in_one_line(shown)) == (2, True)
    code, shown, _ = looked(capsys, file, "data.columns={symbol: 'Name'}", "symbol=AAA", "--out", out)
    assert (code, "bars 60, 1d" in in_one_line(shown)) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["split_3_for.csv"], "did you mean 'split_3_for_2.csv'?"),
        (["split_3_for_2.csv", "data.timezon=UTC"], "did you mean 'data.timezone'?"),
        (["split_3_for_2.csv", "costs.commission_bps=3"], "'costs.commission_bps=3' does not say how a file is read"),
        (["split_3_for_2.csv", "--out", "/not/there.png"], "--out names the folder /not, which is not there"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(
    capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    code, shown, error = looked(capsys, str(FILES / arguments[0]), *arguments[1:])
    assert (code, shown, len(error.splitlines())) == (2, "", 1)
    assert sentence in error


def test_the_command_starts_without_what_trains_and_explains_itself() -> None:
    script = (
        "import runpy, sys; sys.argv = ['look', '--help']\n"
        "try: runpy.run_module('src.market.look', run_name='__main__')\n"
        "except SystemExit as end: assert not end.code\n"
        "assert not {'torch', 'ray', 'matplotlib'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "python -m src.market.look prices.csv data.timezone=America/New_York" in done.stdout


def test_a_drawn_line_keeps_every_extreme() -> None:
    values = np.random.default_rng(0).normal(size=100_000)
    values[[777, 54_321]] = 50.0, -60.0
    rows = extremes(values, 2_000)
    assert len(rows) <= 2_000
    assert {777, 54_321} <= set(rows.tolist())
    assert (np.diff(rows) > 0).all()
