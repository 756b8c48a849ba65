"""Inert records of torch.nn modules made into a Network. One row of a table for every class that is understood.

A layer computes what its class says only if its instance says nothing else: attributes beyond the class's own (one
could shadow `forward`), hooks and parametrisations are refused, by name and place. Dropout is the identity, as it is
in evaluation mode, whatever mode the module was saved in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dtdsym.errors import LoadError, ShapeMismatch, UnsupportedLayer
from dtdsym.network.archive import Numbers
from dtdsym.network.chain import Chain
from dtdsym.network.inert import Name, Record, Tensor, shown, typename
from dtdsym.network.network import Network

DEEPEST, MOST_MODULES = 100, 10_000
_IN_PYTHON = "in Python, dtdsym.from_module(module, example_input) takes any module made of supported operations"
# What every torch.nn.Module carries besides its hooks.
_COMMON = frozenset(
    {"training", "_parameters", "_buffers", "_non_persistent_buffers_set", "_is_full_backward_hook", "_modules"}
)


@dataclass(frozen=True)
class Module:
    """A recorded instance of a supported class, checked to be nothing more: its constructor's fields and its parts."""

    place: str
    fields: Mapping[str, Any]
    parameters: Mapping[str, Tensor | None]
    children: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Its place in the file's module, as torch writes it: '' is the module itself."""
        return self.place or "module"


@dataclass(frozen=True)
class Kind:
    """A class of layers: its constructor's fields, its parameters, and how it extends the chain of nodes."""

    build: Callable[[Module, Rebuilder], None]
    fields: frozenset[str] = frozenset()
    parameters: frozenset[str] = frozenset()
    container: bool = False


class Rebuilder:
    """Walks a tree of records and appends each layer to one chain."""

    def __init__(self, numbers: Numbers) -> None:
        self.numbers, self.chain = numbers, Chain()
        self._met = 0

    def add(self, record: Any, place: str) -> None:
        """Append the module that `record` describes. Raises UnsupportedLayer, which names it and its place."""
        self._met += 1
        if self._met > MOST_MODULES or place.count(".") > DEEPEST:
            raise LoadError(f"its modules are nested {DEEPEST} deep or number over {MOST_MODULES}; flatten the network")
        where = f"layer {place!r}" if place else "the saved object"
        if type(record) is not Record:
            raise UnsupportedLayer(f"{where} is a {typename(record)}, not a torch.nn module; {SUPPORTED}")
        if record.kind in _REFUSED:
            raise UnsupportedLayer(f"{where} is a {record.kind.name}; {_REFUSED[record.kind]}")
        if record.kind not in KINDS:
            raise UnsupportedLayer(f"{where} is a {record.kind}, {_unknown(record.kind)}")
        kind = KINDS[record.kind]
        kind.build(_open(record, kind, place, where), self)


def rebuild(record: Record, numbers: Numbers) -> Network:
    """The network that a saved module is, in evaluation mode. Raises UnsupportedLayer, LoadError, NotExact or
    ShapeMismatch, each with the place."""
    rebuilder = Rebuilder(numbers)
    rebuilder.add(record, "")
    return rebuilder.chain.network()


def _unknown(kind: Name) -> str:
    if kind.module.startswith("torch.nn."):
        return f"which is not supported; {SUPPORTED}"
    return f"a class of your own, whose code is not in the file; {_IN_PYTHON}; or save torch.nn.Sequential layers"


def _open(record: Record, kind: Kind, place: str, where: str) -> Module:
    state = record.state
    if type(state) is not dict or record.arguments or not all(type(key) is str for key in state):
        raise LoadError(f"{where} was not saved as torch saves a {record.kind.name}; save the network again")
    _check_attributes(state, record.kind.name, kind, where)
    parts = {key: state.get(key) for key in ("_parameters", "_buffers", "_modules")}
    named = {key: _names(part) for key, part in parts.items()}
    expected = {"_parameters": set(kind.parameters), "_buffers": set(), "_modules": named["_modules"] or set()}
    if named != expected or not kind.fields <= state.keys() or (expected["_modules"] and not kind.container):
        raise UnsupportedLayer(
            f"{where} does not have the fields, parameters and parts of a {record.kind.name}; {SUPPORTED}"
        )
    fields = {key: state[key] for key in kind.fields}
    return Module(place, fields, parts["_parameters"] or {}, parts["_modules"] or {})


