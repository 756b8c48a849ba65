"""Proposition 3 and equation 17: R^{l-1} by the gradient of R^l."""

from __future__ import annotations

from fractions import Fraction

import sympy

from dtdsym import affine_root, constant_root, recursion
from dtdsym.network.network import Network, sequential
from machinery import Derivation, main, statement
from machinery.definition3 import (
    Layer,
    Vector,
    affine_roots,
    base_case,
    column,
    definition3,
    hinge_roots,
    network,
    put,
    recursive_step,
    slopes,
    vector,
)
from machinery.product_rule import (
    ONE,
    STACKS,
    ZERO,
    Expanded,
    admissible_instance,
    affine_above,
    crossing,
    not_zero,
    numbers,
    own_weights,
    product_rule,
    relevance_roots,
    unknown,
)


def identity_of(width: int) -> Layer:
    """A layer that changes nothing: then R^{l+1} o f_l is R^{l+1}."""
    return Layer(sympy.eye(width), (ZERO,) * width, (ONE,) * width)


def dropped(proof: Derivation) -> None:
    """The printed equation with the second term left out, where all roots are admissible."""
    proof.part("dropped")
    case, low = admissible_instance(), (ONE * 5 / 2, 2 * ONE)
    proof.say(
        "All roots admissible: f_1(x) = [x]+, f_2(a) = [a1 - a2]+, f_3(h) = [h]+, x = (5/2, 2); roots h^2, a + (1, 1) "
        "and, of the neurons of layer 1, (2, 5/4) and (2, 3/2): R^2 = (2h - 1, 1 - 2h) is affine. (One root for both "
        "would not show it: the second terms of k = 1 and k = 2 cancel, see alg1.)"
    )
    layers = [identity_of(2), numbers([[1, -1]], [0]), numbers([[1]], [0])]
    points = ((2 * ONE, ONE * 5 / 4), (2 * ONE, ONE * 3 / 2))
    roots = [lambda j, a: points[j], case.roots, lambda j, h: (h[0] ** 2,)]
    printed = sympy.zeros(2, 1)
    for j, point in enumerate(points):
        value = case.printed(j).subs(dict(zip(case.a, point, strict=True)))
        printed += value * (column(low) - column(point))
    true = column(definition3(layers, roots)[0](low))
    proof.counterexample("as printed, and R^1", printed, true, values=((0, 0), (0, "-1/2")))
    known, other = (
        sequential(([[1, 0], [0, 1]], [0, 0]), ([[1, low]], [0]), ([[1]], [0])) for low in (-1, Fraction(-1, 2))
    )

    def asked(chosen: Network) -> tuple[Fraction, ...]:
        below = [constant_root([2, Fraction(5, 4)]), constant_root([2, Fraction(3, 2)])]
        shifted = affine_root([[1, 0], [0, 1]], [1, 1])
        above = lambda h: (h[0] * h[0],)  # noqa: E731
        return tuple(recursion(chosen, (Fraction(5, 2), 2), [below, shifted, above], check=False))

    proof.found("R^1 by dtdsym", asked, known, (Fraction(0), Fraction(-1, 2)), unlike=other)


def w2_alone(proof: Derivation) -> None:
    """w2 in all layers: affine roots."""
    proof.part("w2_alone")
    proof.say("w2 in every layer, hinge and relevance roots, is no such instance: these roots are affine on a pattern.")
    for sizes in proof.each("widths", [(2, 2, 1), (3, 2, 1)]):
        layers, a = network(*sizes), vector("a", sizes[0])
        upper = recursive_step(base_case(1), layers[1], hinge_roots(layers[1], own_weights))
        kinds = {"hinge": hinge_roots(layers[0], own_weights), "relevance": relevance_roots(layers[0], upper)}
        for kind in proof.each("kind of root", kinds):
            second = [slopes(slopes(kinds[kind](j, a), a).row(i), a) for j in range(sizes[1]) for i in range(sizes[0])]
            proof.equal("second derivatives of the roots", second, [sympy.zeros(sizes[0]) for _ in second])


def below(proof: Derivation) -> None:
    """R^{l-1} of R^l: the chain rule through f_{l-1}, which the printed equation leaves out."""
    proof.part("below")
    proof.say(
        "R^{l-1} by equation 8: the gradient of R^l_j o f_{l-1} is J_{f_{l-1}}^T grad R^l_j, taken at f_{l-1}(a~^(j))."
    )
    for before, wide, size in proof.each("d_{l-1}, d_l, d_{l+1}", [(2, 1, 2), (1, 2, 1), (3, 2, 1)]):
        layer, case, low = network(before, wide)[0], unknown(wide, size), vector("x", before)

        def upper(a: Vector, case: Expanded = case) -> Vector:
            return put(case.relevance(), case.a, a)

        total = sympy.zeros(before, 1)
        for j in range(wide):
            root = affine_roots(2, before)(j, low)
            inner = put(case.first(j) + case.second(j), case.a, layer(root))
            total += (layer.jacobian.T * inner).multiply_elementwise(column(low) - column(root))
        proof.equal(
            "R^{l-1} = sum_j [J^T (first + second term of grad R^l_j)] o (a_{l-1} - a~^(j)_{l-1})",
            column(recursive_step(upper, layer, affine_roots(2, before))(low)),
            total,
        )


