"""Operations of torch that only move numbers: views, permutations, slices, padding, repetition.

Each is performed by torch itself on numbers that say where they stand, so that where they end up says what it does;
whether samples stay apart is read off too.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from dtdsym.network.builder import Value

if TYPE_CHECKING:
    from dtdsym.network.aten.operations import Call, Operations

MOST_PLACES = 2**26  # numbers that say where they stand: more are not moved
MIXES = "it mixes the samples of the batch, or loses their dimension; keep dimension 0 as it is"
_SAME = ("alias", "detach", "clone", "contiguous", "lift_fresh", "lift_fresh_copy", "positive")
_SHAPES = ("view", "_unsafe_view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "_reshape_alias",
           "_reshape_copy")  # fmt: skip
_ORDERS = ("permute", "transpose", "t", "numpy_T", "mT", "adjoint", "movedim", "moveaxis", "swapaxes", "swapdims",
           "flip", "roll", "fliplr", "flipud", "rot90", "channel_shuffle", "pixel_shuffle",
           "pixel_unshuffle")  # fmt: skip
_PARTS = ("slice", "select", "narrow", "split", "split_with_sizes", "chunk", "unbind", "unsafe_split",
          "unsafe_split_with_sizes", "unsafe_chunk", "tensor_split", "hsplit", "vsplit", "index_select", "index",
          "unfold", "im2col")  # fmt: skip
_LIKE = ("expand_as", "view_as", "reshape_as")
_GROWS = ("expand", "broadcast_to", "repeat", "tile", "repeat_interleave", "constant_pad_nd", "pad",
          "reflection_pad1d", "reflection_pad2d", "reflection_pad3d", "replication_pad1d", "replication_pad2d",
          "replication_pad3d", "upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d")  # fmt: skip
_COPIES = ("view", "permute", "transpose", "t", "slice", "select", "squeeze", "unsqueeze", "expand", "detach", "alias",
           "split", "split_with_sizes", "unbind", "unfold")  # fmt: skip
MOVES = frozenset((*_SAME, *_SHAPES, *_ORDERS, *_PARTS, *_GROWS, *_LIKE, *(f"{name}_copy" for name in _COPIES)))
_DIMENSIONS = (
    "dim",
    "dims",
    "dimension",
    "dim0",
    "dim1",
    "start_dim",
    "source",
    "destination",
    "axis",
    "axis0",
    "axis1",
)
_OWN_DIMENSIONS = {"flipud": (0,), "vsplit": (0,), "t": (0,), "numpy_T": (0,)}
_DEFAULT_DIMENSIONS = {"roll": (0,)}


def moved(ops: Operations, call: Call) -> Any:
    """The result of a call to one of MOVES, on a value or on a constant."""
    bound = call.bound()
    first = next(iter(bound.values()))
    if isinstance(first, np.ndarray):
        return _moved_constant(ops, call, first)
    value = ops.value(call, first)
    if touches_batch(call.name, bound, len(value.shape) + 1, ops.batch):
        raise call.refuse(MIXES)
    if ops.batch * value.size > MOST_PLACES:
        raise call.refuse(f"a batch of {ops.batch} samples of {value.size} numbers; at most {MOST_PLACES} are moved")
    fill = _filling(bound)
    labels = torch.arange(1, ops.batch * value.size + 1, dtype=torch.float64).reshape(ops.batch, *value.shape)
    out = _performed(ops, call, labels)
    if isinstance(out, list | tuple):
        return [_placed(ops, call, value, part, fill) for part in out]
    return _placed(ops, call, value, out, fill)


def touches_batch(name: str, bound: dict[str, Any], rank: int, batch: int) -> bool:
    """Whether it names dimension 0, other than to keep it whole: what that does depends on the number of samples."""
    match name.removesuffix("_copy"):
        case "slice":
            start, end = bound["start"] or 0, bound["end"]
            whole = (start == 0 or start <= -batch) and (end is None or end >= batch) and bound["step"] == 1
            return bound["dim"] % rank == 0 and not whole
        case "permute":
            return not bound["dims"] or bound["dims"][0] % rank != 0
        case "index":
            return any(part is not None for part in bound["indices"][:1])
        case "expand" | "repeat" | "tile":
            return len(bound.get("size") or bound.get("repeats") or bound["dims"]) > rank
        case "constant_pad_nd" | "pad":
            return any(bound["pad"][2 * rank - 2 :])
        case plain:
            return any(d % (rank + (plain == "unsqueeze")) == 0 for d in _named_dimensions(plain, bound, rank))


def _named_dimensions(name: str, bound: dict[str, Any], rank: int) -> list[int]:
    named = list(_OWN_DIMENSIONS.get(name, ())) if rank > 1 else []
    for key in _DIMENSIONS:
        given = bound.get(key)
        named += [given] if isinstance(given, int) else list(given or ())
    return named or list(_DEFAULT_DIMENSIONS.get(name, ()))


def _filling(bound: dict[str, Any]) -> float:
    """The number that padding puts; 0 while labels are padded."""
    fill = bound.get("value")
    return float(fill) if isinstance(fill, int | float) else 0.0


def _performed(ops: Operations, call: Call, first: torch.Tensor) -> Any:
    """torch's result for `first` in place of the first argument; its size is known before it is made."""
    names = [argument.name for argument in call.operation._schema.arguments]
    rest = [_tensor(ops, call, argument) for argument in call.arguments[1:]]
    keywords = {key: _tensor(ops, call, argument) for key, argument in call.keywords.items()}
    if "value" in names[: 1 + len(rest)]:
        rest[names.index("value") - 1] = 0.0
    if "value" in keywords:
        keywords["value"] = 0.0
    try:
        planned = call.operation(first.to("meta"), *(_away(r) for r in rest), **keywords)
        parts = planned if isinstance(planned, list | tuple) else [planned]
        if sum(math.prod(part.shape) for part in parts) > MOST_PLACES:
            raise call.refuse(f"its result has more than {MOST_PLACES} numbers")
        return call.operation(first, *rest, **keywords)
    except (RuntimeError, IndexError, TypeError, ValueError, NotImplementedError) as err:
        reason = next(iter(str(err).splitlines()), type(err).__name__)
        raise call.refuse(f"torch cannot perform it ({''.join(c for c in reason if c.isprintable())[:200]})") from err


