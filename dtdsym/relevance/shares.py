"""What a layer passes down under a rule, for all neurons at once, and where the rest goes.

A rule says for neuron j: input i receives p(a)_i q(w_ji) R_j / d_j, summed over a few terms (p, q), with a denominator
d_j = sum_i p(a)_i q(w_ji) + bias_j + epsilon sign(...). What stands in the denominator but belongs to no input is lost:
the bias's share, and epsilon's; and all of R_j where d_j = 0. So the ledger is read off the formula itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import numpy as np

from dtdsym.relevance.parts import Part, part_map
from dtdsym.relevance.state import State, lifted

Term = tuple[Any, Part]
"""p(a) (..., width) or one number for all inputs, and q."""


@dataclass(frozen=True, eq=False)
class Share:
    """`coefficient` of R_j is passed along `terms`. bias (..., size): in the denominator. epsilon: a number lifted.

    denominator: the sum of the terms and bias, where it is known already. fixed: s_j itself, whatever R_j and d_j are.
    undivided: s_j = coefficient R_j, whatever d_j is.
    """

    terms: tuple[Term, ...]
    coefficient: Any = 1
    bias: Any = None
    epsilon: Any = None
    denominator: Any = None
    fixed: Any = None
    undivided: bool = False


Shares = Callable[..., Sequence[Share]]
"""shares(state, *parameters): what a rule passes down; coefficients add up to 1."""


@dataclass(frozen=True, eq=False)
class Passed:
    """Relevance below a layer (..., width), and what was lost of it, per neuron (..., size) each, by cause."""

    below: Any
    lost: dict[str, Any] = field(default_factory=dict)


def steps(state: State, share: Share, relevance: Any) -> tuple[Any, Any, Any]:
    """(s, d, sign): s_j = coefficient R_j / (d_j + epsilon sign(d_j)), 0 where that is 0; sign(0) = +1."""
    ops = state.ops
    arriving = relevance * share.coefficient
    if share.fixed is not None:
        return relevance * 0 + share.fixed, None, None
    if share.undivided:
        return arriving, None, None
    total = share.denominator
    if total is None:
        parts = [forward(state, term) for term in share.terms]
        total = reduce(ops.add, parts)
        if share.bias is not None:
            total = total + share.bias
    if share.epsilon is None:
        return ops.ratio(arriving, total), total, None
    # sign(d) = 1 - 2 [-d]/|d| with 0/0 = 0 needs no comparison: an enclosure may leave the sign open.
    size = ops.maximum(total, -total)
    sign = 1 - 2 * ops.ratio(ops.relu(-total), size)
    return ops.ratio(arriving * sign, size + share.epsilon), total, sign


def pass_down(
    state: State, shares: Sequence[Share], relevance: Any, *, ledger: bool, remainder: str = "rule"
) -> Passed:
    """What all neurons pass to their inputs; with `ledger` also what was lost: to the bias, to epsilon, where there is
    no root, and, under the name `remainder`, what coefficients leave over."""
    ops = state.ops
    below: list[Any] = []
    lost: dict[str, list[Any]] = {}
    for share in shares:
        step, total, sign = steps(state, share, relevance)
        below += [_backward(state, term, step) for term in share.terms]
        if ledger:
            for cause, part in _lost(state, share, relevance, step, total, sign):
                lost.setdefault(cause, []).append(part)
    if ledger:
        unspent = relevance - reduce(ops.add, [relevance * share.coefficient for share in shares])
        lost.setdefault(remainder, []).append(unspent)
    return Passed(reduce(ops.add, below), {cause: reduce(ops.add, parts) for cause, parts in lost.items()})


def _lost(state: State, share: Share, relevance: Any, step: Any, total: Any, sign: Any) -> Iterator[tuple[str, Any]]:
    """What of the relevance that a share was to pass, it did not: by cause, per neuron."""
    if share.bias is not None:
        yield "bias", step * share.bias
    if total is None:
        passed = reduce(state.ops.add, [forward(state, term) for term in share.terms])
        yield "rule", relevance * share.coefficient - passed * step
    elif sign is not None:
        yield "epsilon", step * sign * share.epsilon
    else:
        yield "no_root", relevance * share.coefficient - step * total


def forward(state: State, term: Term) -> Any:
    """sum_i p_i q(w_ji), for every neuron j (..., size)."""
    value, part = term
    return part_map(state.layer, part).forward(state.ops, _spread(state, value))


def _backward(state: State, term: Term, step: Any) -> Any:
    value, part = term
    return part_map(state.layer, part).backward(state.ops, step) * value


def _spread(state: State, value: Any) -> Any:
    """p as a vector, where one number stands for all inputs."""
    if getattr(value, "shape", ()):
        return value
    ones = lifted(state.ops, state.layer, "ones", state.a, lambda: np.ones(state.layer.width))
    return ones * value
