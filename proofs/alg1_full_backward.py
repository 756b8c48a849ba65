"""Algorithm 1: the recursion by automatic differentiation, and what it leaves out of Definition 3."""

from __future__ import annotations

from fractions import Fraction

import sympy

from dtdsym import affine_root, constant_root, recursion
from dtdsym.network.network import Network, sequential
from dtdsym.relevance.recursion import full_backward
from machinery import Derivation, main, statement
from machinery.definition3 import Layer, Roots, Vector, column, definition3, matrix, network, one_root, vector

ONE, ZERO = sympy.Integer(1), sympy.Integer(0)
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


@statement(
    "alg1",
    "the recursion by automatic differentiation",
    place="Appendix C.1, Algorithm 1",
    printed="R^{l+1} <- GET_RELEVANCE(l + 1, f_l(a~_l)); for each j: R^{l+1}_[j].backward(); r_j <- a~.grad o (a_l - "
    "a~_l)",
    verdict="corrected",
    reason="a~.grad is a number to the calls above, so Proposition 3's second term is missing; one root for all j; GET_"
    "RELEVANCE(n + 1) returns a scalar whose [j] is asked for; a~ without l",
    corrected="it computes Definition 3 for one root per layer if the roots of the layers 2 to n are locally affine; "
    "else "
    "the graph of a~_l.grad has to be kept (create_graph), the root chosen inside the loop over j, a_xi e_xi returned",
    scope="all weights, biases, patterns and affine roots, three shapes, n = 2, 3; the counterexample has "
    "three neurons",
)
def alg1(proof: Derivation) -> None:
    proof.say(
        "Read as autograd runs it: a~_l depends on a_l, the caller's leaf; the gradients that an inner call has "
        "written "
        "are constants to the outer one."
    )
    proof.ill_typed(
        "for j in 1 .. d_{n+1} needs as many entries as f_n has outputs, two here; l = n + 1 returns one",
        lambda: column([sympy.Symbol("a1")]) + column(vector("y", 2)),
        lambda: column([sympy.Symbol("a1"), ZERO]) + column(vector("y", 2)),
    )
    proof.say("Three active layers f_1(x) = w x, f_2(a) = v a, f_3(a) = u a with the roots 0, q a + 1 and p a^2.")
    x, p, q, u, v, w = sympy.symbols("x p q u v w")
    layers = [Layer(sympy.Matrix([[slope]]), (ZERO,), (ONE,)) for slope in (w, v, u)]
    roots: list[Roots] = [lambda j, a: (ZERO,), lambda j, a: (q * a[0] + 1,), lambda j, a: (p * a[0] ** 2,)]
    proof.counterexample(
        "Algorithm 1 and Definition 3 at w = v = u = p = q = x = 1",
        algorithm_1(layers, roots, (x,))[0],
        definition3(layers, roots)[0]((x,))[0],
        dict.fromkeys((x, p, q, u, v, w), 1),
    )
    difference = definition3(layers, roots)[0]((x,))[0] - algorithm_1(layers, roots, (x,))[0]
    proof.say("The difference is w (x - 0) times the second term of Proposition 3 for R^2, at a_2 = f_1(0) = 0:")
    (a,) = vector("a", 1)
    (root,) = roots[1](0, (a,))
    inner = u * (v * a - p * (v * a) ** 2)
    hessian = sympy.diff(inner, a, 2).xreplace({a: root})
    second = (a - root) * sympy.diff(root, a) * hessian
    proof.equal("Definition 3 - Algorithm 1", difference, second.xreplace({a: ZERO}) * w * x)
    proof.say("Roots of the layers above the first affine, that of the first any: the same as Definition 3.")
    for sizes in proof.each("widths", WIDTHS):
        layers, point = network(*sizes), vector("x", sizes[0])
        roots = [same_square(1, sizes[0]), *(same_affine(l, d) for l, d in enumerate(sizes[1:-1], start=2))]
        proof.equal("R^1", algorithm_1(layers, roots, point), definition3(layers, roots)[0](point))
    proof.say("Two layers: the last layer's root may be anything too, since R^3 o f_2 is affine on the pattern.")
    for sizes in proof.each("widths", [(2, 3, 1), (3, 2, 2)]):
        layers, point = network(*sizes), vector("x", sizes[0])
        roots = [one_root(1, sizes[0]), same_square(2, sizes[1])]
        proof.equal("R^1", algorithm_1(layers, roots, point), definition3(layers, roots)[0](point))
    _by_dtdsym(proof)


def _by_dtdsym(proof: Derivation) -> None:
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
    proof.found("full_backward and recursion agree for affine roots, not for a^2", agree, straight, True, unlike=curved)


if __name__ == "__main__":
    main()
