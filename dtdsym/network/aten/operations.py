"""What torch's own operations (aten) do to a batch of values, said to a Builder: one table for every reader of torch.

A value is a batch whose first dimension counts samples; the Builder knows one sample's shape. Arguments are Values,
float64 arrays that hold constants exactly, integers and lists, in the order and under the names of torch's schemas.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch._ops import OpOverload

from dtdsym.errors import ShapeMismatch, UnsupportedLayer
from dtdsym.network.aten import arithmetic, layers
from dtdsym.network.aten.moves import MOVES, moved
from dtdsym.network.aten.refusals import REASONS, SUPPORTED, unsupported
from dtdsym.network.builder import Builder, Value

Result = Value | np.ndarray | None | list[Any]
"""What an operation gives: values, constants; None for a second result that no network can use (indices of maxima)."""


Perform = Callable[["Operations", "Call", dict[str, Any]], Result]


@dataclass(frozen=True)
class Call:
    """One operation and its arguments.

    where: the place, for messages. node: the name of the nodes it makes. taken, given: dtypes of the first value that
    it takes and of the first that it gives.
    """

    operation: OpOverload
    arguments: Sequence[Any]
    keywords: Mapping[str, Any] = field(default_factory=dict)
    where: str = "the graph"
    node: str = ""
    taken: torch.dtype = torch.float32
    given: torch.dtype = torch.float32

    @property
    def name(self) -> str:
        """As people know it: conv2d, relu_, mean."""
        return base_name(self.operation)

    def bound(self) -> dict[str, Any]:
        """Every argument under its schema's name, defaults filled in."""
        schema = self.operation._schema.arguments
        given = dict(zip((argument.name for argument in schema), self.arguments, strict=False)) | dict(self.keywords)
        return {a.name: given.get(a.name, a.default_value if a.has_default_value() else None) for a in schema}

    def refuse(self, reason: str) -> UnsupportedLayer:
        """The error that refuses this operation here."""
        return unsupported(self.where, self.name, reason)


def base_name(operation: OpOverload) -> str:
    """conv2d of aten.conv2d.default; operations of other libraries keep their namespace."""
    return str(operation).removeprefix("aten.").rpartition(".")[0]


def operation_of(name: str, where: str = "the graph") -> OpOverload:
    """The operation called `torch.ops.aten.conv2d.default` or `aten.conv2d.default`. Only aten's are looked up.

    Raises UnsupportedLayer, with the name, for any other."""
    parts = name.removeprefix("torch.ops.").split(".")
    named = len(parts) == 3 and parts[0] == "aten" and all(part.isidentifier() for part in parts)
    packet = getattr(torch.ops.aten, parts[1], None) if named else None
    overload = getattr(packet, parts[2], None) if packet is not None else None
    if not isinstance(overload, OpOverload):
        raise UnsupportedLayer(f"{where}: operation {name!r} is not one of torch's own (aten); {SUPPORTED}")
    return overload


def writes(operation: OpOverload) -> bool:
    """Whether it changes its first argument in place."""
    alias = operation._schema.arguments[0].alias_info if operation._schema.arguments else None
    return alias is not None and alias.is_write


def kind_of(operation: OpOverload) -> str:
    """The word for the node it makes: relu, add, linear."""
    name = base_name(operation).rstrip("_")
    return _KINDS.get(name, name.lstrip("_"))


