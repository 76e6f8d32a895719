"""What a model file says of itself, read without torch: its tensors stay unread and stand as their shapes."""

import hashlib
import io
import math
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any, NamedTuple

from src.agents.model_file import parts_of, read_bytes
from src.plugins import require_sources
from src.reporting.model_contents import Section, model_contents


class TensorShape(NamedTuple):
    """Stands for a tensor of a model file."""

    dims: tuple[int, ...]

    @property
    def numel(self) -> int:
        """How many numbers the tensor holds."""
        return math.prod(self.dims)

    def __len__(self) -> int:
        return self.dims[0]


def read_content(path: Path) -> dict[str, Any]:
    """Verify a model file and return its parts by the names of `ModelFile`, each tensor as a `TensorShape`.

    Raises:
        ModelFileError: missing, damaged, not a model file, of another format version, or incomplete.
    """
    return parts_of(path, read_bytes(path), _shapes_and_plain_data, TensorShape)


def describe_model(path: Path) -> list[Section]:
    """Describe a model file in words; no network is built, and the plug-ins it names are imported, nothing more.

    Raises:
        ModelFileError: as `read_content`; or a plug-in is missing or not the one it was trained with.
    """
    content = read_content(path)
    require_sources(str(path), content["plugins"])
    weights = sum(tensor.numel for tensor in content.pop("weights").values())
    return model_contents(content, weights, hashlib.sha256(path.read_bytes()).hexdigest())


def _shapes_and_plain_data(archive: bytes) -> Any:
    with zipfile.ZipFile(io.BytesIO(archive)) as parts:
        name = next(name for name in parts.namelist() if name.endswith("/data.pkl"))
        return _Unpickler(io.BytesIO(parts.read(name))).load()


class _Unpickler(pickle.Unpickler):
    """Makes plain data and shapes; refuses to make anything else, as `torch.load(weights_only=True)` does."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _shape
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch" and name.endswith("Storage"):
            return name
        raise pickle.UnpicklingError(f"{module}.{name} is neither a tensor nor plain data")

    def persistent_load(self, pid: Any) -> None:
        """Leave the numbers of a tensor on disk."""


def _shape(_storage: None, _offset: int, dims: tuple[int, ...], *_: Any) -> TensorShape:
    return TensorShape(tuple(dims))
