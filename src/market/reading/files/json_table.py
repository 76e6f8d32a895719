"""JSON as a table: a list of bars, in whichever envelope an exchange or a library wrapped it.

Bars are a list of rows, of records (nested ones are flattened: `mid.o`), columns of equal length, or an object whose
keys are times. Everything else in the answer is left aside.
"""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pandas as pd

from src.market.reading.files.encoding import Text

ROW = ("open_time", "open", "high", "low", "close", "volume")  # the order of a row without names
_SMALLEST = 4  # values that make a bar: time, and prices under names that a mapping may double


class JsonBars(NamedTuple):
    """Bars of a JSON file: a table, and the path of keys under which it lay."""

    table: pd.DataFrame
    path: str
    has_names: bool


def read_json(text: Text) -> JsonBars:
    """Return the bars of a JSON file.

    Raises:
        ValueError: it is no JSON, or holds no list of bars, or several.
    """
    content = _parsed(text.data)
    found = list(_tables(content, ""))
    if not found:
        first = content[0] if isinstance(content, list) and content else content
        raise ValueError(
            f"it holds no list of bars: rows are not [time, open, high, low, close, volume] but {first!r:.80}"
        )
    if len(found) > 1:
        paths = ", ".join(bars.path or "the whole" for bars in found[:5])
        raise ValueError(f"it holds {len(found)} lists of bars, {paths}; keep one of them in a file of its own")
    return found[0]


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except json.JSONDecodeError:
        lines = data.splitlines()
        if len(lines) < 2:
            raise
        return [json.loads(line) for line in lines if line.strip()]  # one record a line


def _tables(node: Any, path: str) -> Iterator[JsonBars]:
    if isinstance(node, list):
        yield from _from_list(node, path)
    elif isinstance(node, dict):
        yield from _from_object(node, path)


def _from_list(node: list[Any], path: str) -> Iterator[JsonBars]:
    if node and all(isinstance(row, dict) and len(row) >= _SMALLEST for row in node) and _has_numbers(node[0]):
        yield JsonBars(pd.json_normalize(node), path, True)
    elif node and all(isinstance(row, list) and len(row) >= _SMALLEST for row in node) and _is_row(node[0]):
        table = pd.DataFrame(node)
        yield JsonBars(table.set_axis([str(place) for place in table.columns], axis=1), path, False)
    else:
        for place, child in enumerate(node):
            yield from _tables(child, f"{path}[{place}]")


def _from_object(node: dict[str, Any], path: str) -> Iterator[JsonBars]:
    if {"columns", "data"} <= set(node) and isinstance(node["data"], list):  # pandas, orient="split"
        table = pd.DataFrame(node["data"], columns=node["columns"], index=node.get("index"))
        yield JsonBars(_named(table.reset_index(names="") if "index" in node else table), path, True)
    elif (columns := _columns(node)) is not None:
        yield JsonBars(_named(columns), path, True)
    elif len(node) > 1 and all(isinstance(row, dict) and _has_numbers(row) for row in node.values()):
        yield JsonBars(_keyed(node), path, True)
    else:
        for key, child in node.items():
            yield from _tables(child, f"{path}.{key}" if path else key)


def _columns(node: dict[str, Any]) -> pd.DataFrame | None:
    # Lists of one length side by side, also where the times stand beside an object that holds the prices (Yahoo).
    lists = _lists(node, "")
    length = max(map(len, lists.values()), default=0)
    longest = {name: values for name, values in lists.items() if len(values) == length}
    return pd.DataFrame(longest) if len(longest) >= _SMALLEST else None


def _lists(node: Any, path: str) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for key, child in node.items():
        name = f"{path}.{key}" if path else key
        if isinstance(child, list) and child and not isinstance(child[0], dict | list):
            found[name] = child
        elif isinstance(child, list) and len(child) == 1 and isinstance(child[0], dict):
            found |= _lists(child[0], name)
        elif isinstance(child, dict):
            found |= _lists(child, name)
    return found


def _keyed(node: dict[str, Any]) -> pd.DataFrame:
    # Records under their times; or columns whose rows have keys (pandas, its own orient).
    table = pd.DataFrame.from_dict(node, orient="index")
    of_columns = any(key.lower() in ("close", "c") for key in node)
    return _named((table.T if of_columns else table).reset_index(names=""))


def _named(table: pd.DataFrame) -> pd.DataFrame:
    return table.set_axis([str(name) for name in table.columns], axis=1)


def _has_numbers(record: dict[str, Any]) -> bool:
    return sum(_is_number(value) for value in pd.json_normalize(record).iloc[0]) >= _SMALLEST


def _is_row(row: list[Any]) -> bool:
    return sum(_is_number(value) for value in row) >= _SMALLEST


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True
