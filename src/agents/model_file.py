"""The `.pth` model file: everything needed to trade a trained policy, in one sealed file.

The file is an ordinary torch archive (`torch.load(path, weights_only=True)` reads it) of tensors and plain data. Its
zip comment holds a sha256 over every other byte of the file, so a flipped or missing byte anywhere is noticed before
anything is unpickled. Files are called `{SYMBOLID}_{stage}.pth`; the champion is `{SYMBOLID}_autonomous_final.pth`.

Not here: the networks themselves (`src/models`), deciding which policy deserves to be saved (`src/training`), and
finding the file that a request means (`src/runs`).
"""

import hashlib
import io
import pickle
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_origin

import numpy as np

from src.errors import ModelFileError
from src.market.bars import SETTLED_IN, BarSeries, symbol_id
from src.market.splits import Splits
from src.storage import open_at_once, write_atomic

if TYPE_CHECKING:  # imported where it is used: what a file says of itself is read without it
    import torch

FORMAT_VERSION = 3
CHAMPION_STAGE = "autonomous_final"
SPLIT_NAMES = ("train", "validation", "test")

_SEAL = b"supertrader-model sha256 "
_SEAL_BYTES = 2 + len(_SEAL) + 64  # length field, name, digest
_NO_COMMENT = b"\x00\x00"  # the length field that ends a zip archive without comment

_MOST_VALUES = 1_000_000  # plain data may name one list many times, and be endless to walk
# What reading and building raise on data of the wrong kind.
UNFIT = (RuntimeError, ValueError, EOFError, LookupError, TypeError, AttributeError, ArithmeticError, AssertionError)


@dataclass(frozen=True)
class ModelFile:
    """Content of a model file: weights and plain data (numbers, strings, lists, dicts, None).

    Attributes:
        kind: algorithm in lower case, such as `ppo`.
        stage: stage key such as `stage_1_ppo`, or `autonomous_final` for the champion.
        symbol: as configured; two spellings with one `symbol_id` are the same symbol.
        weights: state dict of the model, on the CPU.
        model: description from which the network is built.
        features: `FeaturePipeline.to_plain()`, fitted scaler included.
        rules: `TradingRules.to_plain()`.
        data_fingerprint: `BarSeries.fingerprint` of the bars it was trained on.
        split: `describe_split(bars, splits)`: row and time ranges of train, validation and test.
        config: the resolved settings of the run.
        evaluations: how many candidate evaluations the selection of these weights looked at.
        validation: statistics on the validation split.
        verdict: one line of judgement, such as `passed` or the reason it did not.
        lineage: ancestors, oldest first.
        dossier: how a champion was bred and judged: genome, fitness, adaptations, promotion; empty for others.
        plugins: modules that hold what it sees or was rewarded by, each with `plugins.source_hash`.
    """

    kind: str
    stage: str
    symbol: str
    timeframe: str
    weights: dict[str, "torch.Tensor"]
    model: dict[str, Any]
    features: dict[str, Any]
    rules: dict[str, Any]
    data_fingerprint: str
    split: dict[str, Any]
    config: dict[str, Any]
    evaluations: int
    validation: dict[str, Any]
    verdict: str
    lineage: list[Any]
    dossier: dict[str, Any] = field(default_factory=dict)
    plugins: dict[str, str] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION


def describe_split(bars: BarSeries, splits: Splits) -> dict[str, Any]:
    """Return the rows [start, stop) and the closing times (first, last; UTC ms) of each part of a split."""
    return {name: _describe_rows(bars, splits.named(name)) for name in SPLIT_NAMES}


def model_path(symbol: str, stage: str, checkpoints_dir: Path) -> Path:
    """Return where the model of a symbol and stage lives."""
    return checkpoints_dir / f"{symbol_id(symbol)}_{stage}.pth"


def require_champion(symbol: str, checkpoints_dir: Path) -> None:
    """Refuse a symbol without a champion, without opening anything.

    Raises:
        ModelFileError: naming the file, and what there is instead.
    """
    path = model_path(symbol, CHAMPION_STAGE, checkpoints_dir)
    if path.exists():
        return
    if others := settled_otherwise(symbol, checkpoints_dir):
        raise ModelFileError(f"{path} does not exist; {others}: name one of them, or train with symbol='{symbol}'")
    raise ModelFileError(f"{path} does not exist; train a model first or check the name")


