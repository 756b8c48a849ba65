"""Equations 6 to 8 and Definition 3: the recursive application of Taylor's theorem."""

from __future__ import annotations

from fractions import Fraction

import sympy
import z3

from dtdsym import affine_root, constant_root, recursion
from dtdsym.network.network import Network, sequential
from machinery import Derivation, main, statement
from machinery.definition3 import (
    Layer,
    Vector,
    affine_roots,
    base_case,
    column,
    constant_roots,
    definition3,
    gradient,
    network,
    one_root,
    put,
    recursive_step,
    slopes,
    unit,
    vector,
)

SHAPES = [(2, 3, 2), (3, 2, 3)]
HALF = sympy.Rational(1, 2)
"""Of SymPy; dtdsym reads Fractions."""


def linear(*rows: tuple[int, ...]) -> Layer:
    """A linear layer of numbers, without bias and without a ReLU."""
    ones = tuple(sympy.Integer(1) for _ in rows)
    return Layer(sympy.Matrix(rows), tuple(0 * one for one in ones), ones)


def exact(number: sympy.Rational) -> Fraction:
    """A number of SymPy as dtdsym gives it."""
    return Fraction(int(number.p), int(number.q))


@statement(
    "eq06",
    "the relevance of the output",
    place="Section 3.3, equation 6, and Definition 3",
    printed="R^{n+1}(a_{n+1}) = a_{n+1[xi]}",
    verdict="corrected",
    reason="a scalar, but eq. 8 sums over the entries R^{n+1}_[j]: it needs the vector a_xi e_xi",
    corrected="R^{n+1}(a_{n+1}) = a_{n+1[xi]} e_xi, zero for every other output (the appendix's e_xi, eq. 29)",
    scope="the counterexample has one linear layer and two outputs; the corrected base case gives the gradient of "
    "logit xi for all weights, biases and patterns of two shapes and every xi",
)
def eq06(proof: Derivation) -> None:
    layer, x = linear((1,), (1,)), vector("x", 1)
    roots = one_root(1, 1)
    scalar = recursive_step(lambda a: (a[0], a[0]), layer, roots)
    proof.say(
        "f(x) = (x, x), xi = 1, root c: equation 8 sums over j = 1, 2. If R^2_[j] is read as the scalar a_xi for each "
        "j, the logit is counted once for every output."
    )
    proof.counterexample(
        "R^1 with a scalar R^2, and f_xi(x) - f_xi(c) = x - c",
        scalar(x)[0],
        (x[0] - sympy.Symbol("c1_1")),
        {x[0]: 1, sympy.Symbol("c1_1"): 0},
        values=(2, 1),
        agrees_at={x[0]: 3, sympy.Symbol("c1_1"): 3},
    )
    proof.equal("with R^2 = a_xi e_xi", recursive_step(base_case(2), layer, roots)(x)[0], x[0] - sympy.Symbol("c1_1"))
    for wide, size in proof.each("shape of f_n", [(2, 3), (3, 2)]):
        (last,), a = network(wide, size), vector("a", wide)
        for logit in proof.each("xi", range(size)):
            relevance = recursive_step(base_case(size, logit), last, one_root(1, wide))(a)
            root = one_root(1, wide)(0, a)
            expected = [m * (ai - ri) for m, ai, ri in zip(last.jacobian.row(logit), a, root, strict=True)]
            proof.equal("R^n(a) = grad f_{n,xi} o (a - a~)", relevance, tuple(expected))


