"""What `run_backtest.py inspect` shows of a model file."""

import hashlib
from pathlib import Path

from src.reporting.model_contents import Section, model_contents
from src.runs.model_content import read_content


def inspect_model(path: Path) -> list[Section]:
    """Read, verify and describe a model file; nothing of it is executed, no network is built.

    Raises:
        ModelFileError: missing, damaged, not a model file, of another format version, or incomplete.
    """
    content = read_content(path)
    weights = sum(tensor.numel for tensor in content.pop("weights").values())
    return model_contents(content, weights, hashlib.sha256(path.read_bytes()).hexdigest())
