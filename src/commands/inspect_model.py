"""What `run_backtest.py inspect` shows of a model file."""

import hashlib
from dataclasses import fields
from pathlib import Path

from src.agents.model_file import load_model
from src.reporting.model_contents import Section, model_contents


def inspect_model(path: Path) -> list[Section]:
    """Read, verify and describe a model file; nothing of it is executed, no network is built.

    Raises:
        ModelFileError: missing, damaged, not a model file, of another format version, or incomplete.
    """
    file = load_model(path)
    content = {part.name: getattr(file, part.name) for part in fields(file) if part.name != "weights"}
    weights = sum(tensor.numel() for tensor in file.weights.values())
    return model_contents(content, weights, hashlib.sha256(path.read_bytes()).hexdigest())
