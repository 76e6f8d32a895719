"""Writes `docs/configuration.md`: types and defaults from the schema, meanings from the comments of the YAML file.

    python -m src.config.reference

A test keeps the committed page equal to `reference_page()`.
"""

import re
from dataclasses import fields
from enum import Enum
from itertools import groupby
from pathlib import Path
from typing import Any

from src.config.base import Schema
from src.config.fields import all_settings, default_sequence, describe, show
from src.config.training import TrainingConfig

ROOT = Path(__file__).resolve().parents[2]
COMMENTED_FILE = ROOT / "config" / "training_sequence.yaml"
PAGE = ROOT / "docs" / "configuration.md"

_LINE = re.compile(r"^(?P<indent> *)(?P<name>\w+):.*?(?: +# (?P<comment>.*))?$")
_INDENT = 2

_INTRODUCTION = """\
# Configuration

<!-- Written by `python -m src.config.reference` from src/config/ and config/training_sequence.yaml. -->

`config/training_sequence.yaml` holds every setting below. Change it there, or for one run on the command line by the
full dotted key:

```
python run_training.py symbol=NASDAQ sequence.stage_1_ppo.iterations=50
python run_training.py +experiment=market_a4 seed=1
python run_training.py data.source=files "data.path='data/{symbol}_1h.parquet'"
python run_training.py --config my_sequence.yaml
```

Later wins: defaults, then the file, then experiments, then the command line. Values that hold braces, commas or spaces
need quotes twice, for the shell and for the value. A key or value that does not exist is refused with the nearest one
that does. `sequence` maps names of your choice to stages, run in order; `algorithm` decides which settings a stage
takes, and a stage set to null is left out. The settings of a run are saved in its folder as `config.yaml`, which
`--config` accepts. Settings under `run` and `tracking` do not change results, and runs that differ in nothing else are
the same run.
"""


def reference_page() -> str:
    """Return the page."""
    comments = yaml_comments(COMMENTED_FILE.read_text(encoding="utf-8"))
    rows = [
        (key, describe(declared), _yaml(_default(key)), comments.get(key, ""))
        for key, declared in all_settings(default_sequence()).items()
    ]
    parts = [_INTRODUCTION]
    for section, members in groupby(rows, key=lambda row: _section(row[0])):
        parts.append(_heading(section, comments.get(section, "")))
        parts.append("| key | takes | default | meaning |\n| --- | --- | --- | --- |\n")
        parts.extend(_row(*member) for member in members)
    return "".join(parts)


def yaml_comments(text: str) -> dict[str, str]:
    """Return the comment at the end of each `key: value` line by dotted key; nesting is by two spaces."""
    found: dict[str, str] = {}
    path: list[str] = []
    for line in text.splitlines():
        match = _LINE.match(line)
        if match:
            path = [*path[: len(match["indent"]) // _INDENT], match["name"]]
            found[".".join(path)] = match["comment"] or ""
    return found


def _section(key: str) -> str:
    parts = key.split(".")
    return ".".join(parts[:2]) if parts[0] == "sequence" else parts[0] if len(parts) > 1 else ""


def _heading(section: str, comment: str) -> str:
    if not section:
        return "\n"
    return f"\n## {section}\n\n{comment[:1].upper()}{comment[1:]}.\n\n"


def _row(*cells: str) -> str:
    key, takes, default, meaning = (cell.replace("|", "\\|") for cell in cells)
    return f"| `{key}` | {takes} | `{default}` | {meaning} |\n"


def _default(key: str) -> Any:
    stages = {name: schema() for name, schema in default_sequence().items()}
    value: Any = TrainingConfig(sequence=stages)
    for name in key.split("."):
        value = getattr(value, name) if isinstance(value, Schema) else value[name]
    return value


def _yaml(value: Any) -> str:
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, list):
        return f"[{', '.join(map(_yaml, value))}]"
    if isinstance(value, Schema):
        return _yaml({field.name: getattr(value, field.name) for field in fields(value)})
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {_yaml(item)}' for name, item in value.items())}}}"
    return value if isinstance(value, str) else show(value)


def main() -> None:
    """Write the page into the docs folder."""
    PAGE.write_text(reference_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
