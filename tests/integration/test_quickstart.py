"""The notebook in `examples/` runs from its first cell to its last, and what it shows is what the repository shows."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "examples" / "quickstart.ipynb"
LARGEST = 400_000  # bytes: a notebook is read in the browser, and kept in the history for good

pytestmark = pytest.mark.ray


def kinds(notebook: nbformat.NotebookNode) -> list[set[str]]:
    """What each cell of code puts out: `text/html`, `image/png`, `stdout` and the like."""
    return [
        {kind for output in cell.outputs for kind in output.get("data", {output.get("name"): ""})}
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def test_every_cell_runs_and_shows_what_the_repository_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    committed, fresh = (nbformat.read(NOTEBOOK, as_version=4) for _ in range(2))
    place = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(fresh, timeout=300, kernel_name="python3", resources=place).execute()
    assert kinds(fresh) == kinds(committed)
    assert sum("image/png" in cell for cell in kinds(fresh)) >= 3
    assert list(tmp_path.iterdir()) == []  # trying it leaves nothing behind


def test_what_is_committed_is_small_and_says_nothing_of_the_machine_it_ran_on() -> None:
    text = NOTEBOOK.read_text()
    assert len(text) < LARGEST
    assert nbformat.validate(nbformat.reads(text, as_version=4)) is None
    for word in ('"stderr"', '"error"', "/home/", "/root/", "/tmp/"):
        assert word not in text
