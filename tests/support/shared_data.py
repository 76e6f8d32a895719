"""Where the developers' market data lies, and the mark of tests that need it."""

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"

needs_shared_data = pytest.mark.skipif(
    not SHARED_DATA.is_dir(), reason="the developers' market data is not next to this checkout"
)
