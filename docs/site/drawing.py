"""Draws docs/architecture.svg from the code: `python docs/site/drawing.py`.

Rows are the layers of the import contract in pyproject.toml; neighbours that do not import from one another share one.
An arrow says "imports from". Those that follow from others (A to B, B to C, so A to C) are left out, which is what
makes the drawing readable: every import of the code runs along arrows, and every arrow is an import.
"""

import ast
import tomllib
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
DRAWING = ROOT / "docs" / "architecture.svg"

COLOURS = {
    "what commands do": "#dbe7ff",
    "agents": "#e9dcff",
    "trading": "#d8f2df",
    "data": "#fff0c9",
    "figures and files": "#ffdfe6",
    "common ground": "#e8eaee",
}
PACKAGES = {  # what a package is for, and its part of the whole
    "training": ("stages, on Ray RLlib", "what commands do"),
    "commands": ("backtest, compare, inspect", "what commands do"),
    "live": ("the bot", "what commands do"),
    "completion": ("names for the shell", "what commands do"),
    "runs": ("folders of runs, models", "figures and files"),
    "backtesting": ("engine, environments", "trading"),
    "agents": ("policies, the model file", "agents"),
    "models": ("networks, in torch", "agents"),
    "memory": ("what resembles now", "agents"),
    "reasoning": ("regimes, chart patterns", "agents"),
    "nas": ("search of architectures", "agents"),
    "reporting": ("pages, tables, progress", "figures and files"),
    "evaluation": ("figures, and how sure", "figures and files"),
    "trading": ("the bar loop", "trading"),
    "risk": ("sizing, the guard", "trading"),
    "brokerage": ("accounts at exchanges", "trading"),
    "journal": ("what a bot must not lose", "trading"),
    "execution": ("the ledger, costs, orders", "trading"),
    "features": ("causal indicators", "data"),
    "market": ("bars, and where from", "data"),
    "config": ("every setting", "common ground"),
    "signing": ("who vouches for a model", "common ground"),
    "command_line": ("how commands end", "common ground"),
    "storage": ("safe writing, locks", "common ground"),
    "seeding": ("random streams", "common ground"),
    "plugins": ("modules of your own", "common ground"),
    "printable": ("text from elsewhere", "common ground"),
    "source_code": ("which files code rests on", "common ground"),
    "errors": ("the tree of errors", "common ground"),
}

Imports = dict[str, set[str]]  # of each package, those it imports from
Place = tuple[float, float]

_BOX_WIDTH, _BOX_HEIGHT, _GAP, _ROW = 164, 46, 24, 82
_BEND_WIDTH = 10  # what an arrow takes that passes through a row
_MARGIN, _LEGEND = 28, 44


