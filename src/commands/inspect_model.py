"""What `run_backtest.py inspect` shows of a model file."""

import hashlib
from pathlib import Path

from src.plugins import require_sources
from src.reporting.model_contents import Section, model_contents
from src.runs.model_content import read_content


def inspect_model(path: Path) -> list[Section]:
    """Read, verify and describe a model file; no network is built, and of the plug-ins it names nothing but imported.

    Raises:
        ModelFileError: missing, damaged, not a model file, of another format version, or incomplete; or a plug-in is
            missing or not the one it was trained with.
    """
    content = read_content(path)
    require_sources(str(path), content["plugins"])
    weights = sum(tensor.numel for tensor in content.pop("weights").values())
    return model_contents(content, weights, hashlib.sha256(path.read_bytes()).hexdigest())
