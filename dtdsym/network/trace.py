"""Runs a torch module on tensors that record which operations torch performs on them, as nodes of a Network.

A recording tensor runs every operation for real, on plain tensors that nobody else can reach, below autograd and
below every module, function and method that leads to it: what is recorded is what torch does, whichever way the code
asks for it. A number of the input cannot be read, so no decision of the code can depend on one. Tensors that share
their memory share a Cell, so an in-place operation changes what all of them hold, as it does in torch.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch

from dtdsym.errors import DtdsymError, LoadError, NotExact, UnsupportedLayer
from dtdsym.network.layers import Add, Affine, Input, Node, Relu, Select
from dtdsym.network.network import Network

SUPPORTED = (
    "supported are Linear, ReLU, flattening each input, Dropout and Identity in evaluation mode, and adding two values"
)
EXACT_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


@dataclass
class Cell:
    """What the tensors of one piece of memory hold now: the id of a node."""

    node: int


class Recording(torch.Tensor):
    """A tensor (batch, ...) whose `cell` says which node it holds, row i flattened being that of sample i."""

    plain: torch.Tensor
    cell: Cell
    recorder: Trace

    @staticmethod
    def __new__(cls, plain: torch.Tensor, cell: Cell, trace: Trace) -> Recording:
        with torch.inference_mode(False):  # torch makes no views of a wrapper that was born in inference mode
            made = torch.Tensor._make_wrapper_subclass(
                cls,
                plain.size(),
                strides=plain.stride(),
                storage_offset=plain.storage_offset(),
                dtype=plain.dtype,
                layout=plain.layout,
                device=plain.device,
            )
        made.plain, made.cell, made.recorder = plain, cell, trace
        return made

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Every operation of torch that takes a Recording arrives here."""
        return _recording(args, kwargs or {}).recorder.perform(function, args, kwargs or {})


