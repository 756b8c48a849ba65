"""Remark 1: the number of linear regions grows exponentially with depth, in the worst case, by folding."""

from __future__ import annotations

from fractions import Fraction

import sympy
import z3
from sympy import symbols

from dtdsym import arrangement
from dtdsym.network.network import Network, sequential
from machinery import Derivation, main, statement

DEPTHS = (1, 2, 3, 4)


def sawtooth(depth: int) -> Network:
    """T o ... o T for T(y) = 2 [y] - 4 [y - 1/2]: depth layers of two neurons, and a linear output."""
    first = ([[1], [1]], [0, -0.5])
    folds = [([[2, -4], [2, -4]], [0, -0.5])] * (depth - 1)
    return sequential(first, *folds, ([[2, -4]], [0]), final_relu=False)


def one_layer(width: int) -> Network:
    """A sawtooth too: one hidden layer of so many neurons, which bends at 1/64, 3/64, 5/64, ..., all in [0, 1]."""
    slopes = [2 * (-1) ** k for k in range(width)]
    return sequential(([[1]] * width, [-(2 * k + 1) / 64 for k in range(width)]), ([slopes], [0]), final_relu=False)


def regions(network: Network) -> int:
    """How many linear regions meet the interval from 0 to 1."""
    return len(arrangement(network, box=[(0, 1)]).regions)


@statement(
    "remark1",
    "the number of linear regions",
    place="Section 3.2, Remark 1",
    printed="the local linear regions are tiny, or rather the number of linear regions grows exponentially with the "
    "depth of the network in the worst case",
    verdict="true",
    reason="n layers of two neurons that fold the interval [0, 1] have 2^n regions on it, each of length 2^-n",
    scope="one family of networks, for all n by an induction step that is checked for symbolic pieces; counted exactly "
    f"for n = {', '.join(map(str, DEPTHS))}",
    parts=("folding",),
)
def remark1(proof: Derivation) -> None:
    proof.say("Let T(y) = 2 [y] - 4 [y - 1/2], which is 2y on [0, 1/2] and 2 - 2y on [1/2, 1]; f_n = T o ... o T.")
    y = sympy.Symbol("y")
    tent = {(0, "[0, 1/2]"): 2 * y, (1, "[1/2, 1]"): 2 - 2 * y}
    for mask, piece in proof.each("piece of T", tent):
        proof.equal(
            f"T on {piece}, where the second neuron's mask is {mask}",
            2 * y - 4 * mask * (y - sympy.Rational(1, 2)),
            tent[mask, piece],
        )
    _folding(proof, tent)
    for n in proof.each("number of layers", DEPTHS):
        proof.found(f"f_{n} has 2^{n} linear regions on [0, 1]", regions, sawtooth(n), 2**n, unlike=sawtooth(n + 1))
        proof.found(
            f"each of length 2^-{n}",
            lambda network: {_length(cell) for cell in arrangement(network, box=[(0, 1)]).cells},
            sawtooth(n),
            {Fraction(1, 2**n)},
            unlike=sawtooth(n + 1),
        )
    proof.found(
        "One layer of as many neurons as f_4 has, 8, has but 9 regions: at most one more than neurons, as each bends "
        "once",
        regions,
        one_layer(8),
        9,
        unlike=sawtooth(4),
    )


def _folding(proof: Derivation, tent: dict) -> None:
    """The step: f_{n+1} = T o f_n."""
    proof.part("folding")
    a, b, s = symbols("a b s")
    proof.say(
        "Claim: [0, 1] has 2^n pieces [a, b] of equal lengths on which f_n is affine, from 0 to 1 or from 1 to 0, in "
        "turn. So it is for n = 1. Step: on a piece let f_n be g, and m = (a + b)/2"
    )
    rising = (s - a) / (b - a)
    for name, g in proof.each("kind of piece", {"from 0 to 1": rising, "from 1 to 0": 1 - rising}.items()):
        middle = (a + b) / 2
        proof.equal(f"g, {name}, is 1/2 at m", g.subs(s, middle), sympy.Rational(1, 2))
        low, high = tent.values()
        left, right = (low, high) if name == "from 0 to 1" else (high, low)
        y = sympy.Symbol("y")
        first, second = left.subs(y, g), right.subs(y, g)
        proof.equal("T o g on [a, m] goes from 0 to 1", [first.subs(s, a), first.subs(s, middle)], [0, 1])
        proof.equal("T o g on [m, b] goes from 1 to 0", [second.subs(s, middle), second.subs(s, b)], [1, 0])
        proof.equal("with slopes 2/(b-a) and -2/(b-a)", [first.diff(s), second.diff(s)], [2 / (b - a), -2 / (b - a)])
    low, high = z3.Reals("a b")
    proof.valid(
        "which are different, so the halves are two regions", 2 / (high - low) != -2 / (high - low), given=[low < high]
    )
    proof.say(
        "So f_{n+1} goes from 0 to 1 and from 1 to 0 on either half, in turn: at a, b it is 0, and before b it falls "
        "and after b it rises, with the same two slopes, as all pieces have one length. So there are 2^(n+1) pieces."
    )


def _length(cell: object) -> Fraction:
    (low,), (high,) = sorted(cell.vertices)
    return high - low


if __name__ == "__main__":
    main()
