"""Proposition 4 and equation 18: smooth activations bring derivatives as high as the network is deep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sympy

from machinery import Derivation, main, statement
from machinery.definition3 import (
    Roots,
    Smooth,
    Vector,
    any_roots,
    base_case,
    constant_roots,
    gradient,
    network,
    put,
    recursive_step,
    slopes,
    smooth,
    unit,
    vector,
)

DEEPEST = 4
X = sympy.Symbol("x")


@dataclass(frozen=True)
class Unit:
    """A scalar layer s(w a + b) with an activation s."""

    number: int
    activation: Callable[[sympy.Expr], sympy.Expr]
    width: int = 1
    size: int = 1

    def __call__(self, a: Vector) -> Vector:
        """s(w a + b)."""
        return (self.activation(sympy.Symbol(f"w{self.number}") * a[0] + sympy.Symbol(f"b{self.number}")),)


def unknown_chain(depth: int) -> list[Unit]:
    """Layers s1, ..., sn, unknown smooth functions."""
    return [Unit(l, lambda z, l=l: smooth(f"s{l}", (z,))) for l in range(1, depth + 1)]


def chain(layers: list[Unit], roots: list[Roots]) -> sympy.Expr:
    """R^1(x) by Definition 3."""
    function = base_case(1)
    for layer, root in zip(reversed(layers), reversed(roots), strict=True):
        function = recursive_step(function, layer, root)
    return function((X,))[0]


def orders(expression: sympy.Expr, name: str) -> list[int]:
    """The orders of the derivatives of the function `name` that occur."""
    return sorted({int(f.args[1]) for f in expression.atoms(Smooth) if f.args[0] == sympy.Symbol(name)})


def coefficient(expression: sympy.Expr, name: str, order: int) -> sympy.Expr:
    """What the only derivative of this order is multiplied with."""
    (top,) = [f for f in expression.atoms(Smooth) if f.args[0] == sympy.Symbol(name) and f.args[1] == order]
    mark = sympy.Dummy()
    return sympy.diff(expression.xreplace({top: mark}), mark)


def leading(depth: int) -> sympy.Expr:
    """prod of what the recursion multiplies the highest derivative of s_n with, from layer n down to layer 1."""
    layers, points = unknown_chain(depth), [X]
    roots = [smooth("r1_1_1", (X,))]
    for l in range(1, depth):
        points.append(layers[l - 1]((roots[-1],))[0])
        roots.append(smooth(f"r{l + 1}_1_1", (points[-1],)))
    total = sympy.Symbol(f"w{depth}")
    for l in range(1, depth + 1):
        total *= points[l - 1] - roots[l - 1]
    for l in range(1, depth):
        slope = sympy.Symbol(f"w{l}") * Smooth(
            sympy.Symbol(f"s{l}"), sympy.Integer(1), sympy.Symbol(f"w{l}") * roots[l - 1] + sympy.Symbol(f"b{l}")
        )
        total *= slope**l * Smooth(sympy.Symbol(f"r{l + 1}_1_1"), sympy.Integer(1), points[l]) ** l
    return total * sympy.Symbol(f"w{depth}") ** (depth - 1)


@statement(
    "prop4",
    "derivatives as high as the network is deep",
    place="Section 4.4, Proposition 4",
    printed="an analytic activation function: each recursive application yields a higher-order derivative, so an "
    "n-layered network n-ordered derivatives",
    verdict="corrected",
    reason="not if the activation is affine (analytic as well), a polynomial of low degree, or if the roots are "
    "locally constant; s(z) = z^2 has no third derivative",
    corrected="in a scalar chain of smooth layers R^1 holds the derivative of f_n of order n (of f_l: order l) and "
    "none higher; its coefficient is w_n^n prod_{l<n} (f_l'(r_l) r_{l+1}')^l prod_l (a_l - r_l), with r_l the root at "
    "the point that the recursion reaches, 0 where a root above layer 1 is locally constant",
    scope="any smooth activations, weights, biases and root functions, n = 1, ..., 4; all n by an induction step for "
    "any smooth functions; instances: softplus, z^2, affine",
    parts=("softplus",),
)
def prop4(proof: Derivation) -> None:
    proof.say(
        "Scalar layers f_l(a) = s_l(w_l a + b_l). s_l and the roots r_l are unknown smooth functions, s1[1] is s1'."
    )
    for depth in proof.each("n", range(1, DEEPEST + 1)):
        relevance = chain(unknown_chain(depth), [any_roots(l) for l in range(1, depth + 1)])
        for l in range(1, depth + 1):
            proof.found(
                f"the orders of the derivatives of s_{l} in R^1 (n = {depth}) end at {l}",
                lambda name, relevance=relevance: max(orders(relevance, name), default=0),
                f"s{l}",
                l,
                unlike=f"s{l + 1}" if l < depth else f"s{l - 1}" if l > 1 else "r1_1_1",
            )
        proof.equal(
            f"coefficient of the derivative of order {depth} of s_{depth} in R^1",
            coefficient(relevance, f"s{depth}", depth),
            leading(depth),
        )
    proof.say(
        "All n: let R^{l+1}(a) = C(a) s(Z(a)) + D(a) with s the highest derivative so far and D of lower ones. One "
        "more application gives s' with the coefficient C(f(r)) Z'(f(r)) f'(r) (a - r): not 0 unless Z' is, that is, "
        "unless the root inside Z is locally constant; and no derivative of s higher than s'."
    )
    (a,) = vector("a", 1)
    layer = Unit(1, lambda z: smooth("f", (z,)))

    def upper(at: Vector) -> Vector:
        return (smooth("C", at) * smooth("s", (smooth("Z", at),)) + smooth("D", at),)

    relevance = recursive_step(upper, layer, any_roots(1))((a,))[0]
    root = any_roots(1)(0, (a,))
    (point,) = layer(root)
    outer = sympy.diff(smooth("Z", (X,)), X).xreplace({X: point})
    inner = sympy.diff(layer((X,))[0], X).xreplace({X: root[0]})
    proof.equal(
        "the coefficient of s'",
        coefficient(relevance, "s", 1),
        smooth("C", (point,)) * outer * inner * (a - root[0]),
    )
    proof.say("Exceptions. Locally constant roots: no higher derivative at all, R^1 is derivative x (input - root).")
    for depth in proof.each("n", range(1, DEEPEST + 1)):
        layers = unknown_chain(depth)
        relevance = chain(layers, [constant_roots(l, 1) for l in range(1, depth + 1)])
        product = X - sympy.Symbol("c1_1_1")
        for l in range(1, depth + 1):
            slope = sympy.diff(layers[l - 1]((X,))[0], X)
            product *= slope.xreplace({X: sympy.Symbol(f"c{l}_1_1")})
        proof.equal(f"R^1 = prod_l f_l'(c_l) (x - c_1), c_l the constant roots (n = {depth})", relevance, product)
    constant = chain(unknown_chain(2), [constant_roots(1, 1), constant_roots(2, 1)])
    proof.counterexample(
        "n = 2: the order that is promised, and the highest in R^1", 2, max(orders(constant, "s2")), values=(2, 1)
    )
    proof.say(
        "Activations that have no n-th derivative but 0: s(z) = z for n = 2, s(z) = z^2 for n = 3; both are analytic."
    )
    for power in (1, 2):
        highest = max(k for k in range(1, 5) if sympy.diff(X**power, X, k) != 0)
        proof.counterexample(
            f"s(z) = z^{power}, n = {power + 1}: the order that is promised, and the highest derivative of s that is "
            f"not 0",
            power + 1,
            highest,
            values=(power + 1, power),
        )
    softplus(proof)


class Softplus(sympy.Function):
    """log(1 + exp z)."""

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        """The sigmoid."""
        return Sigmoid(self.args[0])


class Sigmoid(sympy.Function):
    """exp z/(1 + exp z)."""

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        """sigma (1 - sigma)."""
        return self * (1 - self)


def softplus(proof: Derivation) -> None:
    """The instance that the paper names."""
    proof.part("softplus")
    proof.say("Softplus s(z) = log(1 + exp z). With E = exp z, d/dz = E d/dE; sigma is the sigmoid E/(1 + E).")
    e = sympy.Symbol("E", positive=True)
    sigma = e / (1 + e)
    proof.equal("s' = sigma", e * sympy.diff(sympy.log(1 + e), e), sigma)
    proof.equal("s'' = sigma (1 - sigma)", e * sympy.diff(sigma, e), sigma * (1 - sigma))
    p1, p2, w2 = sympy.symbols("p1 p2 w2")
    layers = [Unit(l, Softplus) for l in (1, 2)]
    relevance = chain(layers, [lambda j, a: (p1 * a[0],), lambda j, a: (p2 * a[0],)])
    h = layers[0]((p1 * X,))[0]
    first = Sigmoid(w2 * p2 * h + sympy.Symbol("b2"))
    slope = sympy.diff(layers[0]((X,))[0], X).xreplace({X: p1 * X})
    proof.equal(
        "n = 2, roots p_l a: R^1 = {w2^2 p2 s''(z) (1 - p2) h + w2 s'(z) (1 - p2)} f_1'(p1 x) (1 - p1) x, h = f_1(p1 "
        "x), z = w2 p2 h + b2",
        relevance,
        (w2**2 * p2 * first * (1 - first) * (1 - p2) * h + w2 * first * (1 - p2)) * slope * (1 - p1) * X,
    )
    proof.say("s'' > 0, h > 0 and f_1' = w1 sigma: the term with s'' is 0 only if w1, w2, p2, 1 - p1, 1 - p2 or x is.")


@statement(
    "eq18",
    "the term with the higher derivative",
    place="Section 4.4, equation 18",
    printed="d/da_l . [dR^{l+1}_[j](f_l(a_l))/da_l]_{a~^(j)_l(a_l)} . {a_l - a~^(j)_l(a_l)}_[k]",
    verdict="corrected",
    reason="typed as a divergence, it is a number where the gradient of R^l_k has a vector: the derivative is that of "
    "entry k, and the root's Jacobian is part of it",
    corrected="(a_l - a~^(j))_k (Da~^(j))^T Hess(R^{l+1}_[j] o f_l)(a~^(j)) e_k; 0 if a~^(j) is locally constant",
    scope="any smooth relevances and roots, d_l = 1, 2, 3",
)
def eq18(proof: Derivation) -> None:
    wide, a = 2, vector("a", 2)
    root = any_roots(1)(0, a)
    value = smooth("g", a)
    slope = put(gradient(value, a), a, root)
    divergence = sympy.Add(*(sympy.diff(slope[i], a[i]) for i in range(wide)))
    proof.ill_typed(
        "two inputs: the gradient of R_1 less the printed term, a divergence times a number",
        "(2, 1) + (1, 1)",
        lambda: gradient(slope[0] * (a[0] - root[0]), a) - sympy.Matrix([[divergence * (a[0] - root[0])]]),
        lambda: gradient(slope[0] * (a[0] - root[0]), a) - gradient(slope[0], a) * (a[0] - root[0]),
    )
    proof.say("g = R^{l+1}_j o f_l and the root are unknown smooth functions.")
    for width in proof.each("d_l", (1, 2, 3)):
        a = vector("a", width)
        root, value = any_roots(1)(0, a), smooth("g", a)
        slope, moved = put(gradient(value, a), a, root), slopes(root, a)
        hessian = put(sympy.hessian(value, a), a, root)
        for k in proof.each("k", range(width)):
            term = (a[k] - root[k]) * moved.T * hessian.col(k)
            proof.equal(
                "the term is (a - a~)_k times the gradient of entry k", term, gradient(slope[k], a) * (a[k] - root[k])
            )
            proof.equal(
                "and what is left of grad R^l_k is the first term",
                gradient(slope[k] * (a[k] - root[k]), a) - term,
                slope[k] * (unit(width, k) - moved.row(k).T),
            )
    for sizes in proof.each("widths", [(2, 2), (3, 2)]):
        layer, a = network(*sizes)[0], vector("a", sizes[0])
        roots = constant_roots(1, sizes[0])
        inner = tuple(smooth(f"h{j + 1}", layer.preactivation(a)) for j in range(sizes[1]))
        for j in range(sizes[1]):
            fixed = put(gradient(inner[j], a), a, roots(j, a))
            proof.equal(
                "constant root: the entries are constant, and the term is 0",
                slopes(tuple(fixed), a),
                sympy.zeros(sizes[0]),
            )


if __name__ == "__main__":
    main()