def settled_otherwise(symbol: str, checkpoints_dir: Path) -> str:
    """Say which models there are of the same pair settled otherwise, such as of its spot market; empty without any."""
    identity = symbol_id(symbol)
    pair = identity.split(SETTLED_IN)[0]
    others = {path.stem.split("_")[0] for path in checkpoints_dir.glob(f"{pair}*_*.pth")} - {identity}
    same_pair = sorted(other for other in others if other.split(SETTLED_IN)[0] == pair)
    if not same_pair:
        return ""
    return f"there are models of {' and '.join(same_pair)}, but {symbol} is another market"


def save_model(path: Path, file: ModelFile) -> None:
    """Write a model file atomically: after a crash the path holds the old file or the new one, never half of one.

    Raises:
        ModelFileError: a value is neither tensor nor plain data, a weight is NaN, or the folder cannot be written.
    """
    import torch

    content = {part.name: _storable(getattr(file, part.name), part.name) for part in fields(file)}
    buffer = io.BytesIO()
    torch.save(content, buffer)
    try:
        write_atomic(path, _sealed(buffer.getvalue()))
    except OSError as error:
        raise ModelFileError(f"{path} cannot be written ({error.strerror}); check the folder and its rights") from error


def load_model(path: Path) -> ModelFile:
    """Read and verify a model file; nothing of it is executed.

    Raises:
        ModelFileError: as `model_from_bytes`, or it cannot be read.
    """
    return model_from_bytes(path, read_bytes(path))


def model_from_bytes(path: Path, data: bytes) -> ModelFile:
    """Verify what was read from a model file.

    Raises:
        ModelFileError: damaged, not a model file, of another format version, incomplete, larger unpacked than as a
            file, or with a part of another kind than `ModelFile` says.
    """
    import torch

    def unpickle(archive: bytes) -> Any:
        return torch.load(io.BytesIO(archive), weights_only=True, map_location="cpu")

    parts = parts_of(path, data, unpickle, torch.Tensor)
    _require_sound_weights(path, parts["weights"], len(data))
    return ModelFile(**parts)


def read_bytes(path: Path) -> bytes:
    """Return the bytes of a model file.

    Raises:
        ModelFileError: it does not exist or cannot be read.
    """
    try:
        with open_at_once(path) as file:
            return file.read() or b""
    except FileNotFoundError as error:
        raise ModelFileError(f"{path} does not exist; train a model first or check the name") from error
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read ({error.strerror}); name a readable model file") from error


def parts_of(path: Path, data: bytes, unpickle: Callable[[bytes], Any], tensor: type) -> dict[str, Any]:
    """Verify what was read from a model file, and return its parts by the names of `ModelFile`.

    Args:
        unpickle: makes the parts out of the bytes of the torch archive, refusing all but tensors and plain data.
        tensor: what it makes of a tensor.

    Raises:
        ModelFileError: as `model_from_bytes`.
    """
    archive = _unsealed(path, data)
    _require_unpacked(path, archive)
    try:
        content = unpickle(archive)
    except (pickle.UnpicklingError, *UNFIT) as error:
        raise ModelFileError(f"{path} holds more than tensors and plain data; do not use it, train anew") from error
    return _checked(path, content, tensor)


def require_match(file: ModelFile, symbol: str, timeframe: str, features: Sequence[str] | None = None) -> None:
    """Refuse a model of another symbol, timeframe or (where given) list of feature names.

    Raises:
        ModelFileError: naming both sides.
    """
    name = f"model {symbol_id(file.symbol)}_{file.stage}"
    if symbol_id(file.symbol) != symbol_id(symbol):
        raise ModelFileError(f"{name} was trained for {file.symbol}, not {symbol}; choose a model of {symbol}")
    if file.timeframe != timeframe:
        raise ModelFileError(f"{name} was trained on {file.timeframe} bars, not {timeframe}; use {file.timeframe} bars")
    trained_with = file.features.get("names", [])
    if features is not None and list(features) != trained_with:
        raise ModelFileError(f"{name} was trained on the features {trained_with}, not {list(features)}; use its own")


def _describe_rows(bars: BarSeries, rows: range) -> dict[str, Any]:
    times = [int(bars.close_time[rows[0]]), int(bars.close_time[rows[-1]])] if rows else None
    return {"rows": [rows.start, rows.stop], "time": times}