def _check_attributes(state: Mapping[str, Any], name: str, kind: Kind, where: str) -> None:
    """Refuse hooks and whatever else could make an instance differ from its class."""
    for key, value in state.items():
        if "_hooks" in key:
            if type(value) is not dict or value:
                raise UnsupportedLayer(
                    f"{where} carries {shown(key)}, code that could change what it computes; remove its hooks and "
                    "save again"
                )
        elif key not in _COMMON | kind.fields:
            raise UnsupportedLayer(
                f"{where} carries an attribute {shown(key)!r} that a {name} does not have and that could change what "
                f"it computes; delete it and save again, or {_IN_PYTHON}"
            )


def _names(part: Any) -> set[str] | None:
    return set(part) if type(part) is dict and all(type(key) is str for key in part) else None


def _sequential(module: Module, rebuilder: Rebuilder) -> None:
    for key, child in module.children.items():
        rebuilder.add(child, f"{module.place}.{shown(key)}" if module.place else shown(key))


def _linear(module: Module, rebuilder: Rebuilder) -> None:
    arrays = []
    for key in ("weight", "bias"):
        tensor = module.parameters[key]
        if type(tensor) is not Tensor and (tensor is not None or key == "weight"):
            raise UnsupportedLayer(
                f"layer {module.name!r}: its {key} is a {typename(tensor)}, not a tensor; {SUPPORTED}"
            )
        arrays.append(None if tensor is None else rebuilder.numbers.read(tensor, f"layer {module.name!r}: its {key}"))
    weight, bias = arrays
    stated = (module.fields["out_features"], module.fields["in_features"])
    if weight is None or weight.shape != stated:
        shape = None if weight is None else list(weight.shape)
        raise ShapeMismatch(
            f"layer {module.name!r} states {_plain(stated[1])} inputs and {_plain(stated[0])} outputs, but its weight "
            f"has shape {shape}; set in_features and out_features to the weight's and save again"
        )
    rebuilder.chain.affine(weight, bias, module.name)


def _relu(module: Module, rebuilder: Rebuilder) -> None:
    """In a sequence nobody else sees the value that an in-place ReLU overwrites."""
    rebuilder.chain.relu(module.name)


def _flatten(module: Module, rebuilder: Rebuilder) -> None:
    """The network takes each input flat already."""
    if (module.fields["start_dim"], module.fields["end_dim"]) != (1, -1):
        raise UnsupportedLayer(
            f"layer {module.name!r} is a Flatten of dimensions {_plain(module.fields['start_dim'])} to "
            f"{_plain(module.fields['end_dim'])}; supported is Flatten(1, -1), which makes each input flat"
        )


def _identity(module: Module, rebuilder: Rebuilder) -> None:
    """Nothing is computed, in evaluation mode at least."""


def _plain(value: Any) -> str:
    return str(value) if type(value) is int and abs(value) < 2**63 else typename(value)


def _nn(file: str, name: str) -> Name:
    return Name(f"torch.nn.modules.{file}", name)


_DROPOUTS = ("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout")
KINDS: dict[Name, Kind] = {
    _nn("container", "Sequential"): Kind(_sequential, container=True),
    _nn("linear", "Linear"): Kind(_linear, frozenset({"in_features", "out_features"}), frozenset({"weight", "bias"})),
    _nn("activation", "ReLU"): Kind(_relu, frozenset({"inplace"})),
    _nn("flatten", "Flatten"): Kind(_flatten, frozenset({"start_dim", "end_dim"})),
    _nn("linear", "Identity"): Kind(_identity),
    **{_nn("dropout", name): Kind(_identity, frozenset({"p", "inplace"})) for name in _DROPOUTS},
}
SUPPORTED = "supported are nested torch.nn.Sequential of Linear, ReLU, Flatten, Dropout and Identity"
_CUT = "no piecewise linear layer; cut before it: explain the logits, and save the network without this layer"
_REFUSED = {_nn("activation", name): _CUT for name in ("Softmax", "LogSoftmax", "Softmin", "Softmax2d")}