def chain_factor(proof: Derivation) -> None:
    """The printed equation 17 against Definition 3."""
    proof.part("chain_factor")
    w, p, c, d, x = sympy.symbols("w p c d x")
    layers = [Layer(sympy.Matrix([[w]]), (ZERO,), (ONE,)), Layer(sympy.ones(1), (ZERO,), (ONE,))]
    roots = [lambda j, a: (c,), lambda j, a: (p * a[0] + d,)]
    true = definition3(layers, roots)[0]((x,))[0]
    proof.say("The Jacobian of f_{l-1} is missing: f_1(x) = [w x]+, f_2(a) = [a]+, x, w > 0, root p a + d of layer 2.")
    proof.equal("Definition 3", true, w * (1 - p) * (x - c))
    proof.counterexample(
        "as printed, (1 - p) (x - c), and R^1",
        (1 - p) * (x - c),
        true,
        {w: 2, p: 0, c: 0, x: 1},
        values=(1, 2),
        agrees_at={w: 1, p: 3, c: 1, x: 5},
    )
    small, low = crossing(), (ONE, ONE)
    proof.say("And the wrong index is contracted: f_1(x) = [x]+, f_2(a) = [2 a1 + 3 a2]+, a~_2 = (a2, 0), x = (1, 1).")
    layers = [identity_of(2), numbers([[2, 3]], [0])]
    roots = [lambda j, a: (ZERO, ZERO), lambda j, a: (a[1], ZERO)]
    printed = sympy.zeros(2, 1)
    for j in range(2):
        printed += small.printed(j) * column(low)
    proof.counterexample(
        "as printed, with a~_1 = 0, and R^1",
        printed,
        column(definition3(layers, roots)[0](low)),
        values=((2, 2), (2, 1)),
    )
    known, other = (sequential(([[1, 0], [0, 1]], [0, 0]), ([[2, top]], [0])) for top in (3, 4))

    def asked(chosen: Network) -> tuple[Fraction, ...]:
        above = lambda a: (a[1], 0 * a[0])  # noqa: E731
        return tuple(recursion(chosen, (1, 1), [constant_root([0, 0]), above], check=False))

    proof.found("R^1 by dtdsym", asked, known, (Fraction(2), Fraction(1)), unlike=other)


@statement(
    "prop3",
    "R^{l-1} by the next layer's Jacobian and its roots' Jacobians",
    place="Section 4.3, Proposition 3",
    printed="R^{l-1} = sum_j sum_m [(df_l/da_l[j] - da~^(m)_l[j]/da_l . df_l/da_l) . dR^{l+1}_[m]/df_l] o (a_{l-1} - "
    "a~^(j)_{l-1})",
    verdict="corrected",
    reason="it contracts the wrong index, misses the Jacobian of f_{l-1}, and drops a term: f = [[[x1 - x2]]] (the "
    "first layer the identity), x = (5/2, 2), all roots admissible, gives (0, 0) for (0, -1/2)",
    corrected="R^{l-1} = sum_j [J_{f_{l-1}}^T grad R^l_j] o (a_{l-1} - a~^(j)_{l-1}), grad R^l_k = sum_m { g^m_k (e_k "
    "- grad a~^(m)_k) + (a - a~^(m))_k (Da~^(m))^T Hess(R^{l+1}_m o f_l)(a~^(m)) e_k }; the second term is 0 if the "
    "roots of the layers above l are locally affine",
    scope="all smooth relevances and root functions in three shapes; all networks and affine roots of three shapes, n "
    "= 2, 3, every l and pattern; z+, gamma and w2 roots on one network",
    parts=("chain_factor", "product_rule", "below", "affine_above", "dropped", "not_zero", "w2_alone"),
)
def prop3(proof: Derivation) -> None:
    chain_factor(proof)
    product_rule(proof)
    below(proof)
    affine_above(proof)
    dropped(proof)
    not_zero(proof)
    w2_alone(proof)


@statement(
    "eq17",
    "R^{l-1} by the next layer's Jacobian, where the second term vanishes",
    place="Section 4.3, equation 17",
    printed="R^{l-1} = sum_j sum_m [(df_l/da_l[j] - da~^(m)_l[j]/da_l . df_l/da_l) . dR^{l+1}_[m]/df_l] o (a_{l-1} - "
    "a~^(j)_{l-1})",
    verdict="corrected",
    reason="f_1 = 2x, f_2 = a, constant root above, x = 1, x~ = 0: gives 1 for 2; the index is wrong as well",
    corrected="roots above l locally affine: R^{l-1} = sum_j sum_m g^m_j [J_{f_{l-1}}^T (e_j - grad a~^(m)_j)] o "
    "(a_{l-1} - a~^(j)_{l-1}), g^m = grad(R^{l+1}_m o f_l)",
    scope="all weights, biases, patterns and affine roots that depend on the neuron, three shapes, n = 2, 3",
    parts=("chain_factor",),
)
def eq17(proof: Derivation) -> None:
    chain_factor(proof)
    proof.say("Corrected, with affine roots in all layers, against Definition 3 differentiated and put together:")
    for sizes in proof.each("widths", STACKS):
        layers, x = network(*sizes), vector("x", sizes[0])
        roots = [affine_roots(l, d) for l, d in enumerate(sizes[:-1], start=1)]
        functions, a = definition3(layers, roots), vector("a", sizes[1])
        case = Expanded(functions[2](layers[1](a)), a, roots[1])
        total = sympy.zeros(sizes[0], 1)
        for j in range(sizes[1]):
            step = column(x) - column(roots[0](j, x))
            inner = put(case.first(j), a, layers[0](roots[0](j, x)))
            total += (layers[0].jacobian.T * inner).multiply_elementwise(step)
        proof.equal("R^1", column(functions[0](x)), total)


if __name__ == "__main__":
    main()
