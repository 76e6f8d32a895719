"""Publishing a model: putting it where backtests and bots look for it, unless a better judged one would be lost."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from src.errors import ModelFileError
from src.evaluation.promotion import Verdict
from src.runs.model_content import read_content
from src.signing.signature import sign
from src.storage import write_atomic

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class Publication(NamedTuple):
    """Where a model is to be found once its run is done, and why not where it was to be published."""

    path: Path
    refusal: str = ""


def publish(model: Path, target: Path, replace: bool = False, key: "Ed25519PrivateKey | None" = None) -> Publication:
    """Copy a model file of a run to `target`, unless a model with a stronger verdict lies there.

    The run keeps its own, whichever run published last.

    Args:
        replace: whatever lies there.
        key: signs what is published.

    Raises:
        ModelFileError: the model is damaged.
    """
    refusal = "" if replace else _stronger(model, target)
    if refusal:
        return Publication(model, refusal)
    data = model.read_bytes()
    if key is not None:
        sign(target, data, key)
    if not target.exists() or target.read_bytes() != data:
        write_atomic(target, data)
    return Publication(target)


def _stronger(model: Path, target: Path) -> str:
    if not target.exists():
        return ""
    try:
        held = read_content(target)["verdict"]
    except ModelFileError:  # nothing that could be lost
        return ""
    found = read_content(model)["verdict"]
    promoted = Verdict.promoted.value
    return f"{target} is {held}, this one {found}" if held == promoted != found else ""
