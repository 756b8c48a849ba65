"""One line of a certificate file, read without trust: what is not exactly as FORMAT.md says is refused by name."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from fractions import Fraction
from math import gcd
from typing import Any

LONGEST_NUMBER = 200_000
DEEPEST = 16
NUMBER = re.compile(r"(-?(?:0|[1-9][0-9]*))(?:/([1-9][0-9]*))?", re.ASCII)
BRACKETS = re.compile(r'[\[\]{}]|"(?:[^"\\]++|\\.)*+"?')  # strings are passed over, also one without an end
CHUNK = 600  # digits that int() reads at once, however low its limit is set (it is never below 640)


class Refused(Exception):
    """What is wrong, in one line."""


CUT_OFF = "\0"
"""Stands for a line whose end is missing."""


def shown(value: Any) -> str:
    """Any value, short and printable."""
    return repr(value)[:70]


def parse(line: str) -> dict[str, Any]:
    """The object on a line."""
    if line == CUT_OFF:
        raise Refused("the line is cut off: its end is missing")
    if line.count("[") + line.count("{") > DEEPEST and _depth(line) > DEEPEST:
        raise Refused(f"nested deeper than {DEEPEST}")
    try:
        found = json.loads(
            line, object_pairs_hook=_once, parse_float=_no_float, parse_constant=_no_float, parse_int=_index
        )
    except RecursionError as err:
        raise Refused(f"nested deeper than {DEEPEST}") from err
    except ValueError as err:
        raise Refused(f"no JSON: {str(err)[:80]}") from err
    if not isinstance(found, dict):
        raise Refused(f"an object was expected, not a {type(found).__name__}")
    return found


def _depth(line: str) -> int:
    deepest = depth = 0
    for bracket in BRACKETS.findall(line):
        depth += 1 if bracket in "[{" else -1 if bracket in "]}" else 0
        deepest = max(deepest, depth)
    return deepest


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise Refused(f"key {shown(name)} stands twice")
        found[name] = value
    return found


def _no_float(text: str) -> Any:
    raise Refused(f"number {shown(text)} is not exact; exact numbers are strings, indices are integers")


def _index(text: str) -> int:
    if len(text) > 18:
        raise Refused(f"index {shown(text)} is huge")
    return int(text)


def keys(where: dict[str, Any], *needed: str, maybe: Iterable[str] = ()) -> None:
    """Exactly these keys, and perhaps some more."""
    missing = [name for name in needed if name not in where]
    unknown = [name for name in where if name not in needed and name not in maybe]
    if missing:
        raise Refused(f"key {missing[0]!r} is missing")
    if unknown:
        raise Refused(f"key {unknown[0]!r} is unknown here")


def text(value: Any, what: str) -> str:
    """A string."""
    if not isinstance(value, str):
        raise Refused(f"{what} is no string")
    return value


def index(value: Any, size: int | None, what: str, least: int = 0) -> int:
    """An integer from `least`, below `size`."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise Refused(f"{what} is no integer")
    if value < least or (size is not None and value >= size):
        raise Refused(f"{what} {value} is out of range")
    return value


def items(value: Any, what: str, size: int | None = None) -> list[Any]:
    """An array, of `size` entries if that is given."""
    if not isinstance(value, list):
        raise Refused(f"{what} is no array")
    if size is not None and len(value) != size:
        raise Refused(f"{what} has {len(value)} entries, {size} were expected")
    return value


def record(value: Any, what: str) -> dict[str, Any]:
    """An object."""
    if not isinstance(value, dict):
        raise Refused(f"{what} is no object")
    return value


def number(value: Any, what: str) -> Fraction:
    """An exact number, in the one way that it may be written."""
    if not isinstance(value, str):
        raise Refused(f"{what} is no exact number in a string")
    if len(value) > LONGEST_NUMBER:
        raise Refused(f"{what} is huge: {len(value)} characters")
    match = NUMBER.fullmatch(value)
    if match is None or value == "-0" or match[2] == "1":
        raise Refused(f"{what} {shown(value)} is no exact number in lowest terms")
    p, q = whole(match[1]), whole(match[2] or "1")
    if gcd(p, q) != 1:
        raise Refused(f"{what} {shown(value)} is not in lowest terms")
    return Fraction(p, q)


def point(value: Any, size: int, what: str) -> tuple[Fraction, ...]:
    """An array of exact numbers."""
    return tuple(number(entry, f"{what}[{place}]") for place, entry in enumerate(items(value, what, size)))


def whole(digits: str) -> int:
    """The integer, however long."""
    if len(digits) <= CHUNK:
        return int(digits)
    cut = len(digits) // 2
    sign = -1 if digits[0] == "-" else 1
    head, tail = digits[:cut], digits[cut:]
    return whole(head) * 10 ** len(tail) + sign * whole(tail)


def each(value: Any, what: str, read: Callable[[Any, str], Any]) -> list[Any]:
    """An array whose entries are all read."""
    return [read(entry, f"{what}[{place}]") for place, entry in enumerate(items(value, what))]
