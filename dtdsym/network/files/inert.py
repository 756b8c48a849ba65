"""Inert records: what a pickle of torch.save describes, as plain data. Nothing is imported, nothing that a file names
is called: a global is its own name, an instance is the name of its class beside its recorded attributes, a tensor is
a description of where its numbers lie. The few constructors that torch.save writes are re-made here, and no others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from dtdsym.errors import LoadError


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


def pairs(items: Any) -> dict[Any, Any]:
    """A dict whose keys are short to hash: a nested tuple can take forever, huge numbers can be made to collide."""
    made = {}
    for key, value in items:
        if not (type(key) is str or (type(key) in (int, bool) and abs(key) < 2**60) or key is None):
            raise LoadError(f"its pickle holds a dict with a {typename(key)} as key; save the weights alone")
        made[key] = value
    return made


def _ordered_dict(items: Any = ()) -> dict[Any, Any]:
    return pairs(items)


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
CONSTRUCTORS: dict[Name, Callable[..., Any]] = {
    Name("collections", "OrderedDict"): _ordered_dict,
    Name("__builtin__", "set"): _members,
    Name("builtins", "set"): _members,
    Name("torch", "Size"): _size,
    Name("torch._utils", "_rebuild_tensor"): _tensor,
    Name("torch._utils", "_rebuild_tensor_v2"): _tensor_v2,
    Name("torch._utils", "_rebuild_tensor_v3"): _tensor_v3,
    Name("torch._utils", "_rebuild_parameter"): _parameter,
}
