"""Algorithm 2, as it is printed, and as the published analysis code runs it."""

from __future__ import annotations

from inspect import signature
from typing import Any

import sympy

import dtdsym
from machinery import Derivation, main, statement
from machinery.neuron import (
    added,
    dot,
    minus,
    network,
    patterns,
    put,
    rows,
    scaled,
    taylor_term,
    times,
    vector,
    written,
)

GAMMA = sympy.Symbol("gamma")


def passed(gradient: Any, a: Any, root: Any) -> tuple[Any, ...]:
    """a~.grad o (a_l - a~_l)."""
    return times(gradient, minus(a, root))


@statement(
    "alg2",
    "train-free DTD",
    place="Appendix C.2, Algorithm 2",
    printed="FIND_ROOT_POINT(l, a_l, R_j): t = R_j/(w_j^T v), return a_l - t v; GET_RELEVANCE: a~_l^(j) <- "
    "FIND_ROOT_POINT(f, l, a_l, R_j); a~.grad <- 0; o <- [W_l[j] a_l^(j) + b_l[j]]; o.backward(); r_j <- a~.grad o "
    "(a_l - a~_l); return sum_j r_j",
    verdict="corrected",
    reason="o is computed from a_l^(j), without the tilde, so a~.grad stays 0; a~_l in r_j lacks its j: one root for "
    "all j; FIND_ROOT_POINT is called with f, which it does not take, and without j, which it needs; with a ReLU in o, "
    "a root beyond the hinge (c_j > 1) passes nothing; the code's lrp0 ignores R_j",
    corrected="o <- W_l[j] a~_l^(j) + b_l[j] without ReLU and r_j <- a~^(j).grad o (a_l - a~_l^(j)) = (w_j o "
    "v_j/(w_j.v_j)) R_j: equation 15 with R_j as it arrives, which inactive neurons pass on too",
    scope="all w, b, a, R and directions v (w.v != 0) of 2 x 3 and 3 x 2 layers; exact networks for the rest",
    parts=("signatures", "tilde_and_index", "corrected", "relu", "gamma", "lrp0", "inactive"),
)
def alg2(proof: Derivation) -> None:
    proof.say(
        "Signatures: FIND_ROOT_POINT is declared with 3 arguments (l, a_l, R_j) and called with 4 (f, l, a_l, R_j); "
        "w_j = W_[j] needs j and W_l, neither of which it is given."
    )
    _signatures(proof)
    _tilde_and_index(proof)
    _corrected(proof)
    _relu(proof)
    _gamma(proof)
    _lrp0(proof)
    _inactive(proof)


def find_root_point(l: int, a_l: Any, r_j: Any) -> Any:
    """FIND_ROOT_POINT, with its printed arguments. What it does is not asked here."""
    return l, a_l, r_j


def _takes(words: tuple[Any, ...]) -> bool:
    """Whether FIND_ROOT_POINT can be called so."""
    try:
        signature(find_root_point).bind(*words)
    except TypeError:
        return False
    return True


def _signatures(proof: Derivation) -> None:
    proof.part("signatures")
    proof.found(
        "FIND_ROOT_POINT(l, a_l, R_j) called as FIND_ROOT_POINT(f, l, a_l, R_j): it cannot be",
        _takes,
        ("f", "l", "a_l", "R_j"),
        False,
        unlike=("l", "a_l", "R_j"),
    )
    proof.say("t = R_j/(w_j^T v) needs j as well: of W = ((1, 0), (0, 2)) at a = (1, 1), with R_j = 1 and v = w_j,")
    roots = [minus((1, 1), scaled(sympy.Rational(1, dot(w, w)), w)) for w in ((1, 0), (0, 2))]
    proof.counterexample(
        "the roots for j = 1 and j = 2, of the same l, a_l and R_j", *roots, values=((0, 1), (1, "1/2"))
    )


def _tilde_and_index(proof: Derivation) -> None:
    proof.part("tilde_and_index")
    (w,), (b,), (a,), (root,), (r,) = (vector(name, 1) for name in "wbasR")
    numbers = {w: 1, b: 0, a: 1, r: 1, root: 0}
    proof.counterexample(
        "the missing tilde: r_j with a~.grad of o = w a + b, and of o = w a~ + b (w = 1, b = 0, a = R = 1, a~ = 0)",
        sympy.diff(w * a + b, root) * (a - root),
        sympy.diff(w * root + b, root) * (a - root),
        numbers,
        values=(0, 1),
    )
    proof.say("One root for all j: W = ((1, 0), (0, 1)), b = 0, a = (1, 1), R = (1, 1), v = w.")
    weights, one = ((1, 0), (0, 1)), (1, 1)
    roots = [minus(one, w) for w in weights]
    proof.counterexample(
        "sum_j r_j with the last root (1, 0) for both, and with each neuron's own",
        added(passed(w, one, roots[-1]) for w in weights),
        added(passed(w, one, root) for w, root in zip(weights, roots, strict=True)),
        values=((0, 1), (1, 1)),
    )