def _tensor(ops: Operations, call: Call, argument: Any) -> Any:
    """Constants as tensors again, in lists too; a value where only its shape matters."""
    if isinstance(argument, Value):
        if call.name in _LIKE:
            return torch.empty((ops.batch, *argument.shape), device="meta")
        raise call.refuse("numbers of the input decide where others go")
    if isinstance(argument, np.ndarray):
        return torch.from_numpy(np.array(argument))
    return [_tensor(ops, call, entry) for entry in argument] if isinstance(argument, list | tuple) else argument


def _away(argument: Any) -> Any:
    """The argument on the meta device."""
    if isinstance(argument, torch.Tensor):
        return argument.to("meta")
    return [_away(entry) for entry in argument] if isinstance(argument, list) else argument


def _placed(ops: Operations, call: Call, value: Value, out: torch.Tensor, fill: float) -> Value:
    """The value whose entries are those that the labels name."""
    became = f"samples of shape {[ops.batch, *value.shape]} become a tensor of shape {list(out.shape)}: {MIXES}"
    if not out.ndim or len(out) != ops.batch:
        raise call.refuse(became)
    places = out.reshape(ops.batch, -1).to(torch.int64).numpy() - 1
    first = places[0]
    shifts = np.arange(ops.batch)[:, None] * value.size
    if not np.array_equal(places, np.where(first < 0, -1, first + shifts)) or first.max(initial=0) >= value.size:
        raise call.refuse(became)
    index = first.reshape(tuple(out.shape[1:]))
    made = ops.builder.reshape(ops.builder.take(value, index, call.node), index.shape)
    return ops.builder.scale(made, summand=np.where(index < 0, fill, 0.0), name=call.node) if fill else made


def _moved_constant(ops: Operations, call: Call, array: np.ndarray) -> Any:
    """The same on a constant; the same array again for the same array."""

    def make() -> Any:
        out = _performed(ops, call, torch.from_numpy(np.array(array)))
        many = isinstance(out, list | tuple)
        arrays = [np.array(part.numpy(), order="C") for part in (out if many else [out])]
        return arrays if many else arrays[0]

    if any(isinstance(argument, np.ndarray) for argument in call.arguments[1:]):
        return make()
    return ops.kept(array, (str(call.operation), repr(call.arguments[1:]), repr(dict(call.keywords))), make)