@statement(
    "eq07",
    "Taylor's theorem for one relevance",
    place="Section 3.3, equation 7",
    printed="R^{l+1}_[j](a_{l+1}) = R^{l+1}_[j](f_l(a~_l)) + dR^{l+1}_[j](f_l(a_l))/da_l |_{a~_l(a_l)} . (a_l - "
    "a~_l(a_l))",
    verdict="corrected",
    reason="exact only for roots in the closure of the region of R^{l+1}_j o f_l, which needs one root for each j",
    corrected="the same with a~^(j)_l in the closure of N_g(a_l), g = R^{l+1}_[j] o f_l, the gradient from a_l's side",
    scope="all relevances that are affine on f_l's pattern, for all weights, biases, masks and roots of two shapes; "
    "all n = 2 networks with affine roots above; counterexamples are one neuron",
)
def eq07(proof: Derivation) -> None:
    proof.say("Outside the region the remainder is not 0. One neuron f_1(x) = [x]+, R^2(a) = a, x = 1, root -1:")
    x = sympy.Symbol("x")
    active, inactive = x, 0 * x
    value = active.subs(x, 1)
    proof.counterexample(
        "R^2(f_1(x~)) + gradient . (x - x~), and R^2(f_1(x))",
        inactive.subs(x, -1) + sympy.diff(inactive, x) * 2,
        value,
        values=(0, 1),
    )
    proof.say(
        "One root for all j, as printed, cannot lie on every neuron's hinge: [x]+ and [x - 1]+, both active at 2."
    )
    r = z3.Real("r")
    proof.valid("no r has r = 0 and r - 1 = 0", z3.Not(z3.And(r == 0, r - 1 == 0)))
    proof.say("Inside the region g is affine, g(a) = p . f_l(a) + q with f_l on one pattern, and the remainder is 0.")
    for wide, size in proof.each("shape of f_l", [(2, 3), (3, 2)]):
        layer, a, root = network(wide, size)[0], vector("a", wide), vector("r", wide)
        p, q = vector("p", size), sympy.Symbol("q")

        def g(at: Vector, layer: Layer = layer, p: Vector = p, q: sympy.Symbol = q) -> sympy.Expr:
            return sympy.Add(*(pi * hi for pi, hi in zip(p, layer(at), strict=True))) + q

        slope = put(gradient(g(a), a), a, root)
        step = column(a) - column(root)
        proof.equal("g(a) = g(a~) + grad g(a~) . (a - a~)", g(a), g(root) + (slope.T * step)[0])
    proof.say("R^{l+1} is affine on patterns if its roots are: R^2_[j] o f_1 with symbolic affine roots of layer 2.")
    for sizes in proof.each("shape", [(2, 2, 1), (3, 2, 2)]):
        layers, a, root = network(*sizes), vector("a", sizes[0]), vector("r", sizes[0])
        upper = recursive_step(base_case(sizes[2]), layers[1], affine_roots(2, sizes[1]))
        values, at_root = upper(layers[0](a)), upper(layers[0](root))
        step = slopes(values, a).xreplace(dict(zip(a, root, strict=True))) * (column(a) - column(root))
        proof.equal("for every j", column(values), column(at_root) + step)
    proof.say(
        "It is not affine for other roots: a~_2(a) = a^2, f_1(x) = [x]+, f_2(a) = [a]+ leave a remainder. Then g has "
        "another gradient at every point, so N_g(x) = {x}, and no other root is admissible."
    )
    upper = recursive_step(base_case(1), linear((1,)), lambda j, a: (a[0] ** 2,))
    (value,), (at_root,) = upper((x,)), upper((HALF,))
    slope = sympy.diff(value, x).subs(x, HALF)
    proof.counterexample(
        "first order about 1/2, and R^2 at x = 1/4",
        at_root + slope * (x - HALF),
        value,
        {x: HALF / 2},
        values=("1/4", "3/16"),
        agrees_at={x: HALF},
    )


@statement(
    "def3",
    "the recursive Taylor decomposition",
    place="Section 3.3, Definition 3",
    printed="f = f_1 o ... o f_n; a~_l(a_l) in N_{R_l}(x), a~_l(a_l) != a_l; R^{n+1} = a_{n+1[xi]}; R^l for l != n by "
    "equation 8",
    verdict="corrected",
    reason="composed in the wrong order; l != n leaves R^n undefined; one root though eq. 8 has one for each j; the "
    "admissible set has the wrong function and the wrong point; the base case is a scalar",
    corrected="f = f_n o ... o f_1; a~^(j)_l(a_l) in the closure of N_g(a_l) with g = R^{l+1}_[j] o f_l, and != a_l; "
    "R^{n+1} = a_{n+1[xi]} e_xi; R^l by equation 8 for l = n, ..., 1",
    scope="the misprints are shown by shapes and one small network; the corrected definition is unfolded for all "
    "weights, biases, patterns and affine roots of two shapes",
)
def def3(proof: Derivation) -> None:
    first, second = network(2, 3, 1)
    proof.ill_typed(
        "f_1 o f_2 with f_1: R^2 -> R^3, f_2: R^3 -> R^1 (here their matrices)",
        "(3, 2) * (1, 3)",
        lambda: first.weight * second.weight,
        lambda: second.weight * first.weight,
    )
    proof.ill_typed(
        "for l = n = 2 a base case taken for R^n would have the output's size, not that of a_n",
        "(1, 1) + (3, 1)",
        lambda: column(base_case(1)(vector("y", 1))) + column(vector("a", 3)),
        lambda: column(recursive_step(base_case(1), second, one_root(2, 3))(vector("a", 3))) + column(vector("a", 3)),
    )
    proof.ill_typed(
        "x is no point of layer 2's input, so N(x) is not where a~_2 can lie",
        "(3, 1) + (2, 1)",
        lambda: column(vector("r", 3)) - column(vector("x", 2)),
        lambda: column(vector("r", 3)) - column(first(vector("x", 2))),
    )
    proof.say(
        "The admissible set is that of the function that is expanded, R^{l+1}_[j] o f_l. R^l itself is made of a~_l: "
        "its region is known only when the root is. For f(x) = [x]+ on x > 0, whose region is x > 0 whatever the root:"
    )
    (x,) = vector("x", 1)
    straight, bent = (
        recursive_step(base_case(1), linear((1,)), root)((x,))[0]
        for root in (lambda j, a: (a[0] / 2,), lambda j, a: (a[0] ** 2,))
    )
    proof.equal("the root x/2 gives R^1 = x/2, with one gradient", sympy.diff(straight, x), HALF)
    proof.equal("the root x^2 gives R^1 = x - x^2, with another gradient at every x", sympy.diff(bent, x), 1 - 2 * x)
    proof.say("One root without j is no admissible choice of hinge roots: [x]+ and [x - 1]+ (equation 7).")
    proof.say("The definition as corrected, unfolded once: R^n, and R^{n-1} with the Jacobian of f_{n-1}.")
    for sizes in proof.each("shape", SHAPES):
        layers, roots = network(*sizes), [affine_roots(1, sizes[0]), affine_roots(2, sizes[1])]
        r1, r2, _ = definition3(layers, roots)
        a, x = vector("a", sizes[1]), vector("x", sizes[0])
        row, top = layers[1].jacobian.row(0), column(roots[1](0, a))
        proof.equal(
            "R^2(a) = J_2^T e_xi o (a - a~^(xi)_2(a)): the roots of other neurons do not count",
            column(r2(a)),
            row.T.multiply_elementwise(column(a) - top),
        )
        moved = sympy.diag(*row) * (sympy.eye(sizes[1]) - slopes(tuple(top), a)) * layers[0].jacobian
        total = sympy.zeros(sizes[0], 1)
        for j in range(sizes[1]):
            total += moved.row(j).T.multiply_elementwise(column(x) - column(roots[0](j, x)))
        proof.equal("R^1(x) = sum_j (row j of diag(J_2^T e_xi) (1 - Da~_2) J_1) o (x - a~^(j)_1)", column(r1(x)), total)
    proof.say("dtdsym.recursion computes this definition: f = [[x1] + 2 [x2] + 1] at (1, 2), root maps as below.")
    known = sequential(([[1, 0], [0, 1]], [0, 0]), ([[1, 2]], [1]))

    def asked(chosen: Network) -> tuple:
        top = affine_root([[1, 1], [2, -1]], [-1, 0])
        below = [constant_root([Fraction(1, 2), Fraction(1, 2)]), constant_root([1, Fraction(1, 2)])]
        return tuple(recursion(chosen, (1, 2), [below, top], check=False))

    ones = tuple(sympy.Integer(1) for _ in range(2))
    layers = [Layer(sympy.eye(2), (0 * ones[0],) * 2, ones), Layer(sympy.Matrix([[1, 2]]), ones[:1], ones[:1])]
    roots = [lambda j, a: ((HALF, HALF), (ones[0], HALF))[j], lambda j, a: (a[0] + a[1] - 1, 2 * a[0] - a[1])]
    symbolic = definition3(layers, roots)[0]((ones[0], 2 * ones[0]))
    other = sequential(([[1, 0], [0, 1]], [0, 0]), ([[1, 3]], [1]))
    proof.found("R^1, by both", asked, known, tuple(map(exact, symbolic)), unlike=other)


