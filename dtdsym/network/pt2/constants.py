"""What a graph of torch.export computes from constants alone: torch computes it, as it would when the module runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from dtdsym.network.aten.moves import MOST_PLACES, MOVES
from dtdsym.network.aten.operations import Call, writes
from dtdsym.network.builder import Value

# Files choose what runs here, so only operations that read nothing but their arguments and take time in proportion.
MAKES = ("arange", "eye", "full", "linspace", "ones", "scalar_tensor", "zeros")
_LIKE = ("full_like", "new_full", "new_ones", "new_zeros", "ones_like", "zeros_like")
_ALIKE = ("expand_as", "reshape_as", "type_as", "view_as")
_ARITHMETIC = (
    "add", "sub", "rsub", "mul", "div", "neg", "abs", "sqrt", "rsqrt", "pow", "exp", "log", "reciprocal", "square",
    "sum", "mean", "var", "std", "amax", "amin", "clamp", "clamp_min", "relu", "sigmoid", "tanh", "softmax", "cat",
    "stack", "to", "_to_copy", "detach_",
)  # fmt: skip
FOLDED = frozenset((*MAKES, *_LIKE, *_ALIKE, *_ARITHMETIC, *MOVES))
# What torch raises where an operation and its arguments do not go together.
_ERRORS = (RuntimeError, LookupError, TypeError, ValueError, ArithmeticError, AssertionError)


@dataclass(frozen=True, eq=False)
class Constant:
    """A tensor that does not depend on the input: float64 or int64 numbers, exactly those of its `dtype`.

    owner: the module that it is a parameter of, by its full name."""

    array: np.ndarray
    dtype: torch.dtype
    owner: str = ""

    def tensor(self) -> torch.Tensor:
        """As torch holds it."""
        return torch.from_numpy(np.array(self.array)).to(self.dtype)


@dataclass(frozen=True)
class Given:
    """A tensor that is computed from the input."""

    value: Value
    dtype: torch.dtype


@dataclass
class Folding:
    """Computes constants from constants. batch: how many samples a tensor of the input stands for."""

    batch: int
    left: int = MOST_PLACES
    _made: dict[Any, list[Constant]] = field(default_factory=dict)
    _kept: list[Any] = field(default_factory=list)

    def applies(self, call: Call) -> bool:
        """Whether the call depends on no number of the input."""
        taken = parts(call)
        shape_only = call.name in _LIKE or (call.name in _ALIKE and isinstance(next(iter(taken), None), Constant))
        return shape_only or not any(isinstance(part, Given) for part in taken)

    def apply(self, call: Call) -> list[Constant]:
        """Its results; the same again for the same call. Raises UnsupportedLayer for operations not done here."""
        if writes(call.operation) and call.name != "detach_":
            raise call.refuse(
                "it writes into a buffer or constant, as batch normalisation does in training mode; call eval() and "
                "change no buffers before the export"
            )
        if call.name not in FOLDED or any(argument.is_out for argument in call.operation._schema.arguments):
            raise call.refuse("it computes a constant in a way that is not read; compute it before the export")
        key = (str(call.operation), repr(_each(_identity, (call.arguments, dict(call.keywords)))))
        if key not in self._made:
            self._kept.append(call)  # so that the identities in its key stay theirs
            self._made[key] = self._compute(call)
        return self._made[key]

    def _compute(self, call: Call) -> list[Constant]:
        away: dict[str, Any] = {"device": torch.device("meta")} if call.name in MAKES else {}
        shapes = [part.shape for part in planned(call, self.batch, away)]
        self.left -= sum(math.prod(max(side, 1) for side in shape) for shape in shapes)
        if any(side < 0 for shape in shapes for side in shape):
            raise call.refuse(f"its result would have shape {list(shapes[0])}")
        if self.left < 0:
            raise call.refuse(f"its graph computes constants of more than {MOST_PLACES} numbers")
        here = replace(call, keywords={**call.keywords, **({"device": torch.device("cpu")} if away else {})})
        owner = _owner(call) if call.name in MOVES else ""
        return [_constant(part, owner) for part in _run(here, lambda part: _plain(part, self.batch))]


def planned(call: Call, batch: int, more: Mapping[str, Any] | None = None) -> list[torch.Tensor]:
    """The results as torch plans them, without numbers: their shapes and dtypes. Raises UnsupportedLayer."""
    return _run(replace(call, keywords={**call.keywords, **(more or {})}), lambda part: _shape(part, batch))


def parts(call: Call) -> list[Any]:
    """Its arguments, those in lists one by one."""
    found: list[Any] = []
    _each(found.append, (call.arguments, dict(call.keywords)))
    return found


def _run(call: Call, make: Any) -> list[torch.Tensor]:
    arguments, keywords = _each(make, (call.arguments, dict(call.keywords)))
    try:
        with torch.no_grad():
            out = call.operation(*arguments, **keywords)
    except _ERRORS as err:
        reason = next(iter(str(err).splitlines()), type(err).__name__)
        raise call.refuse(f"torch cannot perform it ({''.join(c for c in reason if c.isprintable())[:200]})") from err
    listed = list(out) if isinstance(out, list | tuple) else [out]
    if not all(isinstance(part, torch.Tensor) for part in listed):
        raise call.refuse("its results are no tensors")
    return listed


def _each(make: Any, arguments: Any) -> Any:
    """The same lists and dictionaries with `make` of every part."""
    if isinstance(arguments, Mapping):
        return {key: _each(make, part) for key, part in arguments.items()}
    if isinstance(arguments, Sequence) and not isinstance(arguments, str):
        return [_each(make, part) for part in arguments]
    return make(arguments)


def _shape(part: Any, batch: int) -> Any:
    match part:
        case Constant():
            return torch.empty(part.array.shape, dtype=part.dtype, device="meta")
        case Given():
            return torch.empty((batch, *part.value.shape), dtype=part.dtype, device="meta")
        case torch.device():
            return torch.device("meta")
    return part


def _plain(part: Any, batch: int) -> Any:
    """Constants as torch holds them; where only the shape of a value matters, one number seen everywhere."""
    match part:
        case Constant():
            return part.tensor()
        case Given():
            return torch.zeros((), dtype=part.dtype).expand(batch, *part.value.shape)
    return part


def _identity(part: Any) -> Any:
    return ("constant", id(part.array)) if isinstance(part, Constant) else repr(part)


def _owner(call: Call) -> str:
    return next((part.owner for part in parts(call) if isinstance(part, Constant)), "")


def _constant(tensor: torch.Tensor, owner: str) -> Constant:
    wide = torch.float64 if tensor.is_floating_point() else torch.int64
    return Constant(np.array(tensor.to(wide).numpy(), order="C"), tensor.dtype, owner)
