"""Packages of trackers, which are loaded only where a tracker is switched on."""

import importlib
from types import ModuleType

from src.errors import ConfigError


def require_package(module: str, setting: str) -> ModuleType:
    """Import what a tracker needs.

    Raises:
        ConfigError: it is not installed; names the setting that asked for it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(
            f"{setting}=true needs a package that is not installed ({error.name}); in the project's folder,"
            f" pip install -e '.[train]', or set {setting}=false"
        ) from error
