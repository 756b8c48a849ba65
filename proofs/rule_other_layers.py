"""Rules in convolutions, across other nodes, and with the bias in the denominator."""

from __future__ import annotations

import numpy as np
import sympy
import z3

import dtdsym
from dtdsym.network.builder import Builder
from dtdsym.network.network import Network
from machinery import Derivation, main, statement
from machinery.neuron import dot, minus, network, patterns, scaled, times, vector, written

HERE = "not in the paper, which has dense layers; Section 3.5 names sum-pooling"


def array(*entries: object) -> np.ndarray:
    """Weights or biases as the builder takes them."""
    return np.array(entries, dtype=float)


def convolved() -> Network:
    """[a_i + 0 a_(i+1)] at three places of four inputs, added up."""
    builder = Builder((1, 4))
    hidden = builder.relu(builder.convolve(builder.input, array([[1, 0]]), array(0)))
    return builder.network(builder.linear(builder.reshape(hidden, (3,)), array([1, 1, 1]), array(0)))


def joined(kind: str) -> Network:
    """Two branches x1 and -x2 that are added or stood side by side, or a pool of (x1, x2), and a linear output."""
    builder = Builder((1, 2) if "pool" in kind else (2,))
    given, end = builder.input, [[1]]
    if "pool" in kind:
        pool = builder.max_pool if kind == "max pool" else builder.average_pool
        return builder.network(builder.linear(builder.reshape(pool(given, 2), (1,)), array([2]), array(0)))
    if kind == "batch norm":
        normed = builder.batch_norm(given, array(2, 1), array(1, 0), array(0, 0), array(1, 1), 0.0)
        return builder.network(builder.linear(normed, array([1, 1]), array(0)))
    left, right = (builder.linear(given, array(row), array(0)) for row in ([1, 0], [0, -1]))
    both = builder.add(left, right) if kind == "add" else builder.concat([left, right], 0)
    return builder.network(builder.linear(both, array([1, -3]) if kind == "cat" else array(*end), array(0)))


@statement(
    "rule_conv",
    "rules on receptive fields, implied roots, and the bias in the denominator",
    place=HERE,
    printed="w, v and the root of a neuron of a convolution live on its receptive field; elsewhere the root is a. w = "
    "0 inside it counts as written. A rule without a direction implies the root a_i - message_i/w_i, a_i where w_i = "
    "0. Sum-pooling is a linear layer of weights 1 (Section 3.5). With b in the denominator the shares add up to less "
    "or more than 1. The 0/0 of LRP-0 at a linear output with f = 0 loses its relevance, where gradient x input has "
    "some",
    verdict="true",
    reason="with w = 0 elsewhere it is a dense neuron, and v = 0 there",
    scope="fields of 2 of 3 and of 4 inputs, all w, a, b, v; every sign pattern of 2 and 3 inputs for z+, gamma, "
    "alpha1beta0; exact networks",
    parts=("fields", "implied", "pooling", "denominators", "nothing"),
)
def rule_conv(proof: Derivation) -> None:
    _fields(proof)
    _implied(proof)
    _pooling(proof)
    _denominators(proof)
    _nothing(proof)


def _fields(proof: Derivation) -> None:
    proof.part("fields")
    for size, field in proof.each("number of inputs and field, from 0", ((3, (0, 1)), (4, (1, 2)))):
        on = [int(i in field) for i in range(size)]
        w, v, a, (b,) = times(on, vector("w", size)), times(on, vector("v", size)), vector("a", size), vector("b", 1)
        root = minus(a, scaled((dot(w, a) + b) / dot(w, v), v))
        proof.equal("the root is on the hinge", dot(w, root) + b, 0)
        proof.equal("and a elsewhere", [root[i] - a[i] for i in range(size) if not on[i]], [0] * (size - len(field)))
    one, told = convolved(), ["(0, 0, 3, 4)", "(1, 0, 0, 4)", "(1, 2, 0, 0)"]
    proof.found(
        "dtdsym.roots for the kernel (1, 0) at (1, 2, 3, 4), z+: 1[w >= 0] is 1 for the weight 0, so its input moves "
        "too; flat, 1/w where w != 0, leaves it",
        lambda rule: [written(root) for root in dtdsym.roots(one, (1, 2, 3, 4), rule, root="hinge")],
        "zplus",
        told,
        unlike="flat",
    )


def _implied(proof: Derivation) -> None:
    proof.part("implied")
    for d in proof.each("number of inputs", (2, 3)):
        w, a, messages = vector("w", d), vector("a", d), vector("r", d)
        for here in proof.each("pattern 1_{w!=0}", [p for p in patterns(d) if any(p)]):
            root = [ai - ri / wi if p else ai for ai, ri, wi, p in zip(a, messages, w, here, strict=True)]
            passed, kept = times(times(here, w), minus(a, root)), times(here, messages)
            text = "w o (a - a~) are the messages, and they add up to w.(a - a~); an input of weight 0 has none"
            proof.equal(text, [*passed, dot(times(here, w), minus(a, root))], [*kept, sum(kept)])
    one = convolved()
    proof.found(
        "dtdsym.roots of epsilon = 1/4, first neuron: the input of weight 0 stays",
        lambda rule: dtdsym.roots(one, (1, 2, 3, 4), rule)[0][1],
        "epsilon:1/4",
        2,
        unlike="zplus",
    )