class Operations:
    """Performs operations of torch on values of one Builder, for batches of `batch` samples."""

    def __init__(self, builder: Builder, batch: int) -> None:
        self.builder, self.batch = builder, batch
        self._made: dict[Any, tuple[Any, Any]] = {}

    def apply(self, call: Call) -> Result:
        """The result of a call; an operation that works in place gives what its first argument holds afterwards.

        Raises UnsupportedLayer, with the operation's name and place, where it is none that a piecewise linear network
        over single samples has; NotExact and ShapeMismatch as the Builder does."""
        known = self.check(call)
        try:
            return moved(self, call) if known in MOVES else TABLE[known](self, call, call.bound())
        except ShapeMismatch as err:
            raise ShapeMismatch(f"{call.where}: operation {call.name}: {err}") from err

    def check(self, call: Call) -> str:
        """The operation's name in the table. Raises UnsupportedLayer where there is none, whatever its arguments."""
        name = call.name
        known = name if name in TABLE or name in MOVES else name.removesuffix("_")
        if any(argument.is_out for argument in call.operation._schema.arguments):
            raise call.refuse("it writes into a tensor given as `out`; use its result instead")
        if name in REASONS or not (known in TABLE or known in MOVES):
            raise call.refuse(REASONS.get(name, REASONS.get(known, "")))
        return known

    def value(self, call: Call, value: Any) -> Value:
        """The argument as a value of the input. Raises UnsupportedLayer for anything else."""
        if not isinstance(value, Value):
            raise call.refuse("it works on a constant where a value of the input is expected")
        return value

    def array(self, call: Call, constant: Any, what: str = "weight") -> np.ndarray | None:
        """The argument as a constant, or None. Raises UnsupportedLayer for a value."""
        if constant is None or isinstance(constant, np.ndarray):
            return constant
        raise call.refuse(f"its {what} is computed from the input; constant weights are expected")

    def kept(self, array: np.ndarray, key: Any, make: Callable[[], Any]) -> Any:
        """What `make` made of this very array before, so that a reused weight stays one array."""
        made = self._made.setdefault((id(array), key), (array, None))
        if made[1] is None:
            made = self._made[id(array), key] = (array, make())
        return made[1]


_DROPOUTS = ("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout", "native_dropout")
_CONVOLUTIONS = ("convolution", "_convolution", "conv1d", "conv2d", "conv3d", "mkldnn_convolution")
_NORMS = ("batch_norm", "native_batch_norm", "_native_batch_norm_legit_no_training", "_native_batch_norm_legit",
          "_batch_norm_no_update", "_batch_norm_impl_index", "cudnn_batch_norm")  # fmt: skip
_MAX_POOLS = tuple(f"max_pool{n}d{more}" for n in (1, 2, 3) for more in ("", "_with_indices"))
TABLE: dict[str, Perform] = {
    **dict.fromkeys(_DROPOUTS, layers.identity),
    **dict.fromkeys(("to", "_to_copy", "type_as"), arithmetic.cast),
    "relu": layers.relu,
    **dict.fromkeys(("clamp", "clamp_min"), layers.clamp),
    "threshold": layers.threshold,
    "linear": layers.linear,
    **dict.fromkeys(("mm", "addmm", "matmul"), layers.product),
    **dict.fromkeys(_CONVOLUTIONS, layers.convolution),
    **dict.fromkeys(_NORMS, layers.batch_norm),
    **dict.fromkeys(_MAX_POOLS, layers.max_pool),
    **dict.fromkeys(("avg_pool1d", "avg_pool2d", "avg_pool3d"), layers.average_pool),
    **{f"{private}adaptive_avg_pool{n}d": layers.adaptive_average_pool for n in (1, 2, 3) for private in ("", "_")},
    **{f"adaptive_max_pool{n}d": layers.adaptive_max_pool for n in (1, 2, 3)},
    "mean": layers.mean,
    "sum": layers.total,
    **dict.fromkeys(("amax", "max"), layers.maximum),
    "add": arithmetic.add,
    "sub": arithmetic.subtract,
    "rsub": arithmetic.subtract_from,
    "neg": arithmetic.negate,
    "mul": arithmetic.multiply,
    "div": arithmetic.divide,
    **dict.fromkeys(("cat", "concat", "concatenate"), arithmetic.concatenate),
    "stack": arithmetic.stack,
}
_KINDS = {
    **dict.fromkeys(("clamp", "clamp_min", "threshold"), "relu"),
    **dict.fromkeys(("mm", "addmm", "matmul"), "linear"),
    **dict.fromkeys(_CONVOLUTIONS, "conv"),
    **dict.fromkeys(_NORMS, "batch_norm"),
    **{name: name.removesuffix("_with_indices") for name in _MAX_POOLS},
}
