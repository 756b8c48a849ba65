"""Inert records of torch.nn modules made into a Network.

A layer computes what its class says only if its instance says nothing else: attributes beyond the class's own (one
could shadow `forward`), hooks and parametrisations are refused, by name and place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dtdsym.errors import LoadError, UnsupportedLayer
from dtdsym.network.files.archive import Numbers
from dtdsym.network.files.inert import Name, Record, shown, typename
from dtdsym.network.files.kinds import KINDS, REFUSED
from dtdsym.network.files.recorded import SUPPORTED, Kind, Module
from dtdsym.network.files.sequence import Shape, Step, sequence
from dtdsym.network.network import Network

DEEPEST, MOST_MODULES = 100, 10_000
_OTHERWISE = (
    "save torch.export.export(model, (example_input,)) with torch.export.save, or in Python use "
    "dtdsym.from_module(module, example_input): both take any module made of supported operations"
)
# What every torch.nn.Module carries besides its hooks.
_COMMON = frozenset(
    {"training", "_parameters", "_buffers", "_non_persistent_buffers_set", "_is_full_backward_hook", "_modules"}
)
# Buffers that no forward pass in evaluation mode reads, and that old versions of torch do not write.
_UNREAD = frozenset({"num_batches_tracked"})


def rebuild(record: Record, numbers: Numbers, input_shape: Shape | None = None) -> Network:
    """The network that a saved module is, in evaluation mode. input_shape: of one input, where no layer states it.

    Raises UnsupportedLayer, LoadError, NotExact or ShapeMismatch, each with the place."""
    walk = _Walk(numbers)
    walk.add(record, "")
    return sequence(walk.steps, input_shape)


class _Walk:
    """Goes through a tree of records in order and collects the steps of their layers."""

    def __init__(self, numbers: Numbers) -> None:
        self.numbers, self.steps = numbers, list[Step]()
        self._met = 0

    def add(self, record: Any, place: str) -> None:
        """Collect the module that `record` describes. Raises UnsupportedLayer, which names it and its place."""
        self._met += 1
        if self._met > MOST_MODULES or place.count(".") > DEEPEST:
            raise LoadError(f"its modules are nested {DEEPEST} deep or number over {MOST_MODULES}; flatten the network")
        where = f"layer {place!r}" if place else "the saved object"
        if type(record) is not Record:
            raise UnsupportedLayer(f"{where} is a {typename(record)}, not a torch.nn module; {SUPPORTED}")
        if record.kind in REFUSED:
            raise UnsupportedLayer(f"{where} is a {record.kind.name}; {REFUSED[record.kind]}")
        if record.kind not in KINDS:
            raise UnsupportedLayer(f"{where} is a {record.kind}, {_unknown(record.kind)}")
        kind = KINDS[record.kind]
        module = _open(record, kind, place, where, self.numbers)
        if kind.step is not None:
            self.steps.append(kind.step(module))
        for key, child in module.children.items():
            self.add(child, f"{place}.{shown(key)}" if place else shown(key))


def _unknown(kind: Name) -> str:
    if kind.module.startswith("torch.nn."):
        return f"which is not supported; {SUPPORTED}"
    return f"a class of your own, whose code is not in the file; {_OTHERWISE}; or save torch.nn.Sequential layers"


def _open(record: Record, kind: Kind, place: str, where: str, numbers: Numbers) -> Module:
    state = record.state
    if type(state) is not dict or record.arguments or not all(type(key) is str for key in state):
        raise LoadError(f"{where} was not saved as torch saves a {record.kind.name}; save the network again")
    _check_attributes(state, record.kind.name, kind, where)
    parameters, buffers, children = (_named(state.get(key)) for key in ("_parameters", "_buffers", "_modules"))
    fits = parameters.keys() == kind.parameters and kind.buffers - _UNREAD <= buffers.keys() <= kind.buffers
    if not fits or not kind.fields <= state.keys() or (children and kind.step is not None):
        raise UnsupportedLayer(
            f"{where} does not have the fields, parameters and parts of a {record.kind.name}; {SUPPORTED}"
        )
    fields = {key: state[key] for key in kind.fields}
    return Module(place, record.kind.name, fields, parameters, buffers, children, numbers)


def _check_attributes(state: Mapping[str, Any], name: str, kind: Kind, where: str) -> None:
    """Refuse hooks and whatever else could make an instance differ from its class."""
    for key, value in state.items():
        if "_hooks" in key:
            if type(value) is not dict or value:
                raise UnsupportedLayer(
                    f"{where} carries {shown(key)}, code that could change what it computes; remove its hooks and "
                    "save again"
                )
        elif key not in _COMMON | kind.fields | kind.optional:
            raise UnsupportedLayer(
                f"{where} carries an attribute {shown(key)!r} that a {name} does not have and that could change what "
                f"it computes; delete it and save again, or {_OTHERWISE}"
            )


def _named(part: Any) -> Mapping[str, Any]:
    """A dict of parameters, buffers or modules; of one entry that no class has, if it is none."""
    return part if type(part) is dict and all(type(key) is str for key in part) else {"no dict by name": part}
