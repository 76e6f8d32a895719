"""Points that separate thousands where no comma is there to tell: read where nothing else is possible."""

from pathlib import Path

import pytest

from src.config.data import DataConfig
from src.market.reading.price_file import understand_file
from src.market.sources import read_file

PRICES = [1000 + 7 * (place % 9 - 4) for place in range(60)]  # 972 to 1028
VOLUMES = [500 + 30 * place for place in range(60)]  # 500 to 2270
TOLD = "points in numbers separate thousands"


def grouped(number: int) -> str:
    return f"{number:,}".replace(",", ".")


def written(path: Path, prices: list[str], volumes: list[str]) -> Path:
    rows = [
        f"2024-01-{1 + hour // 24:02d} {hour % 24:02d}:00Z;{price};{price};{price};{price};{volume}"
        for hour, (price, volume) in enumerate(zip(prices, volumes, strict=True))
    ]
    path.write_text("\n".join(["Datum;Erster;Hoch;Tief;Schlusskurs;Volumen", *rows]))
    return path


WHOLE = {
    "prices cross a thousand": (PRICES, VOLUMES),
    "volume does, and prices stay below": ([price // 20 for price in PRICES], VOLUMES),
    "millions": ([16 * price for price in PRICES], [1_000 * volume for volume in VOLUMES]),
}


@pytest.mark.parametrize("kind", WHOLE)
def test_points_between_thousands_are_told_by_numbers_with_and_without_them(tmp_path: Path, kind: str) -> None:
    prices, volumes = WHOLE[kind]
    path = written(tmp_path / "x.csv", [*map(grouped, prices)], [*map(grouped, volumes)])
    bars = read_file(path, "X")
    assert bars.close.tolist() == prices
    assert bars.volume.tolist() == volumes
    assert any(remark.startswith(TOLD) for remark in understand_file(path, DataConfig()).understood.remarks)
    decimal = read_file(path, "X", DataConfig(decimal=","))
    assert decimal.volume.tolist() == volumes


DECIMALS = {
    "three decimals throughout": ([f"{price / 10:.3f}" for price in PRICES], [f"{v / 7:.3f}" for v in VOLUMES]),
    "zeros left out": ([f"{price / 1000:g}" for price in PRICES], [str(v) for v in VOLUMES]),
    "whole volume": ([f"{price / 10:.3f}" for price in PRICES], [str(v) for v in VOLUMES]),
    "another column shows decimals": ([f"{price / 10:.2f}" for price in PRICES], [grouped(v) for v in VOLUMES]),
}


@pytest.mark.parametrize("kind", DECIMALS)
def test_points_stay_decimal_where_they_may_be(tmp_path: Path, kind: str) -> None:
    prices, volumes = DECIMALS[kind]
    path = written(tmp_path / "x.csv", prices, volumes)
    read = understand_file(path, DataConfig())
    assert read.frame["close"].tolist() == [float(price) for price in prices]
    assert read.frame["volume"].tolist() == [float(volume) for volume in volumes]
    assert not any(TOLD in remark for remark in read.understood.remarks)
