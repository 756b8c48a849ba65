"""read_pt2: a network from an archive of torch.export, by the graph that it states; no code of the file runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from dtdsym.errors import LoadError, UnsupportedLayer
from dtdsym.network.aten.operations import Call, Operations, kind_of, operation_of, writes
from dtdsym.network.aten.refusals import OPAQUE, REASONS, SUPPORTED, unsupported
from dtdsym.network.builder import MOST_ENTRIES, MOST_NODES, Builder, Value
from dtdsym.network.files.inert import shown
from dtdsym.network.network import Network
from dtdsym.network.pt2.archive import DTYPES, EXPORT_AGAIN, Exported, field, natural_numbers, union
from dtdsym.network.pt2.constants import Constant, Folding, Given, parts, planned
from dtdsym.network.pt2.graph import Node, graph_inputs, graph_output, input_dtype, input_sizes, read_node
from dtdsym.network.pt2.schema import check_call

_PLAIN = {
    "as_int": int, "as_float": float, "as_bool": bool, "as_string": str, "as_ints": list, "as_floats": list,
    "as_bools": list,
}  # fmt: skip
_FORMATS = {1: torch.contiguous_format, 2: torch.channels_last, 3: torch.channels_last_3d, 4: torch.preserve_format}
# Their results share memory with their first argument, though torch's schemas do not say so.
_SHARE = ("_unsafe_view", "type_as", "dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout",
          "pixel_shuffle", "pixel_unshuffle", "channel_shuffle")  # fmt: skip
_SIZE = "torch.ops.aten.sym_size.int"
_CHECKS = ("torch.ops.aten._assert", "torch.ops.aten.sym_constrain_range")
_ANY_BATCH = (2, 3)


def read_pt2(data: bytes) -> Network:
    """The network that torch.export.save wrote, with one tensor in (batch, ...) and one out.

    A batch that was exported as dynamic is read for two numbers of samples, which must give one network.
    Raises LoadError for what is not understood, UnsupportedLayer for operations that no piecewise linear network over
    single samples has, with their place; NotExact and ShapeMismatch as the Builder does."""
    exported = Exported(data)
    module = field(exported.model, "graph_module", dict)
    graph, signature = field(module, "graph", dict), field(module, "signature", dict)
    sizes = input_sizes(graph, graph_inputs(signature)[0])
    kind, batch = union(sizes[0])
    if kind == "as_expr":
        networks = [_Graph(exported, graph, signature, samples).network() for samples in _ANY_BATCH]
        if networks[0].sha256 != networks[1].sha256:
            raise LoadError("what its graph computes for a sample depends on the number of samples in the batch")
        return networks[0]
    if kind != "as_int" or type(batch) is not int or not 0 < batch < 2**31:
        raise LoadError(f"the first dimension of its input is no number of samples; {EXPORT_AGAIN}")
    return _Graph(exported, graph, signature, batch).network()


class _Graph:
    """Reads the nodes one after another, for batches of `batch` samples.

    held: what a name holds; None is a result that no network can use. memory: names -> the piece of memory they show.
    stale: names whose memory was written to under another name."""

    def __init__(self, exported: Exported, graph: dict[str, Any], signature: dict[str, Any], batch: int) -> None:
        self.exported, self.graph, self.batch = exported, graph, batch
        self.input, self.lifted = graph_inputs(signature)
        self.output = graph_output(signature)
        self.builder = Builder(natural_numbers(input_sizes(graph, self.input)[1:], "the input"))
        self.operations, self.folding = Operations(self.builder, batch), Folding(batch)
        self.held: dict[str, Given | Constant | int | None] = {}
        self.memory: dict[str, int] = {}
        self.stale: set[str] = set()
        self.left = MOST_ENTRIES
        self._hold(self.input, Given(self.builder.input, input_dtype(graph, self.input)))

    def network(self) -> Network:
        """The network of the output."""
        nodes = field(self.graph, "nodes", list)
        if len(nodes) > MOST_NODES:
            raise LoadError(f"its graph has {len(nodes)} operations; at most {MOST_NODES} are read")
        for node in nodes:
            self._perform(read_node(node))
        found = self._named(self.output, "the output")
        if not isinstance(found, Given):
            raise LoadError(f"its output {shown(self.output)!r} does not depend on its input; {EXPORT_AGAIN}")
        return self.builder.network(found.value)

    def _perform(self, node: Node) -> None:
        if node.target.startswith(_CHECKS):
            return
        _check_plain(node)
        arguments = {name: self._argument(tagged, node.where) for name, tagged in node.arguments}
        if node.target == _SIZE:
            self._hold_all(node, [self._size(arguments, node.where)])
            return
        call = self._call(node, arguments)
        results: list[Any] = self.folding.apply(call) if self.folding.applies(call) else self._applied(call)
        self._hold_all(node, results)
        self._share(node, call, results)

    def _call(self, node: Node, arguments: dict[str, Any]) -> Call:
        """The node's operation and arguments, in the schema's order as long as none is left out."""
        operation = operation_of(node.target, node.where)
        rest, ordered = dict(arguments), []
        for argument in operation._schema.arguments:
            if argument.kwarg_only or argument.name not in rest:
                break
            ordered.append(rest.pop(argument.name))
        call = check_call(Call(operation, ordered, rest, node.where))
        return replace(call, node=_layer_of(call) or node.name(kind_of(operation)))

    def _applied(self, call: Call) -> list[Given | None]:
        """The results of an operation on values of the input: those of the table, as torch plans them."""
        self.operations.check(call)
        if writes(call.operation) and not isinstance(next(iter(call.arguments), None), Given):
            raise call.refuse("it writes into a constant; make a new tensor instead")
        plan = planned(call, self.batch)
        taken = next(part.dtype for part in parts(call) if isinstance(part, Given))
        bare = replace(
            call, arguments=[_bare(part) for part in call.arguments], taken=taken, given=plan[0].dtype,
            keywords={key: _bare(part) for key, part in call.keywords.items()},
        )  # fmt: skip
        made = self.operations.apply(bare)
        results = made if isinstance(made, list) else [made]
        found: list[Given | None] = []
        for value, out in zip(results, plan, strict=True):
            if value is not None and (not isinstance(value, Value) or out.shape != (self.batch, *value.shape)):
                raise call.refuse(f"{self.batch} samples become a tensor of shape {list(out.shape)}")
            found.append(None if value is None else Given(value, out.dtype))
        return found

    def _share(self, node: Node, call: Call, results: list[Any]) -> None:
        """Views share memory; what is written in place is stale under its other names."""
        name = _tensor_name(dict(node.arguments).get(call.operation._schema.arguments[0].name))
        if name not in self.memory or not _shows(call):
            return
        cell, made = self.memory[name], {result for result in node.results if result}
        self.memory |= dict.fromkeys(made, cell)
        if writes(call.operation):
            self.stale |= {other for other, place in self.memory.items() if place == cell} - made - {name}
            self.held[name] = results[0]

    def _hold_all(self, node: Node, results: list[Any]) -> None:
        if len(node.results) != len(results):
            raise LoadError(
                f"{node.where}: {shown(node.target)} gives {len(results)} results under {len(node.results)} names; "
                f"{EXPORT_AGAIN}"
            )
        for name, result in zip(node.results, results, strict=True):
            if name:
                self._hold(name, result)

    def _hold(self, name: str, result: Given | Constant | int | None) -> None:
        if name in self.held or name in self.lifted:
            raise LoadError(f"its graph makes {shown(name)!r} twice; {EXPORT_AGAIN}")
        self.left -= result.value.size if isinstance(result, Given) else 0
        if self.left < 0:
            raise LoadError(f"its graph computes more than {MOST_ENTRIES} numbers for one sample, which is not read")
        self.held[name], self.memory[name] = result, len(self.memory)

    def _named(self, name: str, where: str) -> Given | Constant | int:
        if name in self.lifted and name not in self.held:
            self.held[name] = self.exported.constant(self.lifted[name])
        if name in self.stale:
            raise UnsupportedLayer(
                f"{where}: uses {shown(name)!r}, whose memory was written to in place under another name; make a new "
                "tensor there"
            )
        found = self.held.get(name)
        if found is None and name in self.held:
            raise UnsupportedLayer(
                f"{where}: uses {shown(name)!r}, a result beside the first (indices of maxima); {SUPPORTED}"
            )
        if found is None:
            raise LoadError(f"{where}: uses {shown(name)!r}, which nothing makes before; {EXPORT_AGAIN}")
        return found

    def _argument(self, tagged: dict[str, Any], where: str) -> Any:
        kind, value = union(tagged)
        if kind in _PLAIN and type(value) is _PLAIN[kind] and _short(value):
            return value
        match kind:
            case "as_none":
                return None
            case "as_tensor":
                return self._tensor(value, where)
            case "as_tensors" if type(value) is list:
                return [self._tensor(entry, where) for entry in value]
            case "as_optional_tensors" if type(value) is list:
                return [self._argument(entry, where) for entry in value]
            case "as_sym_int":
                return self._symbol(value, where)
            case "as_sym_ints" if type(value) is list:
                return [self._symbol(entry, where) for entry in value]
            case "as_scalar_type" if type(value) is int and value in DTYPES:
                return DTYPES[value]
            case "as_memory_format" if type(value) is int and value in _FORMATS:
                return _FORMATS[value]
            case "as_layout":
                return torch.strided
            case "as_device":
                return torch.device("cpu")
        raise UnsupportedLayer(
            f"{where}: its graph gives an operation an argument {shown(kind)!r} that is not read; {EXPORT_AGAIN}"
        )

    def _tensor(self, value: Any, where: str) -> Given | Constant:
        found = self._named(field(value, "name", str), where)
        if isinstance(found, int):
            raise LoadError(f"{where}: its graph gives a number where a tensor is expected; {EXPORT_AGAIN}")
        return found

    def _symbol(self, value: Any, where: str) -> int:
        kind, named = union(value)
        found = named if kind == "as_int" else self._named(named, where) if type(named) is str else None
        if type(found) is not int or not _short(found):
            raise LoadError(f"{where}: a size is computed in a way that is not read; {EXPORT_AGAIN}")
        return found

    def _size(self, arguments: dict[str, Any], where: str) -> int:
        """The size of a value along one dimension; the first counts samples."""
        given, dim = arguments.get("self"), arguments.get("dim")
        shape = (self.batch, *given.value.shape) if isinstance(given, Given) else ()
        if type(dim) is not int or not -len(shape) <= dim < len(shape):
            raise LoadError(f"{where}: its graph asks for the size of something that is no value; {EXPORT_AGAIN}")
        return shape[dim]


def _check_plain(node: Node) -> None:
    """Refuse parts of graphs that stand for one operation, and operations that hold graphs."""
    if node.layer[1] in OPAQUE:
        name = OPAQUE[node.layer[1]]
        raise unsupported(node.where, name, REASONS[name])
    if node.target.startswith("torch.ops.higher_order."):
        raise UnsupportedLayer(
            f"{node.where}: operation {shown(node.target.rpartition('.')[2])} wraps a part of the graph (as "
            f"torch.no_grad, autocast and cond in a forward do); take it out and {EXPORT_AGAIN}"
        )
    if len(dict(node.arguments)) < len(node.arguments):
        raise LoadError(f"{node.where}: {shown(node.target)} takes two arguments of one name; {EXPORT_AGAIN}")


def _layer_of(call: Call) -> str:
    """The module whose matrix a linear map takes, if it has a name."""
    if kind_of(call.operation) not in ("linear", "conv"):
        return ""
    matrices = (part for part in parts(call) if isinstance(part, Constant) and part.array.ndim > 1)
    return next((part.owner for part in matrices if part.owner), "")


def _tensor_name(tagged: Any) -> str:
    """The name of an argument that is one tensor, else ''."""
    kind, value = union(tagged) if tagged else ("", None)
    return str(field(value, "name", str)) if kind == "as_tensor" else ""


def _shows(call: Call) -> bool:
    """Whether its results look at the memory of its first argument."""
    returns = call.operation._schema.returns
    return call.name in _SHARE or any(result.alias_info is not None for result in returns)


def _bare(part: Any) -> Any:
    """Values and arrays for the table of operations."""
    match part:
        case Given():
            return part.value
        case Constant():
            return part.array
        case list():
            return [_bare(entry) for entry in part]
    return part


def _short(value: Any) -> bool:
    """Whether its integers fit torch's."""
    return all(type(n) is not int or abs(n) < 2**63 for n in (value if type(value) is list else [value]))