def layers() -> list[list[str]]:
    """Return the packages of each layer of the contract, from the top."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = (one for one in settings["tool"]["importlinter"]["contracts"] if one["type"] == "layers")
    return [[name.strip().removeprefix("src.") for name in layer.split("|")] for layer in contract["layers"]]


def imports() -> Imports:
    """Return what each package of src imports from."""
    found: Imports = {}
    for path in sorted((ROOT / "src").rglob("*.py")):
        package = path.relative_to(ROOT / "src").with_suffix("").parts[0]
        if package != "__init__":
            found.setdefault(package, set()).update(_imported(path) - {package})
    return found


def _imported(path: Path) -> set[str]:
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            names += [node.module] if node.module != "src" else [f"src.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    return {name.split(".")[1] for name in names if name.startswith("src.")}


def without_implied(all_imports: Imports) -> Imports:
    """Return only the imports that do not follow from others."""
    reached = {package: _reached(package, all_imports) for package in all_imports}
    return {
        package: {one for one in direct if not any(one in reached[other] for other in direct)}
        for package, direct in all_imports.items()
    }


def _reached(package: str, all_imports: Imports) -> set[str]:
    found: set[str] = set()
    for one in all_imports[package]:
        found |= {one} | _reached(one, all_imports)
    return found


class Item(NamedTuple):
    """Something in a row: a package, or the bend of the arrows that pass through on their way to one."""

    package: str
    is_bend: bool = False

    @property
    def width(self) -> int:
        """How much of the row it takes."""
        return _BEND_WIDTH if self.is_bend else _BOX_WIDTH


Arrow = tuple[Item, Item]  # from one row to the next


def rows_of(all_imports: Imports) -> list[list[str]]:
    """Return the rows of the drawing, from the top: layers, merged where one does not import from the other."""
    rows: list[list[str]] = []
    for layer in layers():
        if rows and not any(all_imports[above] & set(layer) for above in rows[-1]):
            rows[-1] += layer
        else:
            rows.append(list(layer))
    return rows


def with_bends(rows: list[list[str]], drawn: Imports) -> tuple[list[list[Item]], list[dict[Arrow, None]]]:
    """Return the items of every row, and between each row and the next its arrows.

    Arrows to the same package join on their way.
    """
    items = [[Item(name) for name in row] for row in rows]
    row_of = {name: place for place, row in enumerate(rows) for name in row}
    steps: list[dict[Arrow, None]] = [{} for _ in rows]
    for package, target in ((one, other) for row in rows for one in row for other in sorted(drawn[one])):
        before = Item(package)
        for place in range(row_of[package] + 1, row_of[target] + 1):
            item = Item(target, is_bend=place < row_of[target])
            if item not in items[place]:
                items[place].append(item)
            steps[place - 1][before, item] = None
            before = item
    return items, steps


def places(items: list[list[Item]], steps: list[dict[Arrow, None]]) -> list[dict[Item, float]]:
    """Return the middle of every item: each row is drawn, again and again, towards what it is connected to."""
    at = [_spread(row, dict.fromkeys(row, 0.0)) for row in items]
    for sweep in range(60):
        down, orders = sweep % 2 == 0, sweep < 16  # then the order stays, and lines become straight
        for place in range(len(items)) if down else reversed(range(len(items))):
            both = not (orders and down)
            wanted = {
                item: _average(list(_connected(item, place, steps, at, both)) or [at[place][item]])
                for item in items[place]
            }
            if orders:
                items[place].sort(key=lambda item: wanted[item])
            at[place] = _spread(items[place], wanted)
    return at


def _connected(
    item: Item, place: int, steps: list[dict[Arrow, None]], at: list[dict[Item, float]], both: bool
) -> Iterator[float]:
    if place > 0:
        yield from (at[place - 1][one] for one, other in steps[place - 1] if other == item)
    if both:
        yield from (at[place + 1][other] for one, other in steps[place] if one == item)


def _spread(row: list[Item], wanted: Mapping[Item, float]) -> dict[Item, float]:
    # Middles as near to those wanted as the widths allow, in the order of the row: those that would overlap move
    # together, to where they are right on average.
    offsets = [0.0]
    for one, other in pairwise(row):
        offsets.append(offsets[-1] + (one.width + other.width) / 2 + _GAP)
    groups: list[list[float]] = []
    for item, offset in zip(row, offsets, strict=True):
        groups.append([wanted[item] - offset])
        while len(groups) > 1 and _average(groups[-2]) > _average(groups[-1]):
            groups[-2:] = [groups[-2] + groups[-1]]
    starts = [_average(group) for group in groups for _ in group]
    return {item: start + offset for item, start, offset in zip(row, starts, offsets, strict=True)}


def _average(values: list[float]) -> float:
    return sum(values) / len(values)


def drawing() -> str:
    """Return the drawing, as SVG."""
    all_imports = imports()
    missing = sorted(set(all_imports) - set(PACKAGES))
    assert not missing, f"say in PACKAGES of docs/site/drawing.py what these packages are for: {missing}"
    items, steps = with_bends(rows_of(all_imports), without_implied(all_imports))
    at = places(items, steps)
    left = min(middle - item.width / 2 for row in at for item, middle in row.items()) - _MARGIN
    width = max(middle + item.width / 2 for row in at for item, middle in row.items()) + _MARGIN - left
    height = _MARGIN + len(items) * _ROW + _LEGEND
    middles = {
        (place, item): (x - left, _MARGIN + place * _ROW) for place, row in enumerate(at) for item, x in row.items()
    }
    lines = [*_arrows(steps, middles), *_boxes(middles), *_legend(width, height)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" font-family="sans-serif">\n'
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0,0 L8,4 L0,8 z" fill="#5b6472"/></marker></defs>\n'
        f'<rect width="{width:.0f}" height="{height}" rx="10" fill="#fcfcfd"/>\n' + "\n".join(lines) + "\n</svg>\n"
    )


def _arrows(steps: list[dict[Arrow, None]], middles: Mapping[tuple[int, Item], Place]) -> Iterator[str]:
    for place, arrows in enumerate(steps):
        for one, other in arrows:
            (x, y), (to_x, to_y) = middles[place, one], middles[place + 1, other]
            y += _BOX_HEIGHT
            start = f"M{x:.0f},{y - _BOX_HEIGHT if one.is_bend else y}" + (f" L{x:.0f},{y}" if one.is_bend else "")
            half = (y + to_y) / 2
            end = "" if other.is_bend else ' marker-end="url(#head)"'
            label = f"towards {other.package}" if one.is_bend else f"{one.package} imports from {other.package}"
            yield (
                f'<path d="{start} C{x:.0f},{half:.0f} {to_x:.0f},{half:.0f} {to_x:.0f},{to_y}" fill="none" '
                f'stroke="#5b6472" stroke-width="1.3"{end}><title>{label}</title></path>'
            )


def _boxes(middles: Mapping[tuple[int, Item], Place]) -> Iterator[str]:
    for (_, item), (x, y) in middles.items():
        if not item.is_bend:
            purpose, part = PACKAGES[item.package]
            yield (
                f'<g><rect x="{x - _BOX_WIDTH / 2:.0f}" y="{y}" width="{_BOX_WIDTH}" height="{_BOX_HEIGHT}" rx="6" '
                f'fill="{COLOURS[part]}" stroke="#8a93a3"/>'
                f'<text x="{x:.0f}" y="{y + 19}" text-anchor="middle" font-size="14" font-weight="bold" '
                f'fill="#1c2430">{item.package}</text>'
                f'<text x="{x:.0f}" y="{y + 36}" text-anchor="middle" font-size="11.5" fill="#414b5a">{purpose}</text>'
                "</g>"
            )


def _legend(width: float, height: int) -> Iterator[str]:
    x, y = _MARGIN, height - _LEGEND + 10
    for part, colour in COLOURS.items():
        yield f'<rect x="{x}" y="{y}" width="14" height="14" rx="3" fill="{colour}" stroke="#8a93a3"/>'
        yield f'<text x="{x + 20}" y="{y + 12}" font-size="12" fill="#414b5a">{part}</text>'
        x += 40 + 6 * len(part)


if __name__ == "__main__":
    DRAWING.write_text(drawing(), encoding="utf-8")
