"""What trackers of metrics need: their packages, and a key where they send something."""

import netrc
import os
from importlib.util import find_spec
from urllib.parse import urlsplit

from src.command_line import not_installed
from src.config.runtime import TrackingConfig
from src.errors import ConfigError

_WANDB_URL = "https://api.wandb.ai"


def check_tracking(tracking: TrackingConfig) -> None:
    """Refuse trackers that are not installed, and one that would ask for a key once training begins.

    Raises:
        ConfigError: saying which setting does without.
    """
    for package, is_wanted in (("tensorboard", tracking.tensorboard), ("wandb", tracking.wandb)):
        if is_wanted and find_spec(package) is None:
            raise ConfigError(f"{not_installed(package)}, or set tracking.{package}=false")
    if tracking.wandb and tracking.wandb_mode == "online" and not _has_key():
        raise ConfigError(
            "tracking.wandb=true sends curves to Weights & Biases and there is no key (WANDB_API_KEY, or ~/.netrc); "
            "run wandb login, or set tracking.wandb_mode=offline"
        )


def _has_key() -> bool:
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", _WANDB_URL)).hostname or ""
    try:
        return netrc.netrc().authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
