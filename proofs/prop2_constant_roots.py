"""Proposition 2 and equation 16: locally constant roots give gradient o (input - root)."""

from __future__ import annotations

from fractions import Fraction

import sympy

from dtdsym import constant_root, recursion
from dtdsym.network.network import Network, sequential
from machinery import Derivation, main, statement
from machinery.definition3 import (
    Layer,
    affine_roots,
    base_case,
    column,
    composed,
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

STEPS = [(2, 3), (3, 2), (1, 4), (4, 2)]
"""d_l and d_{l+1} of the induction step."""
NETWORKS = [(2, 3), (2, 2, 1), (3, 2, 2), (2, 3, 2, 2), (3, 1, 2, 1)]
"""Sizes of networks for which Definition 3 is unfolded completely."""
PRINTED = "R(x) = R(x~) + grad f_[xi](x~) o (x - x~)"
HALF, QUARTER = sympy.Rational(1, 2), sympy.Rational(1, 4)


def induction(proof: Derivation) -> None:
    """H(l + 1) implies H(l), and H(n + 1) holds."""
    proof.part("induction")
    proof.say(
        "F_l is f_xi as a function of a_l. Claim H(l): near a_l every R^l_j is affine with grad R^l_j = (dF_l/da_l[j]) "
        "e_j. F_l is affine there too, since a_l lies off the hinges."
    )
    for size in proof.each("number of outputs", (1, 3)):
        a = vector("a", size)
        values = base_case(size)(a)
        proof.equal(
            "H(n + 1): R^{n+1} = a_xi e_xi, F_{n+1} = a_xi",
            slopes(values, a),
            sympy.diag(*gradient(a[0], a)),
        )
    proof.say(
        "H(l + 1) => H(l). Let p = grad F_{l+1}, so that R^{l+1}_j(a) = p_j a_j + q_j near a_{l+1} = f_l(a_l), with "
        "any q_j; f_l = m o (W a + b) near a_l; the roots a~^(j) = c^(j) constant near a_l. An admissible root has the "
        "gradient of R^{l+1}_j o f_l that a_l has, whatever its pattern: that is all of it that equation 8 uses."
    )
    for wide, size in proof.each("d_l and d_{l+1}", STEPS):
        layer, a = network(wide, size)[0], vector("a", wide)
        p, q, roots = vector("p", size), vector("q", size), constant_roots(1, wide)
        values = tuple(pi * hi + qi for pi, hi, qi in zip(p, layer(a), q, strict=True))
        own = slopes(values, a)
        proof.equal(
            "grad(R^{l+1}_j o f_l) = p_j J^T e_j, and these add up to J^T p = grad F_l",
            own.T * column([1] * size),
            layer.jacobian.T * column(p),
        )
        relevance = tuple(sympy.Add(*(own[j, i] * (a[i] - roots(j, a)[i]) for j in range(size))) for i in range(wide))
        proof.equal(
            "R^l_i = sum_j grad_i (a - c^(j))_i has the gradient (grad F_l)_i e_i: that is H(l)",
            slopes(relevance, a),
            sympy.diag(*(layer.jacobian.T * column(p))),
        )
    proof.say(
        "So H(l) holds for l = n + 1, ..., 2 if the roots of the layers 2 to n are locally constant. The roots of "
        "layer 1 are not differentiated: R = sum_j grad(R^2_j o f_1) o (x - x~^(j)) = sum_j p_j (J_1^T e_j) o (x - "
        "x~^(j))."
    )


def unfolded(proof: Derivation) -> None:
    """The formula against Definition 3 of whole networks; the first roots may depend on x."""
    proof.part("unfolded")
    proof.say(
        "The same without induction: Definition 3 differentiated and put together, on every pattern (masks are "
        "symbols), constant roots for each neuron above, roots A^(j) x + c^(j) in the first layer."
    )
    for sizes in proof.each("widths", NETWORKS):
        layers, x = network(*sizes), vector("x", sizes[0])
        roots = [affine_roots(1, sizes[0]), *(constant_roots(l, d) for l, d in enumerate(sizes[1:-1], start=2))]
        above = unit(sizes[-1], 0)
        for layer in reversed(layers[1:]):
            above = layer.jacobian.T * above
        total = sympy.zeros(sizes[0], 1)
        for j in range(sizes[1]):
            row = layers[0].jacobian.row(j).T
            total += above[j] * row.multiply_elementwise(column(x) - column(roots[0](j, x)))
        proof.equal(
            "R_i = sum_j (dF_2/da_2[j]) (da_2[j]/dx_i) (x - x~^(j))_i",
            column(definition3(layers, roots)[0](x)),
            total,
        )
        same = [one_root(1, sizes[0]), *roots[1:]]
        slope = gradient(composed(layers, x)[0], x)
        proof.equal(
            "one root x~ for all neurons of the first layer: R = grad f_xi(x) o (x - x~)",
            column(definition3(layers, same)[0](x)),
            slope.multiply_elementwise(column(x) - column(same[0](0, x))),
        )


def no_summand(proof: Derivation) -> None:
    """R(x~) is too much: f = [x]+, roots locally constant."""
    proof.part("no_summand")
    proof.say(
        "f(x) = [x]+, x = 1. The root 1/2 for x > 3/4 and 1/4 for 3/8 < x <= 3/4 is locally constant at 1 and at 1/2, "
        "admissible, and never the input: R(x) = 1 - 1/2, R(x~) = R(1/2) = 1/2 - 1/4."
    )
    (x,) = vector("x", 1)
    active = Layer(sympy.ones(1), (sympy.Integer(0),), (sympy.Integer(1),))

    def relevance(at: sympy.Rational, root: sympy.Rational) -> sympy.Expr:
        return recursive_step(base_case(1), active, lambda j, a: (root,))((x,))[0].subs(x, at)

    proof.counterexample(
        "R(x~) + grad f(x~) (x - x~), and R(x)",
        relevance(HALF, QUARTER) + 1 * (1 - HALF),
        relevance(sympy.Integer(1), HALF),
        values=("3/4", "1/2"),
    )
    known = sequential(([[1]], [0]))

    def explained(root: Fraction) -> tuple[Fraction, ...]:
        return tuple(recursion(known, (1,), [constant_root([root])]))

    proof.found(
        "R(1) by dtdsym, the root checked to be admissible",
        explained,
        Fraction(1, 2),
        (Fraction(1, 2),),
        unlike=Fraction(1, 4),
    )
    proof.say("A root that is the same at x~ would be x~ itself there, which Definition 3 forbids; and then R(x~) = 0.")


@statement(
    "prop2",
    "locally constant roots: gradient x (input - root)",
    place="Section 4.2, Proposition 2",
    printed=f"roots locally constant for all l => {PRINTED}",
    verdict="corrected",
    reason="the term R(x~) is too much, and it holds only if the first layer's root is the same for all neurons; the "
    "first layer's root need not be constant",
    corrected="roots of layers 2..n locally constant => R_i = sum_j (dF_2/da_2[j]) (da_2[j]/dx_i) (x - x~^(j))_i; if "
    "x~^(j) = x~ for all j, R = grad f_xi(x) o (x - x~)",
    scope="for all n by induction, whose step is checked in four shapes for all weights, biases, patterns and "
    "admissible roots off the hinges; unfolded completely for five shapes, n = 1, 2, 3",
    parts=("no_summand", "induction", "unfolded", "by_dtdsym"),
)
def prop2(proof: Derivation) -> None:
    no_summand(proof)
    proof.say(
        "Roots that depend on j, as equation 8 has them, leave no x~ to be printed: f(x) = [[x]+ + [2x]+]+ at x = 1, "
        "roots 1/2 and 1/4 of layer 1, any constant root above."
    )
    layers = [
        Layer(sympy.Matrix([[1], [2]]), (sympy.Integer(0),) * 2, (sympy.Integer(1),) * 2),
        Layer(sympy.Matrix([[1, 1]]), (sympy.Integer(0),), (sympy.Integer(1),)),
    ]
    roots = [lambda j, a: ((HALF,), (QUARTER,))[j], lambda j, a: (HALF, HALF)]
    (relevance,) = definition3(layers, roots)[0]((sympy.Integer(1),))
    for root, value in proof.each("root in place of x~, and what it gives", ((HALF, "3/2"), (QUARTER, "9/4"))):
        proof.counterexample("grad f(x) (1 - x~), and R(1)", 3 * (1 - root), relevance, values=(value, 2))
    induction(proof)
    unfolded(proof)
    proof.say(
        "Locally constant is needed: with the root a~_2 = (1 - p) a, f_1(x) = w x and f_2(a) = a, R is p times as "
        "large."
    )
    w, p, c, x = sympy.symbols("w p c x")
    one = (sympy.Integer(1),)
    scaled = [Layer(sympy.Matrix([[w]]), (sympy.Integer(0),), one), Layer(sympy.ones(1), (sympy.Integer(0),), one)]
    proof.equal(
        "R = p w (x - c)",
        definition3(scaled, [lambda j, a: (c,), lambda j, a: ((1 - p) * a[0],)])[0]((x,))[0],
        p * w * (x - c),
    )
    _by_dtdsym(proof)


def _by_dtdsym(proof: Derivation) -> None:
    proof.part("by_dtdsym")
    weight, top = [[1, -1], [2, 1], [-1, -3]], [[1, 2, 1]]
    first, other = sequential((weight, [0, 1, 1]), (top, [-1])), sequential((weight, [0, 1, 1]), ([[1, 3, 1]], [-1]))

    def asked(chosen: Network) -> tuple[Fraction, ...]:
        roots = [constant_root([Fraction(3, 2), 1]), constant_root([1, 4, 0])]
        return tuple(recursion(chosen, (2, 1), roots))

    proof.found(
        "dtdsym: grad f = (5, 1) at x = (2, 1), x~ = (3/2, 1), the roots checked to be admissible",
        asked,
        first,
        (Fraction(5, 2), Fraction(0)),
        unlike=other,
    )


@statement(
    "eq16",
    "gradient x (input - root), and what it adds up to",
    place="Section 4.2, equation 16",
    printed=PRINTED,
    verdict="corrected",
    reason="no term R(x~): f = [x]+, x = 1, locally constant roots 1/2 and 1/4 give 3/4 for 1/2; and the sum is f(x) - "
    "f(x~) only for x~ in the closure of N_f(x)",
    corrected="R(x) = grad f_xi(x) o (x - x~), the gradient at x, one root x~ for all neurons of layer 1; sum_i R_i = "
    "f_xi(x) - f_xi(x~) if x~ also lies in the closure of N_f(x)",
    scope="counterexamples are networks of at most 3 neurons; the sum for all weights, biases and patterns, three "
    "shapes",
    parts=("no_summand",),
)
def eq16(proof: Derivation) -> None:
    no_summand(proof)
    proof.say("The corrected formula is proved under prop2. Its sum, if x~ lies on x's pattern, or on its edge:")
    for sizes in proof.each("widths", [(2, 3), (2, 3, 1), (3, 2, 2, 1)]):
        layers, x, root = network(*sizes), vector("x", sizes[0]), vector("c1_", sizes[0])
        roots = [one_root(1, sizes[0]), *(constant_roots(l, d) for l, d in enumerate(sizes[1:-1], start=2))]
        value = composed(layers, x)[0]
        proof.equal(
            "sum_i R_i = f_xi(x) - f_xi(x~)",
            sympy.Add(*definition3(layers, roots)[0](x)),
            value - put((value,), x, root)[0],
        )
    proof.say(
        "Elsewhere in the closure of N_f(x) f has the same affine form, by Definition 1. Outside it the sum is "
        "another: f(x) = [[x + 10]+ + [x]+]+ at x = 1, x~ = -5, where [x]+ is inactive."
    )
    (x,) = vector("x", 1)
    both = Layer(sympy.Matrix([[1], [1]]), (sympy.Integer(10), sympy.Integer(0)), (sympy.Integer(1),) * 2)
    top = Layer(sympy.Matrix([[1, 1]]), (sympy.Integer(0),), (sympy.Integer(1),))
    roots = [lambda j, a: (sympy.Integer(-5),), lambda j, a: (sympy.Integer(1), sympy.Rational(1, 8))]
    value = x + 10 + x
    proof.counterexample(
        "sum R and f(x) - f(x~)",
        definition3([both, top], roots)[0]((x,))[0],
        value - (-5 + 10 + 0),
        {x: 1},
        values=(12, 7),
    )
    proof.counterexample(
        "the gradient, too, belongs at x: grad f(x~) (x - x~) with slope 1 at x~ = -5, and R",
        sympy.diff(x + 10 + 0, x) * (x + 5),
        definition3([both, top], roots)[0]((x,))[0],
        {x: 1},
        values=(6, 12),
    )
    proof.say(
        "That root is admissible for the recursion, because a~_2 = (1, 1/8 + [10 - a_1]+) makes R^2_2 o f_1 affine "
        "from x = 1 to x = -5: it is constant near a_2 = (11, 1), and below x = 0 it moves as [x]+ stops to."
    )
    a1 = x + 10
    right, left = x - sympy.Rational(1, 8), 0 - (sympy.Rational(1, 8) + (10 - a1))
    proof.say("R^2_1(f_1(x)) = a_1 - 1 = x + 9 is affine on the whole way, too.")
    proof.equal("R^2_2(f_1(x)) for x >= 0, where 10 - a_1 <= 0, and for x < 0", right, left)
    known = sequential(([[1], [1]], [10, 0]), ([[1, 1]], [0]))

    def asked(root: int) -> tuple[Fraction, ...]:
        above = lambda a: (Fraction(1), Fraction(1, 8) + max(10 - a[0], 0))  # noqa: E731
        return tuple(recursion(known, (1,), [constant_root([root]), above], check=False))

    proof.found("R by dtdsym", asked, -5, (Fraction(12),), unlike=-4)
    proof.found("f(x) - f(x~) by dtdsym", lambda root: known([1])[0] - known([root])[0], -5, Fraction(7), unlike=-4)


if __name__ == "__main__":
    main()