def _pooling(proof: Derivation) -> None:
    proof.part("pooling")
    for d in proof.each("number of pooled neurons", (2, 3)):
        a, v, r = vector("a", d), vector("v", d), sympy.Symbol("R")
        pooled = [sympy.diff(sum(a), ai) for ai in a]
        proof.equal("the derivatives of a_1 + ... + a_d are weights 1", pooled, [1] * d)
        proof.equal(
            "so equation 15 passes v_i/(sum v) R on: with z+ or v = a it is a_i/(sum a) R",
            [put.subs(dict(zip(v, a, strict=True))) for put in scaled(r / dot(pooled, v), times(pooled, v))],
            [ai * r / sum(a) for ai in a],
        )


def _denominators(proof: Derivation) -> None:
    proof.part("denominators")
    gamma, (b,) = sympy.Symbol("gamma"), vector("b", 1)
    for d in proof.each("number of inputs", (2, 3)):
        w, a = vector("w", d), vector("a", d)
        for positive in proof.each("pattern 1_{w>=0}", [p for p in patterns(d) if any(p)]):
            kinds = {"z+": positive, "gamma": [1 + gamma * p for p in positive], "v = a (LRP-0)": [1] * d}
            for name in proof.each("rule", kinds):
                parts = times(times(kinds[name], a), w)
                shares = [part / (sum(parts) + b) for part in parts]
                proof.equal("the shares with b add up to 1 - b/(w.v + b)", sum(shares), 1 - b / (sum(parts) + b))
    proof.say("So b's share is lost (b > 0) or made up (b < 0); without b in it they add up to 1 (rule_zplus).")


def _nothing(proof: Derivation) -> None:
    proof.part("nothing")
    w, a, b = z3.Reals("w a b")
    proof.satisfiable(
        "w a + b = 0 at a linear output, where gradient x input w a is not 0", [w * a + b == 0, w * a != 0], [w, a, b]
    )
    plain = network(([[1, -1]], [0]), final_relu=False)
    proof.found(
        "[x1 - x2], no ReLU: LRP-0 divides by f = 0 at (1, 1), and dtdsym passes 0; gradient x input is (1, -1)",
        lambda x: written(dtdsym.explain(plain, x, "lrp0")),
        (1, 1),
        "(0, 0)",
        unlike=(2, 1),
    )


@statement(
    "rule_nodes",
    "relevance across additions, concatenations, pools, batch norm and skips",
    place=HERE,
    printed="Add splits R in proportion to the branches' signed values, cat slices it, average pools and unfolded "
    "batch norm are affine nodes, and max-pool sends all to its (first) maximiser. What bypasses a layer by a skip is "
    "a constant of F_l",
    verdict="true",
    reason="add and averages are linear nodes with v = a; a max is its maximiser nearby; F_l is a function of a_l "
    "alone",
    scope="two and three branches or arguments, all values; exact networks",
    parts=("linear", "maxima", "skips"),
)
def rule_nodes(proof: Derivation) -> None:
    proof.part("linear")
    for d in proof.each("number of branches", (2, 3)):
        a, r, m = vector("a", d), sympy.Symbol("R"), vector("m", d)
        weights = [sympy.Rational(1, d)] * d
        for name, w in proof.each("node", (("add", [1] * d), ("average", weights), ("weights m", m))):
            parts = times(w, a)
            passed = scaled(r / dot(w, a), parts)
            proof.equal(
                f"{name}: equation 15 with v = a gives R in proportion to w o a",
                passed,
                [p * r / sum(parts) for p in parts],
            )
            proof.equal("all of it", sum(passed), r)
    told = {"add": "(3, -1)", "cat": "(3, 3)", "average pool": "(3, 1)", "batch norm": "(7, 1)"}
    for kind in proof.each("node in front of a linear output, at (3, 1), by v = a", told):
        proof.found(
            "dtdsym.explain",
            lambda x, kind=kind: written(dtdsym.explain(joined(kind), x, "x")),
            (3, 1),
            told[kind],
            unlike=(5, 2),
        )
    _maxima(proof)
    _skips(proof)


def _maxima(proof: Derivation) -> None:
    proof.part("maxima")
    u, v, du, dv = z3.Reals("u v du dv")
    proof.valid(
        "u > v, for small changes as well: max(u, v) = u, so its derivative by v is 0 and R goes to u",
        z3.If(u + du >= v + dv, u + du, v + dv) - z3.If(u >= v, u, v) == du,
        given=[u > v, u + du > v + dv],
    )
    for x, told in proof.each("input, and what arrives", (((1, 3), "(0, 6)"), ((3, 3), "(6, 0)"))):
        proof.found(
            "dtdsym.explain of 2 max(x1, x2): all to the first maximiser",
            lambda x: written(dtdsym.explain(joined("max pool"), x, "x")),
            x,
            told,
            unlike=x[::-1] if x[0] != x[1] else (3, 4),
        )


def _skips(proof: Derivation) -> None:
    proof.part("skips")
    builder = Builder((1,))
    first = builder.relu(builder.linear(builder.input, array([1]), array(0)))
    second = builder.relu(builder.linear(first, array([1]), array(0)))
    added = builder.add(second, builder.input)
    one = builder.network(builder.relu(builder.scale(added, 1.0, -3.0)))
    proof.found(
        "[[a] + x - 3] at x = 2 as a function of layer 2's input a = [x]: with x = 2 kept, its hinge is a = 1",
        lambda other: dtdsym.place(one, (2,), (other,), layer=2).name,
        "5/4",
        "same_cell",
        unlike="3/4",
    )
    proof.found(
        "3/4 is beyond it; were x = a, the hinge would be 3/2",
        lambda other: dtdsym.place(one, (2,), (other,), layer=2).name,
        "3/4",
        "outside",
        unlike="5/4",
    )


if __name__ == "__main__":
    main()
