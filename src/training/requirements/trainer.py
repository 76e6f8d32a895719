"""What training needs beside what trading needs."""

from importlib.util import find_spec

from src.errors import ConfigError


def require_trainer() -> None:
    """Refuse where ray is not installed.

    Raises:
        ConfigError: with the command that installs it.
    """
    if missing := [name for name in ("ray", "gymnasium") if find_spec(name) is None]:
        raise ConfigError(
            f"training needs {' and '.join(missing)}, which an installation that only trades leaves out; "
            "run: pip install -c requirements.lock -e '.[train]'"
        )