@statement(
    "eq08",
    "the relevance of a layer's input",
    place="Section 3.3, equation 8",
    printed="R^l(a_l) = sum_j ( dR^{l+1}_[j](f_l(a_l))/da_l |_{a_l = a~^(j)(a_l)} o (a_l - a~^(j)_l(a_l)) )",
    verdict="true",
    reason="well typed in every shape, and its entries add up to equation 7's first-order terms; hinge roots need the "
    "gradient from the input's side",
    scope="all weights, biases, patterns and affine roots that depend on j, two shapes, l = n and l = n - 1",
)
def eq08(proof: Derivation) -> None:
    proof.say(
        "Equation 8 defines R^l. What can be decided: that it is what eq. 7, summed over j, distributes over the "
        "inputs, so that sum_i R^l_i = sum_j R^{l+1}_j(f_l(a)) - sum_j R^{l+1}_j(f_l(a~^(j))) on a pattern."
    )
    for sizes in proof.each("shape", SHAPES):
        layers = network(*sizes)
        roots = [affine_roots(1, sizes[0]), affine_roots(2, sizes[1])]
        functions = definition3(layers, roots)
        for l in proof.each("layer", (1, 2)):
            a, layer, upper = vector("a", sizes[l - 1]), layers[l - 1], functions[l]
            here, there = sympy.Add(*upper(layer(a))), sympy.Integer(0)
            for j in range(layer.size):
                there += upper(layer(roots[l - 1](j, a)))[j]
            proof.equal(
                "sum_i R^l_i(a) = what is expanded, less what is left at the roots",
                sympy.Add(*functions[l - 1](a)),
                here - there,
            )
    proof.say("If all roots are exact, R^{l+1}_j(f_l(a~^(j))) = 0, the sum is conserved from layer to layer.")
    for sizes in proof.each("shape", [(2, 3), (3, 2)]):
        (layer,), a = network(*sizes), vector("a", sizes[0])
        proof.equal(
            "l = n, in matrix form: R^n = (J_n^T e_xi) o (a - a~)",
            column(recursive_step(base_case(sizes[1]), layer, constant_roots(1, sizes[0]))(a)),
            (layer.jacobian.T * unit(sizes[1], 0)).multiply_elementwise(
                column(a) - column(constant_roots(1, sizes[0])(0, a))
            ),
        )


if __name__ == "__main__":
    main()
