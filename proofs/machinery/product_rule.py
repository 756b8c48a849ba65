"""The gradient of R^l by the product rule, its two terms, and where the second one vanishes or does not."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import sympy

from dtdsym import affine_root, recursion, rule_root
from dtdsym.network.network import Network, sequential
from machinery.definition3 import (
    Function,
    Layer,
    Roots,
    Vector,
    affine_roots,
    any_roots,
    base_case,
    column,
    definition3,
    gradient,
    hinge_roots,
    network,
    put,
    recursive_step,
    slopes,
    smooth,
    unit,
    vector,
)
from machinery.derivation import Derivation

ONE, ZERO = sympy.Integer(1), sympy.Integer(0)
SHAPES = [(2, 3), (3, 2), (1, 2)]
"""d_l and d_{l+1}."""
STACKS = [(2, 3, 2), (3, 2, 2, 1), (2, 1, 3, 2)]
"""Widths of whole networks."""


class Expanded:
    """g_m = R^{l+1}_m o f_l as expressions of a, the roots of layer l, and the two terms of the product rule."""

    def __init__(self, values: Vector, a: Vector, roots: Roots) -> None:
        self.values, self.a, self.roots = values, a, roots
        self.count = len(values)

    def slope(self, m: int) -> sympy.Matrix:
        """grad g_m at a~^(m)(a), a column."""
        return put(gradient(self.values[m], self.a), self.a, self.roots(m, self.a))

    def moved(self, m: int) -> sympy.Matrix:
        """D a~^(m), whose row k is the gradient of entry k."""
        return slopes(self.roots(m, self.a), self.a)

    def relevance(self) -> Vector:
        """R^l by equation 8."""
        total = sympy.zeros(len(self.a), 1)
        for m in range(self.count):
            total += self.slope(m).multiply_elementwise(column(self.a) - column(self.roots(m, self.a)))
        return tuple(total)

    def first(self, k: int) -> sympy.Matrix:
        """sum_m (grad g_m)_k (e_k - grad a~^(m)_k)."""
        total = sympy.zeros(len(self.a), 1)
        for m in range(self.count):
            total += self.slope(m)[k] * (unit(len(self.a), k) - self.moved(m).row(k).T)
        return total

    def second(self, k: int) -> sympy.Matrix:
        """sum_m (a - a~^(m))_k (D a~^(m))^T Hess(g_m)(a~^(m)) e_k."""
        total = sympy.zeros(len(self.a), 1)
        for m in range(self.count):
            root = self.roots(m, self.a)
            hessian = put(sympy.hessian(self.values[m], self.a), self.a, root)
            total += (self.a[k] - root[k]) * self.moved(m).T * hessian.col(k)
        return total

    def printed(self, k: int) -> sympy.Expr:
        """sum_m (e_k - grad a~^(m)_k) . grad g_m, what equations 17, 20, 22 and 23 contract: a number, not a vector."""
        return sympy.Add(
            *((unit(len(self.a), k) - self.moved(m).row(k).T).dot(self.slope(m)) for m in range(self.count))
        )


def unknown(wide: int, size: int) -> Expanded:
    """Any relevances and any roots: unknown smooth functions."""
    a = vector("a", wide)
    return Expanded(tuple(smooth(f"g{m + 1}", a) for m in range(size)), a, any_roots(1))


def crossing() -> Expanded:
    """The smallest example: g(a) = 2 a1 + 3 a2 with the root a~(a) = (a2, 0)."""
    a = vector("a", 2)
    return Expanded((2 * a[0] + 3 * a[1],), a, lambda m, at: (at[1], ZERO))


def product_rule(proof: Derivation) -> None:
    """The corrected gradient for all smooth relevances and roots."""
    proof.part("product_rule")
    proof.say(
        "g_m = R^{l+1}_m o f_l and a~^(m) are unknown smooth functions; g1[2](..) is a partial derivative of g_1."
    )
    for wide, size in proof.each("d_l and d_{l+1}", SHAPES):
        case = unknown(wide, size)
        relevance = case.relevance()
        for k in proof.each("k", range(wide)):
            proof.equal(
                "grad R^l_k = sum_m { (grad g_m)_k (e_k - grad a~^(m)_k) + (a - a~^(m))_k (Da~^(m))^T Hess(g_m) e_k }",
                gradient(relevance[k], case.a),
                case.first(k) + case.second(k),
            )


def affine_above(proof: Derivation) -> None:
    """Roots above l affine on the pattern: the second term vanishes."""
    proof.part("affine_above")
    proof.say(
        "The second term vanishes where the roots of the layers above l are locally affine, and always for l = n: then "
        "each g_m is affine on the pattern. Definition 3 with symbolic weights, masks and affine roots for each neuron:"
    )
    for sizes in proof.each("widths", STACKS):
        layers = network(*sizes)
        roots = [affine_roots(l, d) for l, d in enumerate(sizes[:-1], start=1)]
        functions = definition3(layers, roots)
        for l in proof.each("layer l", range(2, len(sizes))):
            a = vector("a", sizes[l - 1])
            case = Expanded(functions[l](layers[l - 1](a)), a, roots[l - 1])
            proof.equal(
                "Hess(g_m) = 0",
                [sympy.hessian(value, a) for value in case.values],
                [sympy.zeros(len(a)) for _ in case.values],
            )
            for k in proof.each("k", range(len(a))):
                proof.equal(
                    "grad R^l_k = sum_m (grad g_m)_k (e_k - grad a~^(m)_k)",
                    gradient(functions[l - 1](a)[k], a),
                    case.first(k),
                )


def zplus(w: Vector, a: Vector) -> Vector:
    """v = a o 1[w >= 0] for numbers."""
    return tuple(ai if wi >= 0 else ZERO for wi, ai in zip(w, a, strict=True))


def gamma_one(w: Vector, a: Vector) -> Vector:
    """v = a o (1 + 1[w >= 0]): the gamma rule with gamma = 1, for numbers."""
    return tuple(2 * ai if wi >= 0 else ai for wi, ai in zip(w, a, strict=True))


def own_weights(w: Vector, a: Vector) -> Vector:
    """v = w: the w2 rule."""
    return w


def relevance_roots(layer: Layer, upper: Function) -> Roots:
    """a - R^{l+1}_j(f_l(a))/(w.w) w: the relevance root of the w2 rule."""

    def root(j: int, a: Vector) -> Vector:
        w = tuple(layer.weight.row(j))
        t = upper(layer(a))[j] / sum(wi * wi for wi in w)
        return tuple(ai - t * wi for ai, wi in zip(a, w, strict=True))

    return root


def numbers(weight: list[list[int]], bias: list[int]) -> Layer:
    """A layer of numbers, all neurons active."""
    return Layer(sympy.Matrix(weight), tuple(map(sympy.Integer, bias)), (ONE,) * len(bias))


LOWER = numbers([[1, 1], [1, -1]], [1, 1])
TOP = Layer(sympy.Matrix([[2, 1]]) / 8, (ONE / 8,), (ONE,))
"""f_{n-1} and f_n of the instances: all neurons are active at a = (2, 1), where f_{n-1}(a) = (4, 2), and at the roots
there, or on the edge."""
INSTANCES = {
    "zplus": ("zplus", "hinge"),
    "gamma": ("gamma:1", "hinge"),
    "w2 hinge below zplus": ("w2", "hinge"),
    "w2 relevance below zplus": ("w2", "relevance"),
}
"""Name -> the rule and the kind of root of layer n - 1, as dtdsym calls them."""
AT = (sympy.Integer(2), ONE)
SECOND = {
    "zplus": ("1/3", "-35/48"),
    "gamma": ("1/4", -1),
    "w2 hinge below zplus": ("-33/256", "31/256"),
    "w2 relevance below zplus": ("211848306989/148981156062336", "-475821121567/148981156062336"),
}
"""The second term for k = 1 there."""


def instance(name: str) -> Expanded:
    """Layer n - 1 of LOWER and TOP, where the roots of the rule are those of both layers."""
    direction = {"zplus": zplus, "gamma": gamma_one}.get(name, zplus)
    upper = recursive_step(base_case(1), TOP, hinge_roots(TOP, direction))
    a = vector("a", 2)
    below = {
        "zplus": hinge_roots(LOWER, zplus),
        "gamma": hinge_roots(LOWER, gamma_one),
        "w2 hinge below zplus": hinge_roots(LOWER, own_weights),
        "w2 relevance below zplus": relevance_roots(LOWER, upper),
    }
    return Expanded(upper(LOWER(a)), a, below[name])


def admissible_instance() -> Expanded:
    """[a1 - a2] and then [h], with the roots a + (1, 1) and h^2: the gradient moves along the root."""
    upper = recursive_step(base_case(1), numbers([[1]], [0]), lambda j, h: (h[0] ** 2,))
    a = vector("a", 2)
    return Expanded(upper(numbers([[1, -1]], [0])(a)), a, lambda m, at: tuple(entry + 1 for entry in at))


def not_zero_admissible(proof: Derivation) -> None:
    """Admissible roots whose second term is not 0."""
    proof.say(
        "It does not vanish for admissible roots that are not locally affine. f_{n-1} = [a1 - a2]+, f_n = [h]+ near a "
        "= (5/2, 2), h = 1/2, roots a + (1, 1) and h^2. Both are admissible: f_n is affine where h > 0, and "
    )
    case, half = admissible_instance(), ONE / 2
    here = dict(zip(case.a, (5 * half, 2 * ONE), strict=True))
    proof.equal(
        "R^n o f_{n-1} = h - h^2 has the same gradient at a and at a + t (1, 1), so on the way to the root, too",
        put(gradient(case.values[0], case.a), case.a, tuple(entry + sympy.Symbol("t") for entry in case.a)),
        gradient(case.values[0], case.a),
    )
    for k, true in enumerate(((2, -2), (-2, 2))):
        grad = gradient(case.relevance()[k], case.a)
        proof.equal(f"grad R_{k + 1} is both terms", grad, case.first(k) + case.second(k))
        proof.equal("the first is 0", case.first(k), sympy.zeros(2, 1))
        text = f"k = {k + 1}: '= 0', and the second term"
        proof.counterexample(text, sympy.zeros(2, 1), case.second(k), here, values=((0, 0), true))
    known, steeper = (sequential(([[1, -1]], [0]), ([[w]], [0])) for w in (1, 2))
    shifted = affine_root([[1, 0], [0, 1]], [1, 1])

    def asked(chosen: Network) -> tuple[Fraction, ...]:
        return tuple(recursion(chosen, (Fraction(11, 4), 2), [shifted, lambda h: (h[0] * h[0],)], check=False))

    values = tuple(Fraction(int(q.p), int(q.q)) for q in put(case.relevance(), case.a, (ONE * 11 / 4, 2 * ONE)))
    proof.found("R^{n-1}(11/4, 2) by dtdsym.recursion with its ReLUs", asked, known, values, unlike=steeper)


def not_zero(proof: Derivation) -> None:
    """Rules whose second term is not 0, at exact numbers."""
    proof.part("not_zero")
    not_zero_admissible(proof)
    proof.say(
        "Nor does it for rules; their roots are not admissible under Definition 3, as the gradient of R^n_j o f_{n-1} "
        "is another at each of them. f_{n-1} = [(a1 + a2 + 1, a1 - a2 + 1)]+, f_n = [(2 h1 + h2 + 1)/8]+, at a = (2, "
        "1) with all neurons active. z+ and gamma = 1 in both layers; then z+ above w2."
    )
    for name in proof.each("rule", INSTANCES):
        case = instance(name)
        relevance, here = case.relevance(), dict(zip(case.a, AT, strict=True))
        for k in range(2):
            both = case.first(k) + case.second(k)
            proof.equal(f"grad R^l_{k + 1} is both terms", gradient(relevance[k], case.a).subs(here), both.subs(here))
        true = SECOND[name]
        text = f"{name}: '= 0', and the second term for k = 1"
        proof.counterexample(text, sympy.zeros(2, 1), case.second(0), here, values=((0, 0), true))
        for m in range(case.count):
            own, at_root = (entry.subs(here) for entry in (gradient(case.values[m], case.a), case.slope(m)))
            proof.found("the gradient at a is that at the root", _same, (own, at_root), False, unlike=(own, own))
        values = tuple(Fraction(int(q.p), int(q.q)) for q in (entry.subs(here) for entry in relevance))
        proof.found("R^{n-1}(2, 1), by dtdsym.recursion with its ReLUs", _decomposed(name), 0.125, values, unlike=0.25)


def _same(pair: tuple[sympy.Matrix, sympy.Matrix]) -> bool:
    return bool(pair[0] == pair[1])


def _decomposed(name: str) -> Callable[[float], tuple[Fraction, ...]]:
    """R^1 of an instance by dtdsym, with a weight of f_n to be changed."""
    rule, kind = INSTANCES[name]

    def asked(weight: float) -> tuple[Fraction, ...]:
        chosen = sequential(([[1, 1], [1, -1]], [1, 1]), ([[0.25, weight]], [0.125]))
        top = rule_root("gamma:1" if rule == "gamma:1" else "zplus")
        return tuple(recursion(chosen, (2, 1), [rule_root(rule, kind), top], check=False))

    return asked