class Trace:
    """The nodes recorded so far. `refusal` is the first error, kept in case the module's code swallows it."""

    def __init__(self, module: torch.nn.Module, example: torch.Tensor) -> None:
        self.batch = len(example)
        self.nodes: list[Node] = [Input(example.numel() // self.batch)]
        self.refusal: DtdsymError | None = None
        self._modules = {id(part): name for name, part in module.named_modules()}
        parameters = (*module.named_parameters(), *module.named_buffers())
        self._owners = {tensor.data_ptr(): name.rpartition(".")[0] for name, tensor in parameters if _dense(tensor)}
        self._arrays: dict[tuple[Any, ...], np.ndarray] = {}
        self.input = Recording(example.detach().clone(), Cell(0), self)

    def network(self, output: Recording) -> Network:
        """The recorded network, without what the output does not depend on."""
        wanted = {output.cell.node, 0}
        for index in range(len(self.nodes) - 1, -1, -1):
            if index in wanted:
                wanted.update(self.nodes[index].sources)
        position = {index: new for new, index in enumerate(sorted(wanted))}
        return Network(tuple(_moved(self.nodes[index], position) for index in sorted(wanted)))

    def perform(self, function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Run one operation for real and record it. Raises UnsupportedLayer with its name and place."""
        try:
            return self._perform(function, args, kwargs)
        except DtdsymError as err:
            self.refusal = self.refusal or err
            raise

    def _perform(self, function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Recording:
        name = str(function).removeprefix("aten.").rpartition(".")[0]
        if name not in _OPERATIONS:
            raise self._unsupported(name, _REASONS.get(name, ""))
        node = _OPERATIONS[name](self, name, args, kwargs)
        plain = function(*(arg.plain if isinstance(arg, Recording) else arg for arg in args), **kwargs)
        if name in _IN_PLACE:
            args[0].cell.node = node
            return args[0]
        if not plain.ndim or len(plain) != self.batch:
            raise self._unsupported(
                name, f"{self.batch} samples become a tensor of shape {list(plain.shape)}; flatten each sample first"
            )
        shared = next((arg.cell for arg in args if isinstance(arg, Recording) and _shares(arg.plain, plain)), None)
        return Recording(plain, shared or Cell(node), self)

    def reshaped(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
        """The same numbers in the same order: a view, a copy, or the identity."""
        if name == "dropout" and args[2]:
            raise self._unsupported(name, "it is applied in training mode")
        return self._node(args[0], name)

    def relu(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
        return self._append(Relu(self._node(args[0], name), self._name("relu")))

    def clamp(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
        """max(z, 0), if nothing else is asked for."""
        low = args[1] if len(args) > 1 else kwargs.get("min")
        high = args[2] if len(args) > 2 else kwargs.get("max")
        if isinstance(low, torch.Tensor) or low != 0 or high is not None:
            raise self._unsupported(name, "only clamp(min=0) is a ReLU")
        return self.relu(name, args, kwargs)

    def add(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
        left, right = args
        if not isinstance(left, Recording) or not isinstance(right, Recording):
            raise self._unsupported(name, "one summand is a constant")
        if left.shape != right.shape or kwargs.get("alpha", 1) != 1:
            raise self._unsupported(name, "only the plain sum of two values of one shape is")
        return self._append(Add(self._node(left, name), self._node(right, name), self._name("add")))

    def addmm(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
        bias, value, matrix = args
        if any(kwargs.get(factor, 1) != 1 for factor in ("alpha", "beta")):
            raise self._unsupported(name, "only with alpha = beta = 1")
        return self._affine(name, value, matrix, bias, transpose=True)

    def mm(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
        return self._affine(name, args[0], args[1], None, transpose=True)

    def linear(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
        return self._affine(name, args[0], args[1], args[2] if len(args) > 2 else None, transpose=False)

    def _affine(self, name: str, value: Any, matrix: Any, bias: Any, *, transpose: bool) -> int:
        constant = isinstance(matrix, torch.Tensor) and not isinstance(matrix, Recording)
        flat = isinstance(value, Recording) and value.ndim == 2
        if not constant or not flat or isinstance(bias, Recording) or (bias is not None and bias.ndim != 1):
            raise self._unsupported(name, "a linear map has constant weights and takes one flat vector for each sample")
        place = (_dense(matrix) and self._owners.get(matrix.data_ptr())) or self._name("linear")
        weight = self._exact(matrix, f"layer {place!r}: its weight", transpose=transpose)
        if bias is None:  # one array of zeros for one weight, so that a reused layer stays one layer
            offset = self._arrays.setdefault(("bias of", id(weight)), np.zeros(len(weight)))
        else:
            offset = self._exact(bias, f"layer {place!r}: its bias")
        return self._append(Affine(weight, offset, value.cell.node, place))

    def _exact(self, tensor: torch.Tensor, what: str, *, transpose: bool = False) -> np.ndarray:
        """A private float64 copy; the same array again if this very tensor was met before and has not changed."""
        if not _dense(tensor):
            raise UnsupportedLayer(
                f"{what} is a {type(tensor).__name__} ({tensor.layout}), not a dense tensor; {SUPPORTED}"
            )
        if tensor.dtype not in EXACT_DTYPES or tensor.device.type == "meta":
            raise NotExact(
                f"{what} has dtype {tensor.dtype} on device {tensor.device}; supported are float16, bfloat16, float32 "
                "and float64 with data; convert the module with .float()"
            )
        wide = tensor.detach().to("cpu", torch.float64).numpy()
        made = np.array(wide.T if transpose else wide, order="C")
        key = (tensor.data_ptr(), tuple(tensor.shape), tuple(tensor.stride()))
        known = self._arrays.setdefault(key, made)
        return known if np.array_equal(known, made) else made

    def _node(self, value: Any, name: str) -> int:
        if not isinstance(value, Recording):
            raise self._unsupported(name, "its first argument is a constant")
        return value.cell.node

    def _append(self, node: Node) -> int:
        self.nodes.append(node)
        return len(self.nodes) - 1

    def _name(self, kind: str) -> str:
        """A name for a node: the place of the layer that computes it, or of the module that does beside its `kind`."""
        place, layer = self._caller()
        if layer.startswith("torch.nn.modules.") and place:
            return place
        return f"{place}.{kind}" if place else kind

    def _caller(self) -> tuple[str, str]:
        """Place and class of the innermost module whose code is running."""
        for frame in _frames():
            owner = frame.f_locals.get("self")
            if id(owner) in self._modules:
                return self._modules[id(owner)], f"{type(owner).__module__}.{type(owner).__name__}"
        return "", ""

    def _unsupported(self, name: str, reason: str) -> UnsupportedLayer:
        place, layer = self._caller()
        lines = (frame for frame in _frames() if _package(frame) not in ("torch", "dtdsym"))
        line = next((f" at {Path(frame.f_code.co_filename).name}:{frame.f_lineno}" for frame in lines), "")
        where = f"layer {place!r} ({layer.rpartition('.')[2]})" if place else layer.rpartition(".")[2] or "the module"
        because = f" here: {reason}" if reason else ""
        return UnsupportedLayer(f"{where}{line}: operation {name} is not supported{because}; {SUPPORTED}")


def _frames() -> Iterator[FrameType]:
    """The frames that run now, innermost first, up to from_module's."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__") != "dtdsym.network.from_module":
        yield frame
        frame = frame.f_back


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _recording(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Recording:
    """The first Recording among the arguments, in lists too."""
    for arg in (*args, *kwargs.values()):
        if isinstance(arg, Recording):
            return arg
        if isinstance(arg, list | tuple) and any(isinstance(entry, Recording) for entry in arg):
            return _recording(arg, {})
    raise LoadError("an operation of torch hides its inputs; write the forward with plain operations")


def _dense(tensor: torch.Tensor) -> bool:
    return type(tensor) in (torch.Tensor, torch.nn.Parameter) and tensor.layout == torch.strided


def _shares(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()


def _moved(node: Node, position: Mapping[int, int]) -> Node:
    match node:
        case Affine() | Relu():
            return replace(node, source=position[node.source])
        case Add():
            return replace(node, left=position[node.left], right=position[node.right])
        case Input():
            return node
        case Select():
            raise TypeError("a Select is never recorded")


Record = Callable[[Trace, str, Sequence[Any], Mapping[str, Any]], int]
_RESHAPES = ("view", "_unsafe_view", "reshape", "flatten", "squeeze", "unsqueeze", "alias", "detach", "clone")
_IN_PLACE = ("relu_", "clamp_", "clamp_min_", "add_", "dropout_")
# torch decomposes everything else into these, except that inference mode keeps linear, dropout, reshape and flatten.
_OPERATIONS: dict[str, Record] = {
    **dict.fromkeys((*_RESHAPES, "dropout", "dropout_"), Trace.reshaped),
    **dict.fromkeys(("relu", "relu_"), Trace.relu),
    **dict.fromkeys(("clamp", "clamp_", "clamp_min", "clamp_min_"), Trace.clamp),
    **dict.fromkeys(("add", "add_"), Trace.add),
    "addmm": Trace.addmm,
    "mm": Trace.mm,
    "linear": Trace.linear,
}
_CUT = "it is not piecewise linear; cut before it and explain the logits"
_DECISION = "a number computed from the input decides what the code does next"
_REASONS = {
    **dict.fromkeys(("softmax", "_softmax", "log_softmax", "_log_softmax"), _CUT),
    **dict.fromkeys(("_local_scalar_dense", "is_nonzero", "item", "gt", "lt", "ge", "le", "eq", "ne"), _DECISION),
    **dict.fromkeys(
        ("bernoulli", "bernoulli_", "empty_like", "native_dropout", "rand_like"), "it serves to draw at random"
    ),
}
