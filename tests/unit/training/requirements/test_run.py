"""What would be found out hours later is looked at before a run begins."""

from pathlib import Path

import pytest

from src.config.load import load_training_config
from src.errors import ConfigError
from src.training.requirements.run import check_run


def test_a_signing_key_that_cannot_be_used_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, key = load_training_config(["+experiment=smoke"]), tmp_path / "key.pem"
    monkeypatch.chdir(tmp_path)
    check_run(config)
    key.touch(0o644)
    monkeypatch.setenv("SUPERTRADER_SIGNING_KEY", str(key))
    with pytest.raises(ConfigError, match=f"run: chmod 600 {key}"):
        check_run(config)
    key.chmod(0o600)
    with pytest.raises(ConfigError, match="holds no Ed25519 key"):
        check_run(config)
