"""A property of a network's inputs and outputs: a Python function from a lift to a Z3 formula, and what it may be.

Z3 reads a float as the decimal that Python prints, 0.1 as 1/10, though the float is another number. `number(0.1)` is
the float's exact value, as everywhere else in dtdsym; ints and Fractions are exact by themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import numpy as np
import z3

from dtdsym.arithmetic.smt import numeral
from dtdsym.arithmetic.written import exact_number
from dtdsym.errors import InputError
from dtdsym.lifts.logic import check_arithmetic, unknowns
from dtdsym.lifts.z3_lift import Z3Lift

Property = Callable[[Z3Lift], Any]


def number(value: Any) -> z3.RatNumRef:
    """The exact value of a float, int, Fraction, "1/3" or tensor of one number, as a Z3 real. Raises NotExact."""
    return numeral(exact_number(value, name="number"))


def formula(having: Property, lift: Z3Lift) -> z3.BoolRef:
    """What the property says of a lift. Raises InputError where it gives no formula over its inputs and outputs."""
    found = stated(having, lift)
    foreign = unknowns(stated(having, lift.at([Fraction(0)] * len(lift.inputs))))
    if foreign:
        names = ", ".join(sorted(foreign))
        raise InputError(f"the property speaks of {names}; it may speak of the lift's own inputs and outputs alone")
    return found


def stated(having: Property, lift: Z3Lift) -> z3.BoolRef:
    """The same, without asking where its unknowns come from. Raises InputError."""
    if not callable(having):
        raise InputError(f"the property is {having!r:.70}; expected a function, such as lambda net: net.outputs[0] > 1")
    found = _called(having, lift)
    if isinstance(found, bool | np.bool_):
        return z3.BoolVal(bool(found))
    if not z3.is_bool(found):
        raise InputError(f"the property gave {found!r:.70}; expected a Z3 formula, such as net.outputs[0] > 1")
    check_arithmetic(found)
    return found


def satisfies(having: Property, lift: Z3Lift) -> Callable[[Sequence[Fraction]], bool]:
    """Whether the property holds at a point, whose values the rational arithmetic computes."""
    return lambda point: z3.is_true(z3.simplify(stated(having, lift.at(point))))


def _called(having: Property, lift: Z3Lift) -> Any:
    try:
        with _no_truth_values():
            return having(lift)
    except (z3.Z3Exception, TypeError) as err:
        why = " ".join(str(err).split())
        raise InputError(
            f"Z3 cannot read the property ({why}); it compares inputs[i], outputs[i], finite ints, Fractions "
            "and dtdsym.lifts.properties.number(value)"
        ) from err
    except IndexError as err:
        held = f"{len(lift.inputs)} inputs, {len(lift.outputs)} outputs"
        raise InputError(
            f"the property asks for an input or output that the lift does not have; it has {held}"
        ) from err


@contextmanager
def _no_truth_values() -> Iterator[None]:
    """While a property is written no formula is true or false. To Z3 for Python `x == 1` is false, for x is not written
    as 1 is: then `x == 1 or y > 2` would be `y > 2`, unseen."""
    own = z3.BoolRef.__bool__

    def refuse(term: z3.BoolRef) -> bool:
        if z3.is_true(term) or z3.is_false(term):
            return bool(z3.is_true(term))
        raise InputError(
            f"the property asks Python whether {' '.join(str(term).split()):.70} is true, as `and`, `or`, `not`, `if` "
            "and 0 < y < 1 do; write z3.And(0 < y, y < 1), z3.Or, z3.Not, z3.If"
        )

    z3.BoolRef.__bool__ = refuse
    try:
        yield
    finally:
        z3.BoolRef.__bool__ = own
