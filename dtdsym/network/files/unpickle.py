"""Reads pickles of torch.save without running them, into plain containers and the records of files.inert.

The standard library's `pickletools.genops` splits the bytes into operations; a closed interpreter of the few that
torch.save writes does the rest. `pickle.Unpickler` is not used, restricted or not: it allocates what a file asks for
(one memo index claims gigabytes), hashes whatever stands as a key, and sets attributes of whatever it built.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from dtdsym.errors import LoadError
from dtdsym.network.files.inert import CONSTRUCTORS, Name, Record, Storage, pairs, shown, typename

# A pickle describes a network, its numbers lie elsewhere: tens of operations a layer.
MOST_OPERATIONS = 1_000_000
MOST_BYTES = 2**24
_DAMAGED = "its pickle is damaged or not made by torch.save; save the network again"
_SAVE_AGAIN = (
    "save torch.nn.Sequential layers or a state_dict with torch.save, "
    "or use dtdsym.from_module(module, example_input) in Python"
)


def read_pickle(stream: BinaryIO, storages: dict[str, Storage] | None = None) -> Any:
    """The object that the pickle at the stream's position describes; leaves the stream behind it.

    storages: collects the storages that tensors refer to, by key. Raises LoadError for a damaged pickle, for one that
    would call anything but the constructors of plain containers and tensors, and for one beyond the limits above.
    """
    machine = _Machine({} if storages is None else storages)
    try:
        for number, (name, argument) in enumerate(_operations(stream)):
            if number >= MOST_OPERATIONS:
                raise LoadError(f"its pickle has over {MOST_OPERATIONS} operations; save the weights alone")
            machine.step(name, argument)
        return machine.result()
    except (ValueError, TypeError, IndexError, KeyError, OverflowError) as err:
        raise LoadError(_DAMAGED) from err


def _operations(stream: BinaryIO) -> Iterator[tuple[str, Any]]:
    start = stream.tell()
    for operation, argument, position in pickletools.genops(stream):
        if (position or start) - start > MOST_BYTES:
            raise LoadError(f"its pickle has over {MOST_BYTES} bytes; save the weights alone")
        if operation.name == "STOP":
            return
        yield operation.name, argument


class _Machine:
    """The pickle machine's stack and memo. Every value on it is plain data or one of the records above."""

    def __init__(self, storages: dict[str, Storage]) -> None:
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.storages = storages

    def step(self, name: str, argument: Any) -> None:
        """One operation."""
        if name in _LITERALS:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name]())
        elif name in _ACTIONS:
            _ACTIONS[name](self, argument)
        else:
            raise LoadError(f"its pickle uses operation {name}, which torch.save does not; {_SAVE_AGAIN}")

    def result(self) -> Any:
        """The one object left at the end."""
        (value,) = self.stack
        if self.below:
            raise ValueError("a mark was left open")
        return value

    def marked(self) -> list[Any]:
        """Everything above the topmost mark, which goes."""
        items, self.stack = self.stack, self.below.pop()
        return items

    def mark(self, _: None) -> None:
        self.below.append(self.stack)
        self.stack = []

    def put(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def memoize(self, _: None) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def get(self, index: int) -> None:
        self.stack.append(self.memo[index])

    def global_(self, names: str) -> None:
        module, name = names.split(" ")
        self.stack.append(Name(module, name))

    def stack_global(self, _: None) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.stack.append(Name(_text(module), _text(name)))

    def tuple_(self, _: None) -> None:
        items = self.marked()
        self.stack.append(tuple(items))

    def tuple_of(self, count: int) -> None:
        items = [self.stack.pop() for _ in range(count)]
        self.stack.append(tuple(reversed(items)))

    def append(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise TypeError("appended to what is no list")
        self.stack[-1].extend(items)

    def set_items(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not dict:
            raise TypeError("set an item of what is no dict")
        self.stack[-1].update(pairs(zip(items[::2], items[1::2], strict=True)))

    def new(self, _: None) -> None:
        arguments, kind = self.stack.pop(), self.stack.pop()
        if type(kind) is not Name or type(arguments) is not tuple:
            raise TypeError("an instance of what is no class")
        self.stack.append(Record(kind, arguments))

    def build(self, _: None) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if type(target) is Record and target.state is None:
            target.state = state
        elif type(target) is not dict or type(state) is not dict or not state.keys() <= {"_metadata"}:
            # A state dict bears version numbers under _metadata; any other attribute of a dict could shadow a method.
            raise TypeError(f"attributes for a {typename(target)}")

    def reduce(self, _: None) -> None:
        arguments, callee = self.stack.pop(), self.stack.pop()
        if type(callee) is not Name or type(arguments) is not tuple:
            raise TypeError("a call of what is no function")
        if callee not in CONSTRUCTORS:
            raise LoadError(f"its pickle would call {callee}; nothing in a file is ever executed; {_SAVE_AGAIN}")
        self.stack.append(CONSTRUCTORS[callee](*arguments))

    def persistent(self, _: None) -> None:
        """What torch keeps outside the pickle: storages, and in the format before 1.6 the classes of modules."""
        match self.stack.pop():
            case ("module", Name() as kind, _, _):
                self.stack.append(kind)
            # The sixth entry is the older format's, for views of storages; it has been None since tensors are views.
            case ("storage", Name(module="torch" | "torch.cuda" | "torch.storage") as kind, key, str(), count, *view):
                if type(key) is not str or type(count) is not int or view not in ([], [None]):
                    raise TypeError("no storage")
                storage = self.storages.setdefault(key, Storage(kind, key, count))
                if (storage.kind, storage.count) != (kind, count):
                    raise LoadError(f"storage {shown(key)} is described in two ways; save the network again")
                self.stack.append(storage)
            case _:
                raise TypeError("no storage")


_LITERALS = frozenset(
    {"BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"}
    | {"BINBYTES", "SHORT_BINBYTES", "BINBYTES8"}
)
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": list,  # members are never hashed, so a set is kept as their list
}
_ACTIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": lambda machine, version: None,
    "FRAME": lambda machine, length: None,
    "MARK": _Machine.mark,
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "MEMOIZE": _Machine.memoize,
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
    "GLOBAL": _Machine.global_,
    "STACK_GLOBAL": _Machine.stack_global,
    "TUPLE": _Machine.tuple_,
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "APPEND": lambda machine, _: machine.append([machine.stack.pop()]),
    "APPENDS": lambda machine, _: machine.append(machine.marked()),
    "ADDITEMS": lambda machine, _: machine.append(machine.marked()),
    "SETITEM": lambda machine, _: machine.set_items([machine.stack.pop(), machine.stack.pop()][::-1]),
    "SETITEMS": lambda machine, _: machine.set_items(machine.marked()),
    "NEWOBJ": _Machine.new,
    "BUILD": _Machine.build,
    "REDUCE": _Machine.reduce,
    "BINPERSID": _Machine.persistent,
}


def _text(value: Any) -> str:
    if type(value) is not str:
        raise TypeError("a name that is no text")
    return value
