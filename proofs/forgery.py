"""Any explanation can be forged: which relevances Definition 3 reaches, and the roots that reach them."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from itertools import combinations, product

import sympy
from sympy import Function, Matrix

from dtdsym import affine_root, recursion
from dtdsym.network.network import sequential
from machinery import Derivation, main, statement
from machinery.forged_cases import Case, cases, reach
from machinery.forged_roots import SUM, at_the_top, existence, nearness
from machinery.forging import affine, taylor_step, unit
from machinery.regions import OnCell, column, gradient, network, only

SHAPES = ((2, 3, 2, 1), (3, 2, 2, 1), (2, 3, 1), (3, 2, 1))
COUNT, BLIND = 40, 12
"""How many random networks, and how many with an input that reaches no neuron."""
ONES = (Fraction(1), Fraction(1))


@statement(
    "forgery",
    "which explanations can be forged",
    place="Section 1, claim C3, and Section 4.3",
    printed="DTD is underconstrained: if the root points depend on the layers' input, then it can be used to create "
    "any arbitrary explanation (C3); any explanation could be justified (4.3)",
    verdict="corrected",
    reason="r_i = 0 wherever input i reaches no active neuron, and r = 0 if a layer passes on nothing; all others are "
    "reached",
    corrected="Let n >= 2, x off hinges, f_xi(x) > 0 if the last layer has a ReLU, J_l = D_l W_l, I = {i : column i of "
    "J_1 != 0}. If J_l != 0 for l = 2..n, admissible roots reach exactly {r : supp r in I}, otherwise {0}",
    scope="the limits for any relevance function above (an unknown one), layers of widths 2, 3 and 3, 2; the "
    "construction for all real weights of widths (2, 3, 2, 1), (3, 2, 2, 1), (2, 3, 1), (3, 2, 1) in every pattern "
    "with J_l != 0; 52 random exact networks of 2 to 4 layers, 41 with r != 0, 24 with limits, 13 with both",
    parts=("limits", "construction", "existence", "top", "nearness", "networks", "random"),
)
def forgery(proof: Derivation) -> None:
    _limits(proof)
    _construction(proof)
    existence(proof)
    at_the_top(proof)
    nearness(proof)
    _on_networks(proof)


def _limits(proof: Derivation) -> None:
    """What is not reached."""
    proof.part("limits")
    proof.say(
        "Limits. By Definition 1 a root is admissible if grad(R^{l+1}_j o f_l) is the same there as at a_l. Let column "
        "1 of J_l be 0: here neuron 1 is inactive, and the others have weight 0 at input 1. R^{l+1}_j: unknown "
        "functions."
    )
    for widths in proof.each("widths of f_l", ((2, 3), (3, 2))):
        f, a, y = network(widths), column("a", widths[0]), column("y", widths[1])
        silent = {f.masks[0][0]: 0, **dict.fromkeys(f.weights[0][1:, 0], 0)}
        layer = f.through(a)[1][1].subs(silent)
        above = Matrix([Function(f"R{j + 1}")(*y) for j in range(widths[1])])
        roots = [column(f"r{j + 1}_", widths[0]) for j in range(widths[1])]
        found = taylor_step(above, y, layer, a, roots)
        proof.equal(
            "then entry 1 of the gradient is 0 at a_l, so at an admissible root, and entry 1 of R^l with it",
            found[0],
            sympy.Integer(0),
        )
        off = dict.fromkeys(f.masks[0], 0)
        found = taylor_step(above, y, f.through(a)[1][1].subs(off), a, roots)
        proof.equal("and with J_l = 0 all of R^l is 0, near a_l too", found, sympy.zeros(widths[0], 1))
    proof.say(
        "So if J_l = 0 for an l >= 2, R^l = 0 near a_l; the gradient of R^l_j o f_{l-1} is 0 at a_{l-1}, hence at "
        "every admissible root, R^{l-1} = 0 near a_{l-1}, and so on down to R^1(x) = 0."
    )
    x, y, roots = column("x", 2), column("y", 2), [column("r1_", 2), column("r2_", 2)]
    reached = taylor_step(Matrix([Function("R1")(*y), Function("R2")(*y)]), y, Matrix([x[0], x[0]]), x, roots)
    proof.counterexample(
        "f = [[x1] + [x1]], x = (1, 1), an arbitrary explanation (5, 7): its entry 2, and that of every one there is",
        sympy.Integer(7),
        reached[1],
        values=(7, 0),
    )
    twins = sequential(([[1, 0], [1, 0]], [0, 0]), ([[1, 1]], [0]))
    proof.found(
        "dtdsym.forge refuses (5, 7), and reaches (5, 0)", lambda r: reach(twins, ONES, r), (5, 7), None, unlike=(5, 0)
    )


def _construction(proof: Derivation) -> None:
    """For all weights: R(x) = r."""
    proof.part("construction")
    proof.say(
        "Construction. For l >= 2: q an active neuron of layer l (of layer n the logit) and k with W_l[q, k] != 0. "
        "L_2(a) = M.a + M0, with u = J_1^T M nonzero on supp r; for l >= 3 L_l(a) = T_l a_q + c_l, q of layer l - 1. "
        "G_l = T_{l+1} W_l[q, k], at the top W_n[xi, k]. Roots: a - L_l(a)/G_l e_k; x~ = x - r/u (0 where r is). Masks "
        "are symbols but that of q, which is 1; neurons may be renamed, so q is the first, and k the first or the last."
    )
    for widths, k in proof.each("network of widths, and k", product(SHAPES, (0, -1))):
        f = network(widths)
        f = OnCell(f.weights, f.biases, (f.masks[0], *map(_but_first, f.masks[1:])))
        _forged(proof, f, widths, k, range(widths[0]))
    f = network((3, 2, 1))
    f = OnCell(f.weights, f.biases, (f.masks[0], _but_first(f.masks[1])))
    supports = [support for size in (1, 2) for support in combinations(range(3), size)]
    for support in proof.each("support of r, widths (3, 2, 1)", supports):
        _forged(proof, f, (3, 2, 1), 0, support)


def _but_first(mask: Matrix) -> Matrix:
    """The first neuron is active."""
    return Matrix([sympy.Integer(1), *mask[1:]])


def _forged(proof: Derivation, f: OnCell, widths: tuple[int, ...], k: int, support: Iterable[int]) -> None:
    """R^n, ..., R^1 by Definition 3, and what they are to be."""
    above, outputs, steep = Matrix([sympy.Symbol("o1")]), column("o", 1), sympy.Integer(1)
    form = sympy.Integer(0)
    for number in range(len(widths) - 1, 1, -1):
        inputs, layer = column(f"a{number}_", widths[number - 1]), only(f, number)
        below = sympy.Symbol(f"T{number}")
        form = affine("M", inputs) if number == 2 else below * inputs[0] + sympy.Symbol(f"c{number}")
        e = unit(inputs.rows, k % inputs.rows)
        root = inputs - form / (steep * layer.weights[0][0, k]) * e
        found = taylor_step(above, outputs, layer.through(inputs)[1][1], inputs, [root] * outputs.rows)
        proof.equal(f"R^{number} = L_{number} e_k, as a function of a_{number}", found, form * e)
        above, outputs, steep = form * e, inputs, below
    x, first = column("x", widths[0]), only(f, 1)
    target = Matrix([sympy.Symbol(f"r{i + 1}") if i in support else sympy.Integer(0) for i in range(widths[0])])
    slopes = first.jacobians()[0].T * gradient(form, outputs)
    root = x - Matrix([r / u if r else r for r, u in zip(target, slopes, strict=True)])
    found = taylor_step(above, outputs, first.through(x)[1][1], x, [root] * outputs.rows)
    proof.equal("R^1(x) = r, for all x of the cell", found, target)


def _on_networks(proof: Derivation) -> None:
    """What dtdsym constructs, and the recursion as it decides it."""
    proof.part("networks")
    x, a, o = column("x", 2), column("a", 2), column("o", 1)
    top = Matrix([11 * a[0] - 18 * a[1] + 20, a[1]])
    above = taylor_step(o, o, Matrix([a[0] + a[1]]), a, [top])
    proof.say("Example: f = [[x1] + [x2]], near x = (1, 1); a~_2 = (11 a1 - 18 a2 + 20, a2), x~ = x - (1/2, 1/2).")
    proof.equal("R^2", above, Matrix([-10 * a[0] + 18 * a[1] - 20, 0]))
    half = Matrix([sympy.Rational(1, 2)] * 2)
    proof.equal("R^1", taylor_step(above, a, x, x, [x - half] * 2), Matrix([-5, 9]))
    proof.found(
        "and dtdsym proves both roots admissible at x = (1, 1)",
        lambda step: tuple(
            recursion(
                SUM,
                ONES,
                [affine_root([[1, 0], [0, 1]], [-step, -step]), affine_root([[11, -18], [0, 1]], [20, 0])],
            )
        ),
        Fraction(1, 2),
        (Fraction(-5), Fraction(9)),
        unlike=Fraction(1, 4),
    )
    plateau = sequential(([[2], [1]], [-1, -1]), ([[4, -8]], [-1]))
    proof.found(
        "[4 [2x-1] - 8 [x-1] - 1], x = 2, has gradient 0 there: nevertheless r = 7 is reached",
        lambda r: reach(plateau, (2,), (r,)),
        7,
        (7,),
        unlike=8,
    )
    negative = sequential(([[1, 0], [0, 1]], [0, 0]), ([[1, -2]], [-1]), final_relu=False)
    proof.found(
        "[x1] - 2 [x2] - 1 without a final ReLU, x = (1, 1), f(x) = -2: r = (3, -4) is reached",
        lambda r: reach(negative, ONES, r),
        (3, -4),
        (3, -4),
        unlike=(3, 4),
    )
    proof.found(
        "n = 1, [x1 + x2], x = (1, 1): r = (5, 0) is not, for x - (5, 0) is beyond the hinge",
        lambda r: reach(sequential(([[1, 1]], [0])), ONES, r),
        (5, 0),
        None,
        unlike=(1, 0),
    )
    _on_random_networks(proof)


def _on_random_networks(proof: Derivation) -> None:
    proof.part("random")
    random = cases(COUNT) | cases(BLIND, blind=True)
    proof.found(
        "how many random networks, with r != 0, with limits, and with both",
        lambda known: _counts(known.values()),
        random,
        (52, 41, 24, 13),
        unlike=cases(COUNT),
    )
    for name in proof.each("random network, input and relevance", random):
        case = random[name]
        proof.found(
            "admissible roots of dtdsym.forge, by Definition 3, yield exactly r",
            lambda r, case=case: reach(case.network, case.x, r),
            case.target,
            case.target,
            unlike=tuple(r + 1 for r in case.target),
        )
    limited = {name: case for name, case in random.items() if case.beyond is not None}
    for name in proof.each("network among them with limits", limited):
        case = limited[name]
        proof.found(
            "what is beyond them is refused",
            lambda r, case=case: reach(case.network, case.x, r),
            case.beyond,
            None,
            unlike=case.target,
        )


def _counts(known: Iterable[Case]) -> tuple[int, int, int, int]:
    """All; those whose target is not 0; those with limits; both."""
    pairs = [(any(case.target), case.beyond is not None) for case in known]
    return len(pairs), sum(one for one, _ in pairs), sum(two for _, two in pairs), sum(map(all, pairs))


if __name__ == "__main__":
    main()
