"""Which model file answers a request: the champion, the newest stage model, or what a name means."""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from src.agents.model_file import CHAMPION_STAGE, model_path, settled_otherwise
from src.errors import ConfigError, ModelFileError
from src.market.bars import symbol_id
from src.runs.model_content import read_content


@dataclass(frozen=True)
class ModelChoice:
    """Which file answers a request, and as what: `champion`, `newest stage model` or `comparison`."""

    path: Path
    role: str


def resolve_model(symbol: str, name: str | None, checkpoints_dir: Path, other_names: Iterable[str] = ()) -> ModelChoice:
    """Find the file a request means.

    Without a name: the champion if the symbol has one, and only it; else the newest stage model. With a name: a path
    to a `.pth`, a stage key, or an algorithm (its newest model). Newest is by the file's modification time, and by
    name (so by stage number) between equal times. The file itself is not verified here; `load_model` refuses a
    damaged one, and nothing falls back to another.

    Args:
        other_names: further names valid where this was asked, for the hint of the error.

    Raises:
        ModelFileError: no name, and the symbol has no model.
        ConfigError: a name nothing answers to, with the nearest that exist.
    """
    if name is None:
        return default_choice(symbol, checkpoints_dir)
    if name.endswith(".pth"):
        path = Path(name)
        is_champion = path == model_path(symbol, CHAMPION_STAGE, path.parent)
        return ModelChoice(path, "champion" if is_champion else "comparison")
    stages = _stage_files(symbol, checkpoints_dir)
    if name in stages:
        return ModelChoice(stages[name], "comparison")
    for path in stages.values():
        if read_content(path)["kind"] == name.lower():
            return ModelChoice(path, "comparison")
    raise ConfigError(_unknown(symbol, name, [*stages, *other_names], checkpoints_dir))


def default_choice(symbol: str, checkpoints_dir: Path) -> ModelChoice:
    """Return the file that stands for a symbol: its champion, or while there is none its newest stage model.

    Raises:
        ModelFileError: the symbol has no model.
    """
    champion = model_path(symbol, CHAMPION_STAGE, checkpoints_dir)
    if champion.exists() or champion.is_symlink():  # a dangling link is a broken champion, not a missing one
        return ModelChoice(champion, "champion")
    stages = _stage_files(symbol, checkpoints_dir)
    if not stages:
        raise ModelFileError(_missing(symbol, checkpoints_dir))
    return ModelChoice(next(iter(stages.values())), "newest stage model")


def _missing(symbol: str, checkpoints_dir: Path) -> str:
    champion = model_path(symbol, CHAMPION_STAGE, checkpoints_dir).name
    others = settled_otherwise(symbol, checkpoints_dir)
    named = sorted({path.parent for path in checkpoints_dir.glob(f"*/{symbol_id(symbol)}_*.pth")})
    remedy = f"train one with: python run_training.py symbol='{symbol}', or name a baseline with --model"
    from src.market.panel_sources import panel_source  # reads frames, which is slow to load

    if panel_source(symbol) is not None:
        remedy = "it is a portfolio, so name who trades it with --member, such as --member equal_weight"
    if named:
        remedy = f"a run with a name has some: --checkpoints {shlex.quote(str(named[0]))}"
    return f"no model of {symbol} in {checkpoints_dir}/ ({champion} and the like){others and f': {others}'}; {remedy}"


def _stage_files(symbol: str, checkpoints_dir: Path) -> dict[str, Path]:
    # Stage -> file, newest first.
    prefix = f"{symbol_id(symbol)}_"
    files = sorted(checkpoints_dir.glob(f"{prefix}*.pth"), key=lambda p: (p.stat().st_mtime_ns, p.name), reverse=True)
    return {path.stem.removeprefix(prefix): path for path in files}


def _unknown(symbol: str, name: str, known: list[str], checkpoints_dir: Path) -> str:
    near = get_close_matches(name, known, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}" if near else f"valid here: {', '.join(known) or 'a path to a .pth file'}"
    return f"model '{name}' is neither a model of {symbol} in {checkpoints_dir}/ nor a baseline; {hint}"
