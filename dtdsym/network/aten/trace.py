"""Runs a torch module on tensors that record which operations torch performs on them, through the table in `aten`.

A recording tensor runs every operation for real, on plain tensors that nobody else can reach, below autograd and
below every module, function and method that leads to it: what is recorded is what torch does, whichever way the code
asks for it. A number of the input cannot be read, so no decision of the code can depend on one. Tensors that share
their memory share a Cell, so an in-place operation changes what all of them hold, as it does in torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np
import torch

from dtdsym.errors import DtdsymError, LoadError, NotExact, UnsupportedLayer
from dtdsym.network.aten.moves import MOVES
from dtdsym.network.aten.operations import Call, Operations, base_name, kind_of, writes
from dtdsym.network.aten.places import Places
from dtdsym.network.aten.refusals import OPAQUE, REASONS, SUPPORTED, unsupported
from dtdsym.network.builder import Builder, Value
from dtdsym.network.network import Network

EXACT_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_INTEGERS = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
# torch takes these apart in a way that merges the batch with another dimension; they are recorded as they stand.
_WHOLE = {
    torch.nn.functional.linear: torch.ops.aten.linear.default,
    **dict.fromkeys((torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__), torch.ops.aten.matmul.default),
    torch.nn.functional.pad: torch.ops.aten.pad.default,
}
# They ask for a shape only, and give a constant.
_SHAPE_ONLY = ("zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full")
_ROLES = {"mat2": "weight", "self": "bias", "other": "constant", "tensor2": "weight"}


@dataclass
class Cell:
    """What one piece of memory holds now, as the tensor that was made for it; None: what no network can use.

    name: what made it."""

    value: Value | None
    name: str = "input"
    version: int = 0


View = tuple[Call, int | None]
"""How a tensor looks at another's memory: an operation, and which of its results."""


class Recording(torch.Tensor):
    """A tensor (batch, ...) that looks at a `cell` through `views`, in order; none: it is what the cell holds."""

    plain: torch.Tensor
    cell: Cell
    views: tuple[View, ...]
    recorder: Trace
    seen: tuple[int, Value] | None

    @staticmethod
    def __new__(cls, plain: torch.Tensor, cell: Cell, views: tuple[View, ...], trace: Trace) -> Recording:
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
        made.plain, made.cell, made.views, made.recorder, made.seen = plain, cell, views, trace, None
        return made

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Every function of torch arrives here, before it is taken apart."""
        with torch._C.DisableTorchFunctionSubclass():
            whole = _WHOLE.get(function)
            if whole is not None and args and isinstance(args[0], Recording):
                return args[0].recorder.perform(whole, args, kwargs or {})
            name = getattr(function, "__name__", "")
            if name in REASONS:
                _recording(args, kwargs or {}).recorder.refuse(name)
            return function(*args, **(kwargs or {}))

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Every operation of torch that takes a Recording arrives here."""
        return _recording(args, kwargs or {}).recorder.perform(function, args, kwargs or {})


