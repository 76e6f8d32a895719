"""`config/live.yaml`, `risk.yaml` and `preferences.yaml` spell out every setting with its default and a comment."""

from pathlib import Path

import pytest

from src.config.base import Schema
from src.config.fields import settings_of
from src.config.live import LiveConfig
from src.config.load import load_settings
from src.config.portfolio.preferences import Preferences
from src.config.reference import yaml_comments
from src.config.risk import RiskLimits
from src.errors import ConfigError

CONFIG = Path(__file__).resolve().parents[3] / "config"
FILES = {"live.yaml": LiveConfig, "risk.yaml": RiskLimits, "preferences.yaml": Preferences}


@pytest.mark.parametrize("name", FILES)
def test_the_file_holds_the_defaults_each_with_a_comment(name: str) -> None:
    assert load_settings(FILES[name], CONFIG / name) == FILES[name]()
    comments = yaml_comments((CONFIG / name).read_text())
    assert [key for key in settings_of(FILES[name]) if not comments.get(key)] == []


def test_text_is_kept_as_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "live.yaml").write_text("account: 007\nexchange: 12:30\n")
    settings = load_settings(LiveConfig, tmp_path / "live.yaml")
    assert (settings.account, settings.exchange) == ("007", "12:30")


BAD: dict[str, tuple[type[Schema], str, str]] = {
    "unknown": (RiskLimits, "max_levrage: 1", "did you mean 'max_leverage'"),
    "out of bounds": (RiskLimits, "max_daily_loss_frac: 5", "max_daily_loss_frac must lie in"),
    "no number": (RiskLimits, "max_position: much", "max_position must be a number"),
    "a list": (LiveConfig, "- a", "key: value"),
    "a section": (LiveConfig, "drift: 3", "drift"),
    "inside a section": (LiveConfig, "drift: {window_bars: 1}", "drift.window_bars must be >= 20"),
    "not a number": (RiskLimits, "max_leverage: .nan", "max_leverage must lie in"),
}


@pytest.mark.parametrize("name", BAD)
def test_mistakes_name_the_file_and_the_remedy(tmp_path: Path, name: str) -> None:
    schema, text, words = BAD[name]
    path = tmp_path / "settings.yaml"
    path.write_text(text + "\n")
    with pytest.raises(ConfigError, match=words) as refusal:
        load_settings(schema, path)
    assert "settings.yaml" in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("account: ${oc.env:A_SECRET}", "account"),
        ("http_port: ${oc.env:A_SECRET}", "http_port"),
        ("journal: sqlite:///${oc.env:A_SECRET}/journal.db", "journal"),
        ("drift: {window_bars: '${oc.env:A_SECRET}'}", "drift.window_bars"),
        ("exchange: ${account}", "exchange"),
        ("exchange: '${oc.env:A_SECRET'", "exchange"),
        ("nonsense: [1, '${oc.env:A_SECRET}']", r"nonsense\[1\]"),
    ],
)
def test_nothing_is_looked_up_outside_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, key: str
) -> None:
    monkeypatch.setenv("A_SECRET", "hunter2-hunter2")
    path = tmp_path / "live.yaml"
    path.write_text(text + "\n")
    with pytest.raises(ConfigError, match=f"{key} must be written out") as refusal:
        load_settings(LiveConfig, path)
    assert "hunter2" not in str(refusal.value)
