"""Reads pickles of torch.save without running them: nothing is imported, and nothing that a file names is called.

The standard library's `pickletools.genops` splits the bytes into operations; a closed interpreter of the few that
torch.save writes turns them into plain containers and inert records: a global is its own name, an instance is the name
of its class beside its recorded attributes, a tensor is a description of where its numbers lie. `pickle.Unpickler` is
not used, restricted or not: it allocates what a file asks for (one memo index can claim gigabytes).
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO

from dtdsym.errors import LoadError

# A pickle describes a network, its numbers lie elsewhere: tens of operations a layer.
MOST_OPERATIONS = 1_000_000
MOST_BYTES = 2**24
_DAMAGED = "its pickle is damaged or not made by torch.save; save the network again"


@dataclass(frozen=True)
class Name:
    """A global that the pickle names; it is never looked up."""

    module: str
    name: str

    def __str__(self) -> str:
        return shown(f"{self.module}.{self.name}")


@dataclass(frozen=True, eq=False)
class Storage:
    """`count` numbers of one kind under `key`; `kind` is torch's storage class, such as FloatStorage."""

    kind: Name
    key: str
    count: int


@dataclass(frozen=True, eq=False)
class Tensor:
    """Numbers of a storage: entry i lies at offset + sum(i * stride), counted in numbers. dtype is that of `storage`,
    or else the one that the pickle names."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: str


@dataclass(eq=False)
class Record:
    """An instance of a class that was never imported; `state` holds its recorded attributes once they were read."""

    kind: Name
    arguments: tuple[Any, ...]
    state: Any = field(default=None, repr=False)


def shown(text: object) -> str:
    """Text from a file, fit for one line: escapes for whatever does not print, cut after 100 characters."""
    line = str(text).encode("unicode_escape").decode("ascii")
    return line if len(line) <= 100 else f"{line[:100]}..."


def typename(value: Any) -> str:
    """What a value read from a pickle is, for messages."""
    return str(value.kind) if isinstance(value, Record) else type(value).__name__.lower()


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
        self.stack[-1].update(_pairs(zip(items[::2], items[1::2], strict=True)))

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
        if callee not in _CONSTRUCTORS:
            raise LoadError(f"its pickle would call {callee}; nothing in a file is ever executed; {_SAVE_AGAIN}")
        self.stack.append(_CONSTRUCTORS[callee](*arguments))

    def persistent(self, _: None) -> None:
        """What torch keeps outside the pickle: storages, and in the format before 1.6 the classes of modules."""
        match self.stack.pop():
            case ("module", Name() as kind, _, _):
                self.stack.append(kind)
            # The format before 1.6 has a sixth entry, for views of storages, which has been None since tensors are views.
            case ("storage", Name(module="torch" | "torch.cuda" | "torch.storage") as kind, key, str(), count, *view):
                if type(key) is not str or type(count) is not int or view not in ([], [None]):
                    raise TypeError("no storage")
                storage = self.storages.setdefault(key, Storage(kind, key, count))
                if (storage.kind, storage.count) != (kind, count):
                    raise LoadError(f"storage {shown(key)} is described in two ways; save the network again")
                self.stack.append(storage)
            case _:
                raise TypeError("no storage")


_SAVE_AGAIN = (
    "save torch.nn.Sequential layers or a state_dict with torch.save, "
    "or use dtdsym.from_module(module, example_input) in Python"
)
_LITERALS = frozenset(
    "BININT BININT1 BININT2 LONG1 LONG4 BINFLOAT BINUNICODE SHORT_BINUNICODE BINUNICODE8 "
    "BINBYTES SHORT_BINBYTES BINBYTES8".split()
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
    "TUPLE": lambda machine, _: machine.stack.append(tuple(machine.marked())),
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


def _pairs(pairs: Any) -> dict[Any, Any]:
    """A dict whose keys are short to hash: a nested tuple can take forever, huge numbers can be made to collide."""
    made = {}
    for key, value in pairs:
        if not (type(key) is str or (type(key) in (int, bool) and abs(key) < 2**60) or key is None):
            raise LoadError(f"its pickle holds a dict with a {typename(key)} as key; save the weights alone")
        made[key] = value
    return made


def _ordered_dict(items: Any = ()) -> dict[Any, Any]:
    return _pairs(items)


def _members(items: Any = ()) -> list[Any]:
    if type(items) is not list:
        raise TypeError("members of a set")
    return list(items)


def _tensor(storage: Any, offset: Any, size: Any, stride: Any) -> Tensor:
    if type(storage) is not Storage or type(size) is not tuple or type(stride) is not tuple:
        raise TypeError("a tensor without storage")
    natural = all(type(n) is int and 0 <= n < 2**62 for n in (offset, *size, *stride))
    if not natural or not len(size) == len(stride) <= 64:
        raise LoadError("a tensor's offset, shape or strides are no natural numbers; save the network again")
    return Tensor(storage, offset, size, stride, storage.kind.name.removesuffix("Storage").lower())


def _tensor_v2(
    storage: Any, offset: Any, size: Any, stride: Any, _grad: Any, _hooks: Any, metadata: Any = None
) -> Tensor:
    if metadata:
        raise LoadError("a tensor is stored negated or conjugated; call .resolve_neg() and .resolve_conj() on it first")
    return _tensor(storage, offset, size, stride)


def _tensor_v3(
    storage: Any, offset: Any, size: Any, stride: Any, grad: Any, hooks: Any, dtype: Name, metadata: Any = None
) -> Tensor:
    return replace(_tensor_v2(storage, offset, size, stride, grad, hooks, metadata), dtype=shown(dtype.name))


def _parameter(data: Any, _grad: Any, _hooks: Any) -> Tensor:
    if type(data) is not Tensor:
        raise TypeError("a parameter without tensor")
    return data


def _size(numbers: Any) -> Any:
    return numbers


# All that a pickle may call. Each only arranges data that was already read.
_CONSTRUCTORS: dict[Name, Callable[..., Any]] = {
    Name("collections", "OrderedDict"): _ordered_dict,
    Name("__builtin__", "set"): _members,
    Name("builtins", "set"): _members,
    Name("torch", "Size"): _size,
    Name("torch._utils", "_rebuild_tensor"): _tensor,
    Name("torch._utils", "_rebuild_tensor_v2"): _tensor_v2,
    Name("torch._utils", "_rebuild_tensor_v3"): _tensor_v3,
    Name("torch._utils", "_rebuild_parameter"): _parameter,
}