class Trace:
    """What was recorded so far. `refusal` is the first error, kept in case the module's code swallows it."""

    def __init__(self, module: torch.nn.Module, example: torch.Tensor) -> None:
        self.builder = Builder(tuple(example.shape[1:]))
        self.operations = Operations(self.builder, len(example))
        self.refusal: DtdsymError | None = None
        self._places = Places(module)
        parameters = (*module.named_parameters(), *module.named_buffers())
        self._owners = {tensor.data_ptr(): name.rpartition(".")[0] for name, tensor in parameters if _dense(tensor)}
        self._arrays: dict[tuple[Any, ...], np.ndarray] = {}
        self.input = Recording(example.detach().clone(), Cell(self.builder.input), (), self)

    def network(self, output: Recording) -> Network:
        """The recorded network, without what the output does not depend on."""
        return self.builder.network(self.value(output))

    def perform(self, function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Run one operation for real and record it. Raises UnsupportedLayer with its name and place."""
        try:
            return self._perform(function, args, kwargs)
        except DtdsymError as err:
            self.refusal = self.refusal or err
            raise

    def refuse(self, name: str) -> NoReturn:
        """Refuse a function of torch by its own name."""
        self.refusal = self.refusal or unsupported(self._places.where(), name, REASONS[name])
        raise self.refusal

    def value(self, recording: Recording) -> Value:
        """What the tensor holds now. Raises UnsupportedLayer if no network can say it."""
        cell = recording.cell
        if cell.value is None:
            raise unsupported(self._places.where(), cell.name, "one of its results beside the first is used")
        if recording.seen is None or recording.seen[0] != cell.version:
            value: Any = cell.value
            for call, which in recording.views:
                made: Any = self.operations.apply(replace(call, arguments=(value, *call.arguments[1:])))
                value = made if which is None else made[which]
            recording.seen = (cell.version, value)
        return recording.seen[1]

    def _perform(self, function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if self._places.caller()[1] in OPAQUE:
            self.refuse(OPAQUE[self._places.caller()[1]])
        if base_name(function) in _SHAPE_ONLY:
            return function(*_plain(args), **_plain(kwargs))
        if base_name(function) in MOVES and isinstance(args[0], Recording) and args[0].cell.value is None:
            return Recording(function(*_plain(args), **_plain(kwargs)), args[0].cell, (), self)
        if base_name(function) == "as_strided_" and _same_places(*args):
            return args[0]
        return self._recorded(function, args, kwargs)

    def _recorded(self, function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        taken, node = _recording(args, kwargs).dtype, self._node_name(function, args)
        call = Call(function, (), {}, self._places.where(), node, taken)
        self.operations.check(call)
        if writes(function):
            self._check_target(call, args[0])
        call = self._with_arguments(call, args, kwargs)
        plain = function(*_plain(args), **_plain(kwargs))
        call = replace(call, given=(plain[0] if isinstance(plain, list | tuple) else plain).dtype)
        result: Any = self.operations.apply(call)
        if writes(function):
            return _written(args[0], result)
        if isinstance(plain, list | tuple):
            parts = enumerate(zip(plain, result, strict=True))
            return type(plain)(self._given(call, args, out, value, which) for which, (out, value) in parts)
        return self._given(call, args, plain, result, None)

    def _with_arguments(self, call: Call, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Call:
        layer = f"layer {call.node!r}: its"
        names = [_ROLES.get(argument.name, argument.name) for argument in call.operation._schema.arguments]
        arguments = [self._lifted(arg, f"{layer} {name}") for arg, name in zip(args, names, strict=False)]
        return replace(
            call,
            arguments=arguments,
            keywords={key: self._lifted(arg, f"{layer} {key}") for key, arg in kwargs.items()},
        )

    def _check_target(self, call: Call, target: Any) -> None:
        """What is written to must be the whole of a recorded piece of memory."""
        if not isinstance(target, Recording):
            raise call.refuse("it writes into a constant; make a new tensor instead")
        if call.name.removesuffix("_") in MOVES:
            raise call.refuse("it changes a tensor's shape in place; make a new one instead")
        if target.cell.value is not None and self.value(target).node != target.cell.value.node:
            raise call.refuse("it writes into a part of another tensor's memory (a slice or a permutation of it)")

    def _given(self, call: Call, args: Sequence[Any], plain: Any, result: Any, which: int | None) -> Any:
        """The result as the module's code sees it."""
        if isinstance(result, np.ndarray):
            return plain
        if result is None:
            return Recording(plain, Cell(None, call.name), (), self)
        if not plain.ndim or tuple(plain.shape) != (self.operations.batch, *result.shape):
            raise call.refuse(f"{self.operations.batch} samples become a tensor of shape {list(plain.shape)}")
        looked_at = args[0] if args and isinstance(args[0], Recording) else None
        if looked_at is not None and _shares(looked_at.plain, plain):
            return Recording(plain, looked_at.cell, (*looked_at.views, (call, which)), self)
        return Recording(plain, Cell(result, call.name), (), self)

    def _lifted(self, argument: Any, what: str) -> Any:
        """Recordings as the values that they hold, constants as exact arrays, in lists too."""
        if isinstance(argument, Recording):
            return self.value(argument)
        if isinstance(argument, torch.Tensor):
            return self._exact(argument, what)
        if isinstance(argument, list | tuple):
            return [self._lifted(entry, what) for entry in argument]
        return argument

    def _exact(self, tensor: torch.Tensor, what: str) -> np.ndarray:
        """A private copy, float64 or integers; the same array again if this very tensor was met before, unchanged."""
        if not _dense(tensor):
            raise UnsupportedLayer(
                f"{what} is a {type(tensor).__name__} ({tensor.layout}), not a dense tensor; {SUPPORTED}"
            )
        if tensor.dtype not in (*EXACT_DTYPES, *_INTEGERS) or tensor.device.type == "meta":
            raise NotExact(
                f"{what} has dtype {tensor.dtype} on device {tensor.device}; supported are float16, bfloat16, float32 "
                "and float64 with data; convert the module with .float()"
            )
        wide = torch.float64 if tensor.dtype in EXACT_DTYPES else torch.int64
        made = np.array(tensor.detach().to("cpu", wide).numpy(), order="C")
        key = (tensor.data_ptr(), tuple(tensor.shape), tuple(tensor.stride()), tensor.dtype)
        known = self._arrays.setdefault(key, made)
        return known if np.array_equal(known, made) else made

    def _node_name(self, function: Any, args: Sequence[Any]) -> str:
        """The place of the layer whose matrix it takes, else of the module that runs, beside the kind of operation."""
        matrices = (arg for arg in args if isinstance(arg, torch.Tensor) and arg.ndim > 1 and _dense(arg))
        kind = kind_of(function)
        if kind in ("linear", "conv"):
            owner = next((self._owners[m.data_ptr()] for m in matrices if self._owners.get(m.data_ptr())), None)
            if owner is not None:
                return owner
        return self._places.name(kind)


def _written(target: Recording, result: Any) -> Recording:
    """An in-place operation has changed all that its target's memory is seen as."""
    cell = target.cell
    assert cell.value is not None
    cell.value = Value(result.node, cell.value.shape)
    cell.version += 1
    return target


def _same_places(target: Any, size: Sequence[int], stride: Sequence[int], offset: int | None = None) -> bool:
    """Whether as_strided_ states other strides for dimensions of length 1 alone, as torch's pools do."""
    old = zip(target.size(), target.stride(), strict=True)
    same = len(size) == target.ndim and all(
        n == m and (n == 1 or s == t) for (n, s), m, t in zip(old, size, stride, strict=True)
    )
    return same and offset in (None, target.storage_offset())


def _plain(arguments: Any) -> Any:
    """The plain tensors of recordings, in lists and dictionaries too."""
    if isinstance(arguments, Recording):
        return arguments.plain
    if isinstance(arguments, Mapping):
        return {key: _plain(entry) for key, entry in arguments.items()}
    return [_plain(entry) for entry in arguments] if isinstance(arguments, list | tuple) else arguments


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
