"""Whether a file gives an operation the arguments that torch's schema names: torch itself trusts some kinds blindly."""

from __future__ import annotations

from typing import Any

import torch

from dtdsym.network.aten.operations import Call
from dtdsym.network.pt2.constants import MAKES, Constant, Given

LARGEST = 2**31  # beyond all sizes, positions and steps
_TO_THE_END = 2**63 - 1  # how torch writes a slice without end
_LONGEST = 2**16
_COUNTS = ("sections", "chunks")  # torch makes as many tensors, however few numbers there are
_BLIND = ("_reshape_alias",)  # torch reads memory by the strides given to it
_KINDS: dict[str, tuple[type, ...]] = {
    "Tensor": (Given, Constant, int, float, bool),
    "number": (int, float, bool),
    "float": (float, int),
    "int": (int,),
    "bool": (bool,),
    "str": (str,),
    "ScalarType": (torch.dtype,),
    "Layout": (torch.layout,),
    "MemoryFormat": (torch.memory_format,),
    "Device": (torch.device,),
}


def check_call(call: Call) -> Call:
    """The call, if every argument is of its schema's kind and of a size that tensors have. Raises UnsupportedLayer."""
    schema = call.operation._schema.arguments
    if call.operation._overloadname.startswith("prim_"):
        raise call.refuse("torch.export writes no such form of it, which takes dtypes as bare numbers")
    if call.name in _BLIND:
        raise call.refuse("torch.export writes no such operation, but view")
    by_name = {argument.name: str(argument.real_type) for argument in schema}
    ordered = [(a.name, given) for a, given in zip(schema, call.arguments, strict=False)]
    misfits = [
        name for name, given in (*ordered, *call.keywords.items())
        if name not in by_name or not fits(by_name[name], given)
        or (name in _COUNTS and type(given) is int and given > _LONGEST)
    ]  # fmt: skip
    first = str(schema[0].real_type) if schema else "nothing"
    if misfits or (first not in ("Tensor", "List[Tensor]") and call.name not in MAKES):
        what = ", ".join(misfits) or "of numbers alone"
        raise call.refuse(f"its arguments ({what}) are not those that torch defines: {call.operation._schema}")
    return call


def fits(kind: str, argument: Any) -> bool:
    """Whether an argument is of a kind as torch's schemas write it, such as Optional[List[int]]."""
    if kind.startswith("Optional["):
        return argument is None or fits(kind[9:-1], argument)
    if kind.startswith("List["):
        if isinstance(argument, list):
            return len(argument) <= _LONGEST and all(_fits_once(kind[5:-1], entry) for entry in argument)
        return kind == "List[int]" and _fits_once("int", argument)
    return _fits_once(kind, argument) or (kind == "int" and argument == _TO_THE_END)


def _fits_once(kind: str, argument: Any) -> bool:
    """Whether one argument, or one entry of a list, is of a kind; integers are sizes, positions and steps."""
    if kind.startswith("Optional["):
        return argument is None or _fits_once(kind[9:-1], argument)
    if kind == "int" and type(argument) is int:
        return abs(argument) < LARGEST
    return type(argument) in _KINDS.get(kind, ())
