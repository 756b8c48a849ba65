"""`to_z3`: a network as terms and constraints of linear real arithmetic, exactly, for Z3 and other solvers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import z3

from dtdsym.arithmetic.rational import RATIONAL, fractions
from dtdsym.arithmetic.smt import Smt
from dtdsym.network.evaluate import evaluate
from dtdsym.network.network import Network, checked
from dtdsym.network.slice import Slice

Terms = tuple[z3.ArithRef, ...]


@dataclass(frozen=True, eq=False)
class Z3Lift:
    """The values of a network's nodes as Z3 terms: where all `constraints` hold, `outputs` is the network at `inputs`.

    function: the network, and the node that the inputs are the value of: node 0, unless F_l was lifted. values: node id
    -> one term for each entry, of all nodes that follow from it. constraints: they define the fresh variables that the
    terms name. For given inputs exactly one value of these satisfies them, so a formula over inputs and outputs holds
    at a point iff some values of the fresh variables satisfy it together with the constraints.
    """

    function: Slice
    inputs: Terms
    values: Mapping[int, Terms]
    constraints: tuple[z3.BoolRef, ...]

    @property
    def network(self) -> Network:
        """The network that was lifted."""
        return self.function.network

    @property
    def outputs(self) -> Terms:
        """The network's outputs."""
        return self.values[len(self.network.nodes) - 1]

    def at(self, point: Sequence[Fraction]) -> Z3Lift:
        """The same nodes at a point (in,), as the numerals that the rational arithmetic computes."""
        start, smt = self.function.start, Smt()
        exact = evaluate(self.network, RATIONAL, {**self.function.bypass, start: RATIONAL.lift(list(point))})
        values = {node: _terms(smt.lift(value)) for node, value in exact.items()}
        return replace(self, inputs=values[start], values=values, constraints=())


def to_z3(network: Network, *, prefix: str = "") -> Z3Lift:
    """The network over Z3's reals, in quantifier-free linear real arithmetic; nothing is rounded.

    Inputs are the constants x_0, x_1, ..., and fresh variables are max_0, max_1, ..., all behind `prefix`, so that one
    network can stand several times in one question."""
    return lift_slice(Slice(checked(network), 0, {}), prefix=prefix)


def lift_slice(
    function: Slice, *, prefix: str = "", inputs: Sequence[Any] = (), named: Mapping[int, np.ndarray] | None = None
) -> Z3Lift:
    """F_l over Z3's reals. inputs: terms for its inputs, else the constants x_0, x_1, ...; named: id of an array of
    weights -> terms that it stands for."""
    smt = Smt(named, fresh=f"{prefix}max")
    terms = list(inputs) or [z3.Real(f"{prefix}x_{i}") for i in range(function.size)]
    bypass = {node: smt.lift(list(fractions(value))) for node, value in function.bypass.items()}
    values = evaluate(function.network, smt, {**bypass, function.start: smt.lift(terms)})
    lifted = {node: _terms(value) for node, value in values.items()}
    return Z3Lift(function, lifted[function.start], lifted, tuple(smt.constraints))


def _terms(array: np.ndarray) -> Terms:
    return tuple(array.tolist())
