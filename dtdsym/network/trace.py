"""Runs a torch module on tensors that record which operations torch performs on them, as nodes of a Network.

A recording tensor runs every operation for real, on plain tensors that nobody else can reach, below autograd and
below every module, function and method that leads to it: what is recorded is what torch does, whichever way the code
asks for it. A number of the input cannot be read, so no decision of the code can depend on one. Tensors that share
their memory share a Cell, so an in-place operation changes what all of them hold, as it does in torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from dtdsym.errors import DtdsymError, NotExact, UnsupportedLayer
from dtdsym.network.layers import Add, Affine, Input, Node, Relu
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
    trace: Trace

    @staticmethod
    def __new__(cls, plain: torch.Tensor, cell: Cell, trace: Trace) -> Recording:
        made = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            plain.size(),
            strides=plain.stride(),
            storage_offset=plain.storage_offset(),
            dtype=plain.dtype,
            layout=plain.layout,
            device=plain.device,
        )
        made.plain, made.cell, made.trace = plain, cell, trace
        return made

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Every operation of torch that takes a Recording arrives here."""
        return _recording(args, kwargs or {}).trace.perform(function, args, kwargs or {})


class Trace:
    """The nodes recorded so far. `refusal` is the first error, kept in case the module's code swallows it."""

    def __init__(self, module: torch.nn.Module, example: torch.Tensor) -> None:
        self.batch = len(example)
        self.nodes: list[Node] = [Input(example.numel() // self.batch)]
        self.refusal: DtdsymError | None = None
        self._modules = {id(part): name for name, part in module.named_modules()}
        parameters = (*module.named_parameters(), *module.named_buffers())
        self._owners = {tensor.data_ptr(): name.rpartition(".")[0] for name, tensor in parameters}
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
        name = str(function).removeprefix("aten.").partition(".")[0]
        record = _OPERATIONS.get(name.removesuffix("_"))
        in_place = name.endswith("_")
        if record is None or (in_place and not isinstance(args[0], Recording)):
            raise self._unsupported(name, _REASONS.get(name.strip("_"), ""))
        node = record(self, name, args, kwargs)
        plain = function(*(arg.plain if isinstance(arg, Recording) else arg for arg in args), **kwargs)
        if in_place:
            args[0].cell.node = node
            return args[0]
        if not plain.ndim or len(plain) != self.batch:
            raise self._unsupported(name, f"the batch of {self.batch} inputs becomes a tensor of {list(plain.shape)}")
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
        low, high = (*args[1:], kwargs.get("min"), kwargs.get("max"))[:2] if len(args) < 3 else args[1:3]
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
        place = self._owners.get(matrix.data_ptr()) or self._name("linear")
        weight = self._exact(matrix, f"layer {place!r}: its weight", transpose=transpose)
        if bias is None:  # one array of zeros for one weight, so that a reused layer stays one layer
            offset = self._arrays.setdefault(("bias of", id(weight)), np.zeros(len(weight)))
        else:
            offset = self._exact(bias, f"layer {place!r}: its bias")
        return self._append(Affine(weight, offset, value.cell.node, place))

    def _exact(self, tensor: torch.Tensor, what: str, *, transpose: bool = False) -> np.ndarray:
        """A private float64 copy; the same array again if this very tensor was met before and has not changed."""
        if type(tensor) not in (torch.Tensor, torch.nn.Parameter) or tensor.layout != torch.strided:
            raise UnsupportedLayer(f"{what} is a {type(tensor).__name__} ({tensor.layout}), not a dense tensor; {SUPPORTED}")
        if tensor.dtype not in EXACT_DTYPES or tensor.device.type == "meta":
            raise NotExact(
                f"{what} has dtype {tensor.dtype} on device {tensor.device}; supported are float16, bfloat16, float32 "
                "and float64 with data; convert the module with .float()"
            )
        made = np.array(tensor.detach().to("cpu", torch.float64).numpy().T if transpose else tensor_array(tensor), order="C")
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
