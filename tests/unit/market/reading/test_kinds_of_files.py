"""Kinds of files and what stands around their rows: the bars are the same in each, or a sentence says what to do."""

import json
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import pytest

from src.config.data import DataConfig
from src.errors import DataError
from src.market.reading.price_file import understand_file
from src.market.sources import read_file

NAMES = ("time", "open", "high", "low", "close", "volume")
START = 1_704_153_600_000
BARS = [(START + 3_600_000 * hour, 100.0 + hour % 7, 108.0, 99.0, 100.5 + hour % 7, 900.0 + hour) for hour in range(40)]
ROWS = "\n".join([",".join(NAMES), *(",".join(map(str, bar)) for bar in BARS)])


def bars_of(path: Path) -> list[tuple[float, ...]]:
    bars = read_file(path, "X")
    columns = (bars.open_time, bars.open, bars.high, bars.low, bars.close, bars.volume)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def zipped(path: Path, **members: str) -> None:
    with ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), text)


KINDS: dict[str, Callable[[Path], object]] = {
    "x.jsonl": lambda path: path.write_text("\n".join(json.dumps(dict(zip(NAMES, bar, strict=True))) for bar in BARS)),
    "x.ndjson": lambda path: path.write_text("\n".join(json.dumps(bar) for bar in BARS) + "\n"),
    "x.zip": lambda path: zipped(path, BTCUSDT_csv=ROWS),
    "x.csv.zip": lambda path: zipped(path, read_me="of a site", data__x_csv=ROWS, _x_csv="a Mac's own"),
}


@pytest.mark.parametrize("name", KINDS)
def test_bars_are_the_same_in_every_kind_of_file(tmp_path: Path, name: str) -> None:
    KINDS[name](tmp_path / name)
    assert bars_of(tmp_path / name) == BARS


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "x.zip": (lambda path: zipped(path, a_csv=ROWS, b_csv=ROWS), r"2 price files, a\.csv, b\.csv; unpack it and name"),
    "empty.zip": (lambda path: zipped(path, read_me="of a site"), "0 price files, none; unpack it"),
    "damaged.zip": (lambda path: path.write_bytes(b"PK no zip"), "cannot be read .* is it complete"),
    "x.xlsx": (
        lambda path: path.write_bytes(b"PK"),
        r"a spreadsheet \(\.xlsx\) is not read; save the sheet .* as \.csv",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_holds_no_single_table_is_refused_with_a_remedy(tmp_path: Path, name: str) -> None:
    write, said = REFUSED[name]
    write(tmp_path / name)
    with pytest.raises(DataError, match=said):
        read_file(tmp_path / name, "X")


FEET = {
    "a note": '\n"Downloaded from Barchart.com as of 05-01-2024 03:22am CDT"\n',
    "a note with a comma in it": "\nProvided by X, Inc. and others",
    "an empty line and two notes": "\n\nSource: a site,,,,,\nAll rights reserved\n\n",
    "a total": "\nTotal,,,,,36780.0",
}


@pytest.mark.parametrize("is_long", [False, True])
@pytest.mark.parametrize("foot", FEET)
def test_notes_and_totals_below_the_rows_are_left_out_and_it_is_said(tmp_path: Path, foot: str, is_long: bool) -> None:
    count = 3_000 if is_long else 40  # of which the first kind does not fit in the head that decides the layout
    bars = [(START + 3_600_000 * hour, *BARS[hour % 40][1:]) for hour in range(count)]
    rows = "\n".join([",".join(NAMES), *(",".join(map(str, bar)) for bar in bars)])
    (tmp_path / "x.csv").write_text(rows + FEET[foot])
    assert bars_of(tmp_path / "x.csv") == bars
    said = understand_file(tmp_path / "x.csv", DataConfig()).understood.remarks
    lines = [line for line in FEET[foot].splitlines() if line]
    assert said[0] == f"{len(lines)} line(s) below the rows are left out, first '{lines[0]:.60}'"


@pytest.mark.parametrize("time", ["Jan 03, 2024", "03-Jan-2024", "2024-01-03 16:00:00 EST", "1704326400000"])
def test_a_last_row_without_prices_is_a_bar_and_not_a_note(tmp_path: Path, time: str) -> None:
    (tmp_path / "x.csv").write_text(f'{ROWS}\n"{time}",,,,,')
    with pytest.raises(DataError, match=r"price missing|cannot be read"):
        read_file(tmp_path / "x.csv", "X")


def test_rows_that_follow_a_note_are_not_left_out(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(
        f"{ROWS}\nSource: a site\n" + ",".join(map(str, (START + 40 * 3_600_000, *BARS[0][1:])))
    )
    with pytest.raises(DataError, match="cannot be read"):
        read_file(tmp_path / "x.csv", "X")


LANGUAGES = {
    "German": "Datum;Eröffn.;Hoch;Tief;Zuletzt;Vol.",
    "German, of a bank": "Datum;Eröffnungskurs;Tageshoch;Tagestief;Schlusskurs;Stücke",
    "French": "date;ouv;haut;bas;clot;vol",
    "French, of a site": "Date;Ouv.; Plus Haut;Plus Bas;Dernier;Vol.",
    "Spanish": "Fecha;Apertura;Máximo;Mínimo;Último;Vol.",
    "Italian": "Data;Apertura;Massimo;Minimo;Ultimo;Vol.",
    "Portuguese": "Data;Abertura;Máxima;Mínima;Fechamento;Volume",
    "English": "Time;Open;High;Low;Latest;Volume",
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_names_are_known_in_several_languages(tmp_path: Path, language: str) -> None:
    rows = "\n".join(";".join(map(str, bar)) for bar in BARS)
    (tmp_path / "x.csv").write_text(f"{LANGUAGES[language]}\n{rows}")
    assert bars_of(tmp_path / "x.csv") == BARS
