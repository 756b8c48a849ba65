"""Algorithm 1: the recursion by automatic differentiation, and what it leaves out of Definition 3."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import sympy

from dtdsym import affine_root, constant_root, recursion
from dtdsym.network.network import Network, sequential
from dtdsym.relevance.recursion import full_backward
from machinery import Derivation, main, statement
from machinery.definition3 import (
    Layer,
    Roots,
    Smooth,
    Vector,
    any_roots,
    column,
    definition3,
    gradient,
    matrix,
    network,
    one_root,
    put,
    slopes,
    smooth,
    vector,
)

ONE, ZERO = sympy.Integer(1), sympy.Integer(0)
DIAGONAL = ([[1, -1], [1, 1]], [[1, 1]])
WIDTHS = [(2, 3, 1), (2, 2, 2, 1), (3, 2, 2)]


def algorithm_1(layers: list[Layer], roots: list[Roots], x: Vector, logit: int = 0) -> Vector:
    """Algorithm 1: `.grad` is what backward() has written, numbers that later calls of backward() do not see."""
    frozen: dict[sympy.Dummy, sympy.Expr] = {}

    def get_relevance(l: int, a: Vector) -> Vector:
        if l > len(layers):
            return tuple(entry if k == logit else ZERO for k, entry in enumerate(a))
        leaf = tuple(sympy.Dummy(f"r{l}_{k}") for k in range(len(a)))
        upper = get_relevance(l + 1, layers[l - 1](leaf))
        root = roots[l - 1](0, a)
        put, total = dict(zip(leaf, root, strict=True)), [ZERO] * len(a)
        for name in [name for name, value in frozen.items() if value.free_symbols & set(leaf)]:
            frozen[name] = frozen[name].xreplace(put)
        for relevance in upper:
            for i, (ai, ri) in enumerate(zip(a, root, strict=True)):
                name = sympy.Dummy("grad")
                frozen[name] = sympy.diff(relevance, leaf[i]).xreplace(put)
                total[i] += name * (ai - ri)
        return tuple(total)

    def thawed(value: sympy.Expr) -> sympy.Expr:
        while value.free_symbols & frozen.keys():
            value = value.xreplace(frozen)
        return value

    return tuple(map(thawed, get_relevance(1, x)))


def same_affine(l: int, width: int) -> Roots:
    """One affine root A a + c for all neurons."""
    return lambda j, a: tuple(matrix(f"A{l}_", width, width) * column(a) + column(vector(f"c{l}_", width)))


def same_square(l: int, width: int) -> Roots:
    """One root with the entries q_k a_k^2: not affine."""
    return lambda j, a: tuple(q * ak**2 for q, ak in zip(vector(f"q{l}_", width), a, strict=True))


def family(wide: int) -> tuple[sympy.Expr, Vector, Vector]:
    """g = phi(n.a) + m.a and a~ = a + tau(a) d with n.d = 0: a gradient that moves, and admissible roots."""
    a, n, m = vector("a", wide), vector("n", wide), vector("m", wide)
    d = (*vector("d", wide - 1), -sum(p * q for p, q in zip(vector("d", wide - 1), n, strict=False)) / n[-1])
    along = sympy.Add(*(p * q for p, q in zip(n, a, strict=True)))
    g = smooth("phi", (along,)) + sympy.Add(*(p * q for p, q in zip(m, a, strict=True)))
    return g, a, tuple(ak + smooth("tau", a) * dk for ak, dk in zip(a, d, strict=True))


def gathered(value: Any) -> Any:
    """The arguments of unknown functions multiplied out: phi(n.a~) is phi(n.a) where n.d = 0."""
    return value.replace(lambda one: isinstance(one, Smooth), lambda one: one.func(*map(sympy.expand, one.args)))


@statement(
    "alg1",
    "the recursion by automatic differentiation",
    place="Appendix C.1, Algorithm 1",
    printed="R^{l+1} <- GET_RELEVANCE(l + 1, f_l(a~_l)); for each j: R^{l+1}_[j].backward(); r_j <- a~.grad o (a_l - "
    "a~_l)",
    verdict="corrected",
    reason="one root for all j, where eq. 8 has one for each; GET_RELEVANCE(n + 1) returns a scalar whose [j] is asked "
    "for; a~ without l. a~.grad is a number to the calls above, so Proposition 3's second term is missing: with one "
    "admissible smooth root a layer it cancels in the sum over k, with inadmissible ones, as rules choose them, it "
    "need not (f_1 = f_2 = f_3 = x, roots 0, a + 1, 2 a^2, x = 1: gives 0 for 4)",
    corrected="it computes Definition 3 for one admissible smooth root per layer; for inadmissible (rule) roots it "
    "needs locally affine roots above layer 1, or the graph of a~_l.grad has to be kept (create_graph); roots that "
    "depend on j are chosen inside the loop over j; and GET_RELEVANCE(n + 1) returns a_xi e_xi",
    scope="admissible roots: all smooth relevances and root functions of 1, 2 and 3 inputs, all n by induction; "
    "inadmissible ones: all weights, biases, patterns and affine roots, three shapes, n = 2, 3; examples of numbers",
    parts=("printed", "admissible", "inadmissible", "affine", "dtdsym"),
)
def alg1(proof: Derivation) -> None:
    _printed(proof)
    _admissible(proof)
    _inadmissible(proof)
    _affine(proof)
    _by_dtdsym(proof)


def _printed(proof: Derivation) -> None:
    proof.part("printed")
    proof.say(
        "Read as autograd runs it: a~_l depends on a_l, the caller's leaf; the gradients that an inner call has "
        "written are constants to the outer one."
    )
    proof.ill_typed(
        "for j in 1 .. d_{n+1} needs as many entries as f_n has outputs, two here; l = n + 1 returns one",
        "(1, 1) + (2, 1)",
        lambda: column([sympy.Symbol("a1")]) + column(vector("y", 2)),
        lambda: column([sympy.Symbol("a1"), ZERO]) + column(vector("y", 2)),
    )
    proof.say("The root is chosen before the loop over j. f = [[x]+ + [2x]+]+ at x = 1, roots 1/2 and 1/4 of layer 1:")
    layers = [Layer(sympy.Matrix([[1], [2]]), (ZERO,) * 2, (ONE,) * 2), Layer(sympy.ones(1, 2), (ZERO,), (ONE,))]
    half, quarter, point = (ONE / 2,), (ONE / 4,), (ONE,)
    above = lambda j, a: (ONE / 2, ONE / 2)  # noqa: E731
    (true,) = definition3(layers, [lambda j, a: (half, quarter)[j], above])[0](point)
    for root, value in ((half, "3/2"), (quarter, "9/4")):
        (alone,) = algorithm_1(layers, [lambda j, a, root=root: root, above], point)
        proof.counterexample(
            f"Algorithm 1 with the root {root[0]} for both, and equation 8", alone, true, values=(value, 2)
        )


def _admissible(proof: Derivation) -> None:
    proof.part("admissible")
    proof.say(
        "One root a~ = a~_l(a) for all j. Then R^l = grad g(a~) o (a - a~) with g = (sum_k R^{l+1}_k) o f_l: of "
        "R^{l+1} only the sum S_{l+1} of its entries enters, and S_l = grad g(a~).(a - a~). Its gradient is (I - "
        "Da~)^T grad g(a~), which Algorithm 1 takes, and (Da~)^T Hess g(a~) (a - a~), the sum over k of the second "
        "terms, which it leaves out. Let h(a) = g(a) - g(a~(a)) - grad g(a~(a)).(a - a~(a)), what Taylor's formula "
        "leaves over."
    )
    for wide in proof.each("number of inputs", (1, 2, 3)):
        a = vector("a", wide)
        g, root = smooth("g", a), any_roots(1)(0, a)
        slope, moved = put(gradient(g, a), a, root), slopes(root, a)
        away, hessian = column(a) - column(root), put(sympy.hessian(g, a), a, root)
        taken, left_out = (sympy.eye(wide) - moved).T * slope, moved.T * hessian * away
        proof.equal("grad S_l is the sum of the two", gradient((slope.T * away)[0], a), taken + left_out)
        left_over = g - g.xreplace(dict(zip(a, root, strict=True))) - (slope.T * away)[0]
        proof.equal(
            "for all smooth g and a~: what is left out = grad g(a) - grad g(a~(a)) - grad h(a)",
            left_out,
            gradient(g, a) - slope - gradient(left_over, a),
        )
    proof.say(
        "Admissible roots: each grad(R^{l+1}_j o f_l), so their sum grad g, is the same at a and at a~(a), and on a "
        "path between them, on which g is affine (take the path rectifiable): so h = 0, near a as well, and what is "
        "left out is 0. By induction from the top, where nothing is left out, Algorithm 1 has the sums, gradients and "
        "R^1 of Definition 3. It is not because Hess g = 0: let g = phi(n.a) + m.a, a~ = a + tau(a) d with n.d = 0, "
        "phi and tau any smooth functions."
    )
    for wide in proof.each("number of inputs", (2, 3)):
        g, a, root = family(wide)
        slope, away = gradient(g, a), column(a) - column(root)
        there = put(slope, a, root).applyfunc(gathered)
        proof.equal("a~ is admissible: grad g is the same at a and at a~", there, slope)
        hessian = put(sympy.hessian(g, a), a, root).applyfunc(gathered)
        proof.equal("(Da~)^T Hess g(a~) (a - a~) = 0", slopes(root, a).T * hessian * away, sympy.zeros(wide, 1))
    _admissible_network(proof)


def _admissible_network(proof: Derivation) -> None:
    proof.say(
        "As f_1 any layer, f_2 = (a1 - a2, a1 + a2), f_3 = h1 + h2; roots c, a + (a1 + a2^2)(1, 1), (h1^2, h2/2)."
    )
    layers = [*network(2, 2), *(Layer(sympy.Matrix(w), (ZERO,) * len(w), (ONE,) * len(w)) for w in DIAGONAL)]
    roots: list[Roots] = [
        one_root(1, 2),
        lambda j, a: tuple(ak + a[0] + a[1] ** 2 for ak in a),
        lambda j, h: (h[0] ** 2, h[1] / 2),
    ]
    x, a = vector("x", 2), vector("a", 2)
    upper = definition3(layers, roots)[2](layers[1](a))
    for j in proof.each("neuron", range(2)):
        own = gradient(upper[j], a)
        proof.equal(
            "R^3_j o f_2 has the gradient at the root of layer 2 that it has at a", put(own, a, roots[1](j, a)), own
        )
    proof.equal("Algorithm 1 and Definition 3", algorithm_1(layers, roots, x), definition3(layers, roots)[0](x))


def _inadmissible(proof: Derivation) -> None:
    proof.part("inadmissible")
    proof.say(
        "Inadmissible roots. f_1(x) = w x, f_2(a) = v a, f_3(a) = u a, all active, with the roots 0, q a + 1 and p "
        "a^2: at w = v = u = q = x = 1 and p = 2, where a_2 = f_1(0) = 0, R^3 o f_2 = a - 2 a^2 has the slope 1 at "
        "a_2, and -3 at the root 1."
    )
    x, p, q, u, v, w = sympy.symbols("x p q u v w")
    layers = [Layer(sympy.Matrix([[slope]]), (ZERO,), (ONE,)) for slope in (w, v, u)]
    roots: list[Roots] = [lambda j, a: (ZERO,), lambda j, a: (q * a[0] + 1,), lambda j, a: (p * a[0] ** 2,)]
    (a,) = vector("a", 1)
    (root,) = roots[1](0, (a,))
    inner = u * (v * a - p * (v * a) ** 2)
    numbers = dict.fromkeys((x, p, q, u, v, w), 1) | {p: 2}
    slope = sympy.diff(inner, a)
    at_root = slope.xreplace({a: root})
    proof.counterexample(
        "the slope at a_2, which an admissible root has, and that at the root",
        slope,
        at_root,
        numbers | {a: 0},
        values=(1, -3),
    )
    taken, true = (way(layers, roots)[0]((x,))[0] for way in (_first_of, definition3))
    proof.counterexample(
        "Algorithm 1 and Definition 3", taken, true, numbers, values=(0, 4), agrees_at=numbers | {q: 0}
    )
    second = (a - root) * sympy.diff(root, a) * sympy.diff(inner, a, 2).xreplace({a: root})
    proof.equal(
        "the difference is w (x - 0) times the second term of Proposition 3 for R^2 at a_2",
        true - taken,
        second.xreplace({a: ZERO}) * w * x,
    )


def _first_of(layers: list[Layer], roots: list[Roots]) -> list:
    return [lambda x: algorithm_1(layers, roots, x)]


def _affine(proof: Derivation) -> None:
    proof.part("affine")
    proof.say("Roots of the layers above the first affine, admissible or not, that of the first any: as Definition 3.")
    for sizes in proof.each("widths", WIDTHS):
        layers, point = network(*sizes), vector("x", sizes[0])
        roots = [same_square(1, sizes[0]), *(same_affine(l, d) for l, d in enumerate(sizes[1:-1], start=2))]
        proof.equal("R^1", algorithm_1(layers, roots, point), definition3(layers, roots)[0](point))
    proof.say("Two layers: the last layer's root may be anything too, since R^3 o f_2 is affine on the pattern.")
    for sizes in proof.each("widths", [(2, 3, 1), (3, 2, 2)]):
        layers, point = network(*sizes), vector("x", sizes[0])
        roots = [one_root(1, sizes[0]), same_square(2, sizes[1])]
        proof.equal("R^1", algorithm_1(layers, roots, point), definition3(layers, roots)[0](point))


def _by_dtdsym(proof: Derivation) -> None:
    proof.part("dtdsym")
    known = sequential(([[1]], [0]), ([[1]], [0]), ([[1]], [0]), final_relu=False)
    curved = [constant_root([Fraction(1, 2)]), affine_root([[-1]], [2]), lambda a: (a[0] * a[0],)]
    straight = [*curved[:2], affine_root([[2]], [-1])]

    def asked(roots: list) -> tuple[Fraction, Fraction]:
        return full_backward(known, (1,), roots)[0], recursion(known, (1,), roots, check=False)[0]

    def agree(roots: list) -> bool:
        return len(set(asked(roots))) == 1

    def network_asked(chosen: Network) -> tuple[Fraction, ...]:
        return tuple(full_backward(chosen, (1,), curved))

    x = (ONE,)
    layers = [Layer(sympy.ones(1), (ZERO,), (ONE,))] * 3
    roots: list[Roots] = [lambda j, a: (ONE / 2,), lambda j, a: (2 - a[0],), lambda j, a: (a[0] ** 2,)]
    value = algorithm_1(layers, roots, x)[0]
    other = sequential(([[1]], [0]), ([[1]], [0]), ([[2]], [0]), final_relu=False)
    proof.found(
        "Algorithm 1 at x = 1 by dtdsym (full_backward), as here",
        network_asked,
        known,
        (Fraction(int(value)),),
        unlike=other,
    )
    proof.found(
        "full_backward and recursion agree for affine roots, not for a^2, which is inadmissible",
        agree,
        straight,
        True,
        unlike=curved,
    )


if __name__ == "__main__":
    main()