def _corrected(proof: Derivation) -> None:
    proof.part("corrected")
    for k, d in proof.each("shape (neurons, inputs)", ((2, 3), (3, 2))):
        weights, directions, a, r = rows("w", k, d), rows("v", k, d), vector("a", d), vector("R", k)
        bias, s = vector("b", k), vector("s", d)
        terms, expected = [], []
        for w, v, bj, rj in zip(weights, directions, bias, r, strict=True):
            root = minus(a, scaled(rj / dot(w, v), v))
            slope = [put(sympy.diff(dot(w, s) + bj, si), s, root) for si in s]
            terms.append(passed(slope, a, root))
            expected.append(scaled(rj / dot(w, v), times(w, v)))
        proof.equal("corrected: r_j = (w_j o v_j/(w_j.v_j)) R_j", terms, expected)
        proof.equal("which adds up to R_j: all relevance that arrives is passed down", list(map(sum, terms)), r)
        proof.equal(
            "the comment w_j.(a_l - a~) = R_j",
            [dot(w, scaled(rj / dot(w, v), v)) for w, v, rj in zip(weights, directions, r, strict=True)],
            r,
        )


def _relu(proof: Derivation) -> None:
    proof.part("relu")
    proof.say(
        "[.] as the ReLU: w = v = 1, b = 0, a = 1, R = 2 (c = 2). The root -1 is beyond the hinge, so o' = 0 there."
    )
    (a,) = vector("a", 1)
    proof.counterexample(
        "r_j with the ReLU's derivative at the root, and equation 15",
        passed((0,), (1,), (1 - 2,)),
        taylor_term(2 * a, (a,), (0,)),
        {a: 1},
        values=(0, 2),
    )


def _gamma(proof: Derivation) -> None:
    proof.part("gamma")
    proof.say("Its v for gamma, a (1 + gamma 1_{w>=0}), is not that of Section 3.4, 1 + gamma 1_{w>=0} o x:")
    (a,) = vector("a", 1)
    proof.counterexample(
        "for w >= 0: the v of Section 3.4, and Algorithm 2's",
        1 + GAMMA * a,
        a * (1 + GAMMA),
        {a: 2, GAMMA: 1},
        values=(3, 4),
    )
    for d in proof.each("number of inputs", (2, 3)):
        w, a = vector("w", d), vector("a", d)
        for positive in proof.each("pattern 1_{w>=0}", patterns(d)):
            v = times(a, [1 + GAMMA * p for p in positive])
            raised = [wi * (1 + GAMMA * p) for wi, p in zip(w, positive, strict=True)]
            proof.equal(
                "Algorithm 2's gives LRP-gamma",
                scaled(1 / dot(w, v), times(w, v)),
                scaled(1 / dot(raised, a), times(raised, a)),
            )


def _lrp0(proof: Derivation) -> None:
    proof.part("lrp0")
    proof.say("LRP-0 as the code has it: the root is 0, R_j enters nowhere, so r_j = w_j o a whatever R_j is.")
    (w,), (a,), (b,), (r,) = (vector(name, 1) for name in "wabR")
    coded = passed((w,), (a,), (0,))
    proof.counterexample(
        "w = a = 1, b = 0, R = 2: as coded, and LRP-0",
        coded,
        [w * a / (w * a + b) * r],
        {w: 1, a: 1, b: 0, r: 2},
        values=(1, 2),
    )
    proof.found(
        "dtdsym.explain of [[x1] + c [x2]] at (1, 1) as coded: the same for every c, against LRP-0",
        lambda rule: len({written(dtdsym.explain(_above(c), (1, 1), f"1={rule},2=lrp0")) for c in (1, 2, 3)}),
        "authors.lrp0",
        1,
        unlike="lrp0",
    )


def _above(c: int) -> Any:
    return network(([[1, 0], [0, 1]], [0, 0]), ([[1, c]], [0]))


def _inactive(proof: Derivation) -> None:
    proof.part("inactive")
    proof.say(
        "R_j is never set to 0: [[x1] + [x2 - 2]] at (1, 1). By w^2 the inactive second neuron gets 1/2 of f = 1,"
    )
    one = network(([[1, 0], [0, 1]], [0, -2]), ([[1, 1]], [0]))
    proof.found(
        "and passes it on to x2, as dtdsym.explain does; by Definition 3 an inactive neuron passes 0",
        lambda rule: written(dtdsym.explain(one, (1, 1), rule)),
        "w2",
        "(1/2, 1/2)",
        unlike="*=w2,relu=gradient",
    )
    proof.found(
        "so does flat, but not z+, which sends nothing to an activation of 0",
        lambda rule: written(dtdsym.explain(one, (1, 1), rule)),
        "flat",
        "(1/2, 1/2)",
        unlike="zplus",
    )


if __name__ == "__main__":
    main()
