"""Which inputs are audited: rows that were given, or samples that depend on the seed alone."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dtdsym.arithmetic.enclosure import UNDECIDED, sign
from dtdsym.arithmetic.rational import fraction
from dtdsym.errors import DtdsymError, InputError
from dtdsym.network.load import load_tensor
from dtdsym.network.network import Network
from dtdsym.survey.settings import Domain
from dtdsym.survey.sizes import is_large
from dtdsym.survey.stages import outputs, stages_of

TRIES = 1000
LARGEST_NPZ = 2**31
UNREADABLE = (OSError, ValueError, EOFError, KeyError, MemoryError, NotImplementedError, zipfile.BadZipFile, zlib.error)
BATCH_OF_DRAWS = 16
_FORMATS = "supported are .npy, .npz, .csv and .pt with one input a row"


@dataclass(frozen=True, eq=False)
class Batch:
    """points (k, in), float64, the exact inputs; rejected: draws thrown away on the way to them."""

    points: np.ndarray
    rejected: int = 0


@dataclass(frozen=True, eq=False)
class GivenInputs:
    """Rows (n, in) of an array, perhaps one that lies on disk; read batch by batch. what: the word for them."""

    rows: np.ndarray
    source: str
    what: str = "inputs"

    @property
    def count(self) -> int:
        """Number of rows."""
        return len(self.rows)

    def batch(self, start: int, stop: int) -> Batch:
        """Rows start to stop. Raises InputError for one that is not finite."""
        raw = np.asarray(self.rows[start:stop])
        points = raw.astype(np.float64)
        if raw.dtype.kind in "iu" and ((raw > 2**53) | (raw < -(2**53))).any():
            raise InputError(f"{self.source}: an integer beyond 2^53 is not exactly a float; scale the inputs")
        if not np.isfinite(points).all():
            row, column = (int(n) for n in np.argwhere(~np.isfinite(points))[0])
            met = f"row {start + row}, column {column} is {points[row, column]}"
            raise InputError(f"{self.source}: {met}; {self.what} must be finite")
        return Batch(points)

    def check(self) -> None:
        """Raises InputError for a row that is not finite, before anything is audited; reads one part at a time."""
        for start in range(0, self.count, 4096):
            self.batch(start, start + 4096)

    def fingerprint(self) -> dict[str, Any]:
        """What makes these inputs these: their number and the hash of their values."""
        digest = hashlib.sha256()
        for start in range(0, self.count, 4096):
            digest.update(self.batch(start, start + 4096).points.tobytes())
        return {"count": self.count, "sha256": digest.hexdigest()}


@dataclass(frozen=True, eq=False)
class SampledInputs:
    """Input i is drawn by a generator seeded with (seed, i), so it does not depend on batches, workers or a resume.

    Drawn until the explained logit (None: the largest output) is above `min_logit`, at most TRIES times. Rounded to
    float32, which keeps the rationals short.
    """

    network: Network
    domain: Domain
    logit: int | None
    min_logit: float
    count: int
    seed: int
    source: str = "sampled"

    def __post_init__(self) -> None:
        if self.count < 1:
            raise InputError(f"{self.count} samples asked for; give at least 1")

    def batch(self, start: int, stop: int) -> Batch:
        """Samples start to stop. Raises InputError where no draw has a logit above the least one."""
        drawn = [self._sample(index) for index in range(start, stop)]
        points = np.array([point for point, _ in drawn]).reshape(len(drawn), self.network.sizes[0])
        return Batch(points, sum(rejected for _, rejected in drawn))

    def fingerprint(self) -> dict[str, Any]:
        """What makes these inputs these."""
        return {"count": self.count, "seed": self.seed}

    def _sample(self, index: int) -> tuple[np.ndarray, int]:
        rng = np.random.default_rng([self.seed, index])
        each = 1 if is_large(self.network) else BATCH_OF_DRAWS
        for tried in range(0, TRIES, each):
            points = self._draw(rng, min(each, TRIES - tried))
            for number, above in enumerate(self._above(points)):
                if above:
                    return points[number], tried + number
        logit = "the largest output" if self.logit is None else f"logit {self.logit}"
        raise InputError(
            f"no input with {logit} above {self.min_logit:g} found in {TRIES} draws (seed {self.seed}, domain "
            f"{self.domain.name}); lower --min-logit, choose another --logit or --domain, or give inputs with --input"
        )

    def _draw(self, rng: np.random.Generator, number: int) -> np.ndarray:
        shape = (number, self.network.sizes[0])
        low, high = self.domain.low, self.domain.high
        if low is not None and high is not None:
            drawn = rng.uniform(float(low), float(high), shape).astype(np.float32).astype(np.float64)
            return np.clip(drawn, float(low), float(high))
        drawn = rng.standard_normal(shape).astype(np.float32).astype(np.float64)
        return drawn if low is None else np.abs(drawn)

    def _above(self, points: np.ndarray) -> list[bool]:
        signs = np.full((len(points), self._explained.sizes[-1]), UNDECIDED)
        for stage in stages_of(self._explained):
            left = np.flatnonzero(~(signs == 1).any(1) & (signs == UNDECIDED).any(1))
            if len(left):
                signs[left] = sign(outputs(self._explained, stage, points[left]) - self.min_logit).cpu().numpy()
        surely, perhaps = (signs == 1).any(1).tolist(), (signs == UNDECIDED).any(1).tolist()
        rows = zip(surely, perhaps, points, strict=True)
        return [yes or (maybe and self._exactly(point)) for yes, maybe, point in rows]

    def _exactly(self, point: np.ndarray) -> bool:
        """A draw whose logit cannot be told from the least one is thrown away where no exact pass is at hand."""
        return not is_large(self.network) and max(self._explained(point.tolist())) > Fraction(self.min_logit)

    @cached_property
    def _explained(self) -> Network:
        return self.network if self.logit is None else self.network.logit(self.logit)


def as_inputs(inputs: Any, network: Network) -> GivenInputs | SampledInputs:
    """Inputs for this network from rows of numbers (n, in), images (n, ...), an array, a tensor, or inputs themselves.

    Numbers that are not floats must be exactly floats. Raises InputError."""
    if isinstance(inputs, GivenInputs | SampledInputs):
        return inputs
    if isinstance(inputs, torch.Tensor):
        inputs = (inputs.detach().double() if inputs.is_floating_point() else inputs).cpu().numpy()
    given = _rows(inputs if isinstance(inputs, np.ndarray) else _exact_rows(inputs), network, "the given array")
    given.check()
    return given


def read_inputs(path: str | Path, network: Network, what: str = "inputs") -> GivenInputs:
    """Inputs, or what has a number for each (`what` names it), from a file: .npy (read from the disk as they are
    needed), .npz, .csv, or .pt with a tensor.

    Nothing in a file is executed. Raises InputError with one line."""
    name = str(path)
    try:
        rows = _read(Path(path))
    except UNREADABLE as err:
        reason = getattr(err, "strerror", None) or (str(err).splitlines() or [type(err).__name__])[0]
        raise InputError(f"{name}: cannot be read as inputs ({reason}); {_FORMATS}") from err
    except InputError as err:
        raise InputError(f"{name}: {err}") from err
    given = replace(_rows(rows, network, name), what=what)
    given.check()
    return given


def _read(path: Path) -> np.ndarray:
    start = _first_bytes(path)
    if not start:
        raise InputError(f"the file is empty; {_FORMATS}")
    if start.startswith(b"\x93NUMPY"):
        return np.load(path, mmap_mode="r", allow_pickle=False)
    if path.suffix == ".csv":
        return np.loadtxt(path, delimiter=",", ndmin=2, dtype=np.float64)
    if path.suffix == ".npz":
        return _from_npz(path)
    if path.suffix == ".pt" or start.startswith((b"PK", b"\x80")):
        try:
            return load_tensor(path)
        except DtdsymError as err:
            raise InputError(str(err).removeprefix(f"{path}: ")) from err
    raise InputError(f"not a file of inputs that is understood; {_FORMATS}")


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(8)


def _from_npz(path: Path) -> np.ndarray:
    with zipfile.ZipFile(path) as members:
        size = sum(member.file_size for member in members.infolist())
        if size > LARGEST_NPZ:
            raise InputError(f"unpacks to {size} bytes; of .npz at most {LARGEST_NPZ} are read, use .npy for more")
    with np.load(path, allow_pickle=False) as archive:
        names = list(archive)
        chosen = [name for name in ("inputs", "x") if name in names] or names
        if not names or (len(chosen) > 1 and chosen[0] not in ("inputs", "x")):
            raise InputError(f"holds the arrays {', '.join(names) or '(none)'}; keep one, or name it inputs")
        return np.asarray(archive[chosen[0]])


def _exact_rows(inputs: Any) -> np.ndarray:
    try:
        array = np.array(inputs, dtype=object)
    except ValueError as err:
        raise InputError("the inputs: rows of different lengths; give one row of numbers an input") from err
    numbers = [fraction(number) for number in array.ravel()]
    floats = np.array([float(number) for number in numbers]).reshape(array.shape)
    if any(Fraction(f) != number for f, number in zip(floats.ravel().tolist(), numbers, strict=True)):
        raise InputError("the inputs: a number is no float; audits take floats, for other rationals use dtdsym.place")
    return floats


def _rows(array: np.ndarray, network: Network, source: str) -> GivenInputs:
    size = network.sizes[0]
    if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
        raise InputError(f"{source}: numbers of type {array.dtype}; give floats of at most 64 bits, or integers")
    rows = array.ndim >= 2 and array.shape[0] > 0 and int(np.prod(array.shape[1:])) == size
    if not rows or not _laid_out(array.shape[1:], network.input_shape):
        raise InputError(f"{source}: shape {tuple(array.shape)}; {_expected(array.shape, network.input_shape)}")
    return GivenInputs(array.reshape(len(array), size), source)


def _laid_out(shape: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    """Whether one input of this shape has its numbers where the network expects them, whatever sides of 1 are left out
    or added; a flat row is taken as it stands, and so is anything where the network itself is flat."""
    without = [tuple(side for side in sides if side != 1) for sides in (shape, expected)]
    return len(shape) == 1 or len(expected) == 1 or without[0] == without[1]


def _expected(shape: tuple[int, ...], expected: tuple[int, ...]) -> str:
    """What the network needs, and what may have gone wrong."""
    size = int(np.prod(expected))
    whole = "" if len(expected) == 1 else f" or {('n', *expected)}".replace("'", "")
    hint = ""
    if tuple(shape) == expected:
        hint = "; this is one input without a batch dimension: add one, array[None]"
    elif len(expected) > 1 and tuple(shape[1:]) == (*expected[1:], expected[0]):
        hint = "; its channels come last: np.moveaxis(array, -1, 1) puts them first"
    return f"this network needs (n, {size}){whole} with n >= 1: one input a row, of {size} numbers{hint}"
