"""Cells and facets of networks with max-pools and skips, and the direction that no form is zero on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import sympy
import z3

from dtdsym import place
from dtdsym.network.builder import Builder, Value
from dtdsym.network.network import Network
from machinery import Derivation, main, statement
from machinery.forging import not_all_covered

HERE = "not in the paper, whose networks have neither"


def built(make: Callable[[Builder], Value]) -> Network:
    """A network of one input."""
    builder = Builder((1,))
    return builder.network(make(builder))


def affine(builder: Builder, value: Value, weight: list[list[float]], bias: list[float]) -> Value:
    """W a + b."""
    return builder.linear(value, np.array(weight, dtype=float), np.array(bias, dtype=float))


def pooled(weight: list[list[float]], bias: list[float]) -> Network:
    """max(w1 x + b1, w2 x + b2)."""

    def make(builder: Builder) -> Value:
        both = builder.reshape(affine(builder, builder.input, weight, bias), (1, 2))
        return builder.reshape(builder.max_pool(both, 2), (1,))

    return built(make)


def skipped(weight: float) -> Network:
    """[[x] + weight x]."""

    def make(builder: Builder) -> Value:
        hidden = builder.relu(builder.input)
        past = affine(builder, builder.input, [[weight]], [0])
        return builder.relu(builder.add(hidden, past))

    return built(make)


@statement(
    "regions_pools",
    "max-pools, skips, and steps across facets",
    place=HERE,
    printed="Arguments of a max-pool that tie identically on a cell count as one; with skips or pools a facet is never "
    "skipped: one pass through the network at a point of the cell does not tell whether the gradient changes there. "
    "Cones are enumerated from the direction (1, eps, eps^2, ...), on which no non-zero form is 0",
    verdict="true",
    reason="a tie that holds nearby has one derivative; a pool bends where no neuron vanishes, and a skip wakes "
    "neurons that are identically zero on the cell; a non-zero form is a non-zero polynomial in eps",
    scope="ties of two arguments, all reals, by Z3; exact examples; forms of 2 and 3 inputs. Not proved here: deciding "
    "linearity is coNP-hard in general (cited), and the search stays small in generic networks (measured)",
    parts=("ties", "steps", "generic"),
)
def regions_pools(proof: Derivation) -> None:
    proof.part("ties")
    du, dv = z3.Reals("du dv")
    proof.valid("u = v nearby too, du = dv: max changes by du", z3.If(du >= dv, du, dv) == du, given=[du == dv])
    proof.found(
        "max(x, x): x~ = 2 is in the cell of x = 1, as nothing bends; in max(x, 3 - x) the pool has switched",
        lambda one: place(one, (1,), (2,)).name,
        pooled([[1], [1]], [0, 0]),
        "same_cell",
        unlike=pooled([[1], [-1]], [0, 3]),
    )
    proof.part("steps")
    proof.found(
        "max(x, 2x - 1) from x = 0 to x~ = 2: no neuron vanishes, but the gradient changes at the tie, x = 1",
        lambda one: place(one, (0,), (2,)).name,
        pooled([[1], [2]], [0, -1]),
        "outside",
        unlike=pooled([[1], [1]], [0, -1]),
    )
    proof.found(
        "[[x] - x] from x = 1: the outer neuron is identically 0 there, so [x] has the downstream derivative 0; beyond "
        "x = 0 it wakes, through the skip",
        lambda other: place(skipped(-1), (1,), (other,)).name,
        -1,
        "outside",
        unlike=2,
    )
    _generic(proof)


def _generic(proof: Derivation) -> None:
    proof.part("generic")
    t = sympy.Symbol("eps")
    for size in proof.each("number of inputs", (2, 3)):
        form = sympy.symbols(f"u1:{size + 1}")
        along = sympy.Poly(sympy.Add(*(u * t**k for k, u in enumerate(form))), t)
        proof.equal("u.(1, eps, ...) has the coefficients u", list(reversed(along.all_coeffs())), list(form))
    not_all_covered(proof)
    u, v, w, eps = z3.Reals("u v w eps")
    size = z3.If(v >= 0, v, -v) + z3.If(w >= 0, w, -w)
    proof.valid(
        "for small eps > 0 its sign is that of the first u_k that is not 0: all forms are decided by comparing numbers",
        u + eps * v + eps * eps * w > 0,
        given=[eps > 0, eps < 1, eps * size < u],
    )


if __name__ == "__main__":
    main()
