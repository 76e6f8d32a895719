"""A picture a notebook shows by itself."""

import io

from matplotlib.figure import Figure


class Picture(Figure):
    """A matplotlib figure; as the last line of a cell it is shown, whatever backend is in use."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=self.dpi)
        return buffer.getvalue()
