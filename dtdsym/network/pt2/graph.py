"""A graph of torch.export as plain data: its input, its output, and its nodes with their places."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import torch

from dtdsym.errors import LoadError, NotExact
from dtdsym.network.files.inert import shown
from dtdsym.network.pt2.archive import DTYPES, EXPORT_AGAIN, field, union

_FRAME = re.compile(r'File "([^"\n]{1,4096})", line (\d{1,9})')
_PARTS = re.compile(r"[/\\]")
_LAYERS = "torch.nn.modules."
_EXACT = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


@dataclass(frozen=True)
class Node:
    """arguments: (name, tagged argument). results: names, '' for one that is nothing. layer: (place, class)."""

    target: str
    arguments: tuple[tuple[str, Any], ...]
    results: tuple[str, ...]
    layer: tuple[str, str]
    line: str

    @property
    def where(self) -> str:
        """For messages: the module and the line of its code that the node comes from."""
        place, kind = self.layer
        short = kind.rpartition(".")[2]
        return f"layer {place!r} ({short}){self.line}" if place else f"{short or 'the graph'}{self.line}"

    def name(self, kind: str) -> str:
        """For what it makes: the place of the layer that computes it, or of the module that does beside its `kind`."""
        place, layer = self.layer
        if place and layer.startswith(_LAYERS):
            return place
        return f"{place}.{kind}" if place else kind


def read_node(node: Any) -> Node:
    """The node that JSON describes. Raises LoadError."""
    arguments = tuple((field(entry, "name", str), field(entry, "arg", dict)) for entry in field(node, "inputs", list))
    results = tuple(name for output in field(node, "outputs", list) for name in _results(output))
    metadata = node.get("metadata") if type(node.get("metadata")) is dict else {}
    layer, line = _layer(metadata.get("nn_module_stack")), _line(metadata.get("stack_trace"))
    return Node(field(node, "target", str), arguments, results, layer, line)


def _results(output: Any) -> list[str]:
    kind, value = union(output)
    match kind:
        case "as_tensor":
            return [field(value, "name", str)]
        case "as_tensors" if type(value) is list:
            return [field(entry, "name", str) for entry in value]
        case "as_sym_int" | "as_sym_bool" | "as_sym_float":
            return [field(value, "as_name", str)]
        case "as_none":
            return [""]
    raise LoadError(f"an operation of its graph gives a {shown(kind)}; expected tensors; {EXPORT_AGAIN}")


def _layer(stack: Any) -> tuple[str, str]:
    """(place, class) of the innermost module, from 'key,place,class' of every module around it."""
    last = stack.rpartition(";")[2].split(",") if type(stack) is str else []
    return (shown(last[1]), shown(last[2])) if len(last) == 3 and "." in last[2] else ("", "")


def _line(trace: Any) -> str:
    """The innermost line that is no code of torch, as ' at file.py:3'."""
    frames = _FRAME.findall(trace) if type(trace) is str else []
    own = [(_PARTS.split(path), line) for path, line in frames]
    ours = [(path[-1], line) for path, line in own if "torch" not in path]
    return f" at {shown(ours[-1][0])}:{ours[-1][1]}" if ours else ""


def graph_inputs(signature: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """The name of the one input; names of weights and constants in the graph -> in the archive."""
    given: list[str] = []
    lifted: dict[str, str] = {}
    for spec in field(signature, "input_specs", list):
        kind, described = union(spec)
        match kind:
            case "user_input":
                what, value = union(field(described, "arg", dict))
                given.append(field(value, "name", str) if what == "as_tensor" else "")
            case "parameter" | "buffer" | "tensor_constant":
                lifted[field(field(described, "arg", dict), "name", str)] = field(described, f"{kind}_name", str)
            case _:
                raise LoadError(f"its graph takes a {shown(kind)}; expected weights and one tensor; {EXPORT_AGAIN}")
    if len(given) != 1 or not given[0]:
        raise LoadError(
            f"its graph takes {len(given)} inputs; expected one tensor (batch, ...); wrap the model in a module that "
            f"takes one and {EXPORT_AGAIN}"
        )
    return given[0], lifted


def graph_output(signature: dict[str, Any]) -> str:
    """The name of the one result."""
    kinds = [union(spec) for spec in field(signature, "output_specs", list)]
    if [kind for kind, _ in kinds] == ["user_output"]:
        kind, value = union(field(kinds[0][1], "arg", dict))
        if kind == "as_tensor":
            return str(field(value, "name", str))
    what = ", ".join(shown(kind) for kind, _ in kinds)
    raise LoadError(
        f"its graph gives {len(kinds)} results ({what}); expected one tensor and no changed buffers; {EXPORT_AGAIN}"
    )


def input_sizes(graph: dict[str, Any], name: str) -> list[Any]:
    """The stated sizes of the input."""
    sizes: list[Any] = field(field(field(graph, "tensor_values", dict), name, dict), "sizes", list)
    if not 2 <= len(sizes) <= 8:
        raise LoadError(f"its input has {len(sizes)} dimensions; expected a batch of samples, (batch, ...)")
    return sizes


def input_dtype(graph: dict[str, Any], name: str) -> torch.dtype:
    """The stated dtype of the input."""
    dtype = DTYPES.get(field(graph["tensor_values"][name], "dtype", int))
    if dtype not in _EXACT:
        raise NotExact(f"its input has dtype {dtype}; expected a floating tensor (batch, ...)")
    return dtype