def _storable(value: Any, where: str) -> Any:
    # Tensors are copied, so a view does not drag its whole storage along; NumPy scalars and enums become plain.
    import torch

    if isinstance(value, torch.Tensor):
        if value.is_floating_point() and bool(value.isnan().any()):
            raise ModelFileError(
                f"{where} holds NaN, so no model file was written; lower the learning rate and retrain"
            )
        return value.detach().cpu().clone().contiguous()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): _storable(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if value is None or type(value) in (bool, int, float, str):
        return value
    raise ModelFileError(f"{where} is a {type(value).__name__}, which a model file cannot hold; give plain data")


def _seal(archive: bytes) -> bytes:
    # What replaces the empty zip comment at the archive's end: length, name and checksum.
    digest = hashlib.sha256(archive).hexdigest().encode()
    return (_SEAL_BYTES - 2).to_bytes(2, "little") + _SEAL + digest


def _sealed(archive: bytes) -> bytes:
    assert archive[-22:-18] == b"PK\x05\x06", "torch.save no longer ends with a zip directory"
    assert archive.endswith(_NO_COMMENT), "torch.save now writes a zip comment of its own"
    return archive[:-2] + _seal(archive)


def _unsealed(path: Path, data: bytes) -> bytes:
    # Returns the archive as it was before sealing, having checked every byte of it.
    if not data:
        raise ModelFileError(f"{path} is empty; copy it again from its source or train anew")
    if not data.startswith(b"PK"):
        raise ModelFileError(f"{path} is not a model file; name a .pth written by run_training.py")
    archive = data[:-_SEAL_BYTES] + _NO_COMMENT
    if data[-_SEAL_BYTES:] != _seal(archive):
        raise ModelFileError(f"{path} is damaged (its checksum does not match); copy it again or train anew")
    return archive


def _require_unpacked(path: Path, archive: bytes) -> None:
    # torch packs nothing, so what an archive holds is no larger than the archive.
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            unpacked = sum(entry.file_size for entry in opened.infolist())
    except (zipfile.BadZipFile, NotImplementedError, *UNFIT) as error:
        raise ModelFileError(f"{path} is no archive of torch; copy it again from its source or train anew") from error
    if unpacked > len(archive):
        raise ModelFileError(
            f"{path} has {len(archive):,} bytes and would unpack to {unpacked:,}; do not use it, train anew"
        )


def _checked(path: Path, content: Any, tensor: type) -> dict[str, Any]:
    if not isinstance(content, dict) or "format_version" not in content:
        raise ModelFileError(f"{path} holds no model; name a .pth written by run_training.py")
    version = content["format_version"]
    if version != FORMAT_VERSION:
        raise ModelFileError(
            f"{path} was written by another version of this program (format {version}, this one reads "
            f"{FORMAT_VERSION}); make a new one with: python run_training.py symbol={content.get('symbol', '...')}"
        )
    expected = {part.name for part in fields(ModelFile)}
    odd = sorted(expected ^ content.keys())
    if odd:
        raise ModelFileError(f"{path} has missing or unknown parts ({', '.join(map(str, odd))}); train anew")
    left = _MOST_VALUES
    for part in fields(ModelFile):
        value, kind = content[part.name], get_origin(part.type) or cast(type, part.type)
        if type(value) is not kind:
            raise ModelFileError(
                f"{path}: '{part.name}' is a {type(value).__name__}, not a {kind.__name__}; train anew"
            )
        if part.name != "weights":
            left -= _count_plain(path, part.name, value, tensor, left)
    return content


def _count_plain(path: Path, where: str, value: Any, tensor: type, most: int) -> int:
    # Of all that a part holds, depth first, without recursion: it may be nested deeper than Python's stack.
    waiting, count = [value], 0
    while waiting:
        count += 1
        each = waiting.pop()
        if isinstance(each, dict):
            if any(type(key) is not str for key in each):
                raise ModelFileError(f"{path}: '{where}' has a key that is no text; train anew")
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)
        elif each is not None and type(each) not in (bool, int, float, str, tensor):
            raise ModelFileError(f"{path}: '{where}' holds a {type(each).__name__}, no plain data; train anew")
        if count + len(waiting) > most:
            raise ModelFileError(f"{path}: '{where}' holds more than {_MOST_VALUES:,} values; train anew")
    return count


def _require_sound_weights(path: Path, weights: Mapping[Any, Any], size: int) -> None:
    import torch

    left = size
    for name, value in weights.items():
        if type(name) is not str or not isinstance(value, torch.Tensor) or value.layout != torch.strided:
            raise ModelFileError(f"{path}: weight '{name}' is a {type(value).__name__}, no tensor; train anew")
        if value.is_meta or value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise ModelFileError(f"{path}: weight '{name}' is larger than what the file holds of it; train anew")
        left -= value.numel() * value.element_size()
        if left < 0:  # some share their numbers, and would be given their own
            raise ModelFileError(f"{path}: its weights are larger than the file; train anew")
        if value.is_floating_point() and bool(value.isnan().any()):
            raise ModelFileError(f"{path}: weight '{name}' holds NaN; train anew")
