"""Forged explanations that conserve relevance, with exact roots."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations

import sympy
import z3
from sympy import Matrix

from dtdsym import Unreachable, forge, recursion
from machinery import Derivation, main, statement
from machinery.forged_cases import Case, Point, cases
from machinery.forging import affine, not_all_covered, taylor_step, unit
from machinery.regions import OnCell, column, gradient, network, only, put

COUNT, BLIND = 60, 12
"""How many random networks, and how many with an input that reaches no neuron."""
SHAPES = ((2, 3, 2, 1), (3, 2, 2, 1), (2, 3, 1), (3, 2, 1))


@statement(
    "forgery_conserving",
    "forged explanations that conserve relevance",
    place="not in the paper; Section 3.2 wants the output to be redistributed in full",
    printed="If each J_l, l = 2..n, has two non-zero columns, every r with supp r in I and sum r = f_xi(x) is reached "
    "by admissible exact roots (R^{l+1}_j is 0 at the root of neuron j), so that the sum of R^l is f_xi(x) at every "
    "layer",
    verdict="true",
    reason="R^l = L_l e_p + (F_l - L_l) e_q with an affine, steep L_l; layer l < n has a root for neuron p and one for "
    "q",
    scope=f"the construction for all real weights of widths {SHAPES} in every pattern with a positive logit, "
    "every set I; admissible for all, by continuity, and on 50 random exact networks of 2 to 4 layers, 12 of them with "
    "an input that reaches no neuron",
    parts=("slopes", "admissible", "networks"),
)
def forgery_conserving(proof: Derivation) -> None:
    proof.say(
        "p = 1 and q = 2 at every layer, the names of neurons being free; L_l any affine form, G the gradient of C = "
        "L_{l+1} o f_l. The logit's mask is 1. Roots at layer n: a - (L_n/w_p) e_p - ((F_n - L_n)/w_q) e_q; at layer "
        "l: for p, a - (L_l/G_p) e_p - ((C - L_l)/G_q) e_q; for q, a - ((F_l - C)/H_q) e_q. Slopes that are divided by "
        "are not zero: G is steep in p and q, where J_l has non-zero columns. Write H = grad(F_l - C)."
    )
    for widths in proof.each("network of widths", SHAPES):
        f = network(widths)
        f = OnCell(f.weights, f.biases, (*f.masks[:-1], Matrix([sympy.Integer(1)])))
        inputs, form = _hidden(proof, f, widths)
        proof.say("Layer 1, sum r = f(x): for p, x - c/G with any c of sum L_2(a_2) = C(x); for q, x - (r - c)/H.")
        inner = range(widths[0])
        sets = [chosen for size in range(1, widths[0] + 1) for chosen in combinations(inner, size)]
        for reached in proof.each(
            "set I of inputs with a non-zero column, from 0", sorted(sets, key=len, reverse=True)
        ):
            _first(proof, f, inputs, form, reached)
    _slopes(proof)
    _admissible(proof)
    _on_networks(proof)


def _hidden(proof: Derivation, f: OnCell, widths: tuple[int, ...]) -> tuple[Matrix, sympy.Expr]:
    """From the top down to layer 2: the symbols of a_2, and L_2."""
    depth = len(widths) - 1
    inputs, output = column(f"a{depth}_", widths[depth - 1]), column("o", 1)
    form, layer = affine(f"L{depth}_", inputs), only(f, depth).through(inputs)[1][1]
    weights = gradient(layer[0], inputs)
    p, q = unit(inputs.rows, 0), unit(inputs.rows, 1)
    root = inputs - form / weights[0] * p - (layer[0] - form) / weights[1] * q
    found = taylor_step(output, output, layer, inputs, [root])
    proof.equal(f"R^{depth} = L_{depth} e_p + (F_{depth} - L_{depth}) e_q", found, form * p + (layer[0] - form) * q)
    proof.equal("F_n is 0 at the root: it is exact", put(layer[0], inputs, root), sympy.Integer(0))
    for number in range(depth - 1, 1, -1):
        above, outputs, upper = found, inputs, form
        inputs = column(f"a{number}_", widths[number - 1])
        form, layer = affine(f"L{number}_", inputs), only(f, number).through(inputs)[1][1]
        step = _Step(above, upper, outputs, layer, inputs)
        p, q = unit(inputs.rows, 0), unit(inputs.rows, 1)
        s, t = sympy.symbols("s_p s_q"), sympy.Symbol("t_q")
        step.derive(proof, s[0] * p + s[1] * q, t * q)
        put_in = {s[0]: form / step.g[0], s[1]: (step.composed - form) / step.g[1], t: step.rest / step.h[1]}
        found = form * p + (step.composed + step.rest - form) * q
        proof.equal(
            f"so R^{number} = L_{number} e_p + (F_{number} - L_{number}) e_q",
            step.sum(s[0] * p + s[1] * q, t * q).subs(put_in, simultaneous=True),
            found,
        )
        step.exact(proof, (s[0] * p + s[1] * q).subs(put_in), (t * q).subs(put_in))
    return inputs, form


class _Step:
    """R^{l+1} = L_{l+1} e_p + (F_{l+1} - L_{l+1}) e_q, to be passed down through f_l.

    composed: C = L_{l+1} o f_l; rest: F_l - C; g, h: names of their gradients' entries, which are not zero."""

    def __init__(self, above: Matrix, upper: sympy.Expr, outputs: Matrix, layer: Matrix, inputs: Matrix) -> None:
        self.above, self.outputs, self.layer, self.inputs = above, outputs, layer, inputs
        self.composed = put(upper, outputs, layer)
        self.rest = put(sum(above), outputs, layer) - self.composed
        self.g, self.h = column("G", inputs.rows), column("H", inputs.rows)

    def sum(self, one: Matrix, two: Matrix) -> Matrix:
        """What the neurons pass down, with roots a - one for all but q, a - two for q."""
        return self.g.multiply_elementwise(one) + self.h.multiply_elementwise(two)

    def derive(self, proof: Derivation, one: Matrix, two: Matrix) -> None:
        """Definition 3 for roots a - one, a - two."""
        slopes = gradient(self.composed, self.inputs), gradient(self.rest, self.inputs)
        names = dict(zip([*self.g, *self.h], [*slopes[0], *slopes[1]], strict=True))
        roots = [self.inputs - one, self.inputs - two] + [self.inputs - one] * (self.outputs.rows - 2)
        found = taylor_step(self.above, self.outputs, self.layer, self.inputs, roots)
        proof.equal(
            "roots a - s for p, a - t for q: R = G o s + H o t, G = grad C, H = grad(F - C)",
            found,
            self.sum(one, two).subs(names),
        )
        moved = [put(form, self.inputs, root) for form, root in zip((self.composed, self.rest), roots, strict=False)]
        proof.equal(
            "and there C(a - s) = C - G.s, (F - C)(a - t) = F - C - H.t",
            moved,
            [self.composed - (slopes[0].T * one)[0], self.rest - (slopes[1].T * two)[0]],
        )

    def exact(self, proof: Derivation, one: Matrix, two: Matrix) -> None:
        """What is left over at the roots."""
        left = [self.composed - (self.g.T * one)[0], self.rest - (self.h.T * two)[0]]
        proof.equal("C is 0 at p's root, F - C at q's: both are exact", left, [sympy.Integer(0)] * 2)


def _first(proof: Derivation, f: OnCell, outputs: Matrix, form: sympy.Expr, reached: Sequence[int]) -> None:
    """Layer 1. reached: I; the columns of all other inputs are 0."""
    x = column("x", f.weights[0].cols)
    upper = OnCell(f.weights[1:], f.biases[1:], f.masks[1:]).value(outputs)
    above = form * unit(outputs.rows, 0) + (upper - form) * unit(outputs.rows, 1)
    silent = {f.weights[0][j, i]: 0 for i in range(x.rows) if i not in reached for j in range(outputs.rows)}
    step = _Step(above, form, outputs, only(f, 1).through(x)[1][1].subs(silent), x)
    one, two = column("s", x.rows), column("t", x.rows)
    step.derive(proof, one, two)
    slopes = [*gradient(step.composed, x), *gradient(step.rest, x)]
    unreached = [slope for k, slope in enumerate(slopes) if k % x.rows not in reached]
    if unreached:
        proof.equal("outside I, G and H are 0: there the roots stay, and r is 0", unreached, [0] * len(unreached))
    first, *others = reached
    shares, target = sympy.zeros(x.rows, 1), sympy.zeros(x.rows, 1)
    for i in others:
        shares[i], target[i] = sympy.symbols(f"c{i + 1} r{i + 1}")
    shares[first] = step.composed - sum(shares)
    target[first] = step.composed + step.rest - sum(target)
    one = Matrix([c / g for c, g in zip(shares, step.g, strict=True)])
    two = Matrix([(r - c) / h for r, c, h in zip(target, shares, step.h, strict=True)])
    proof.equal("so R^1(x) = r", step.sum(one, two), target)
    step.exact(proof, one, two)


def _slopes(proof: Derivation) -> None:
    """What is divided by is not 0, and can be made large."""
    proof.part("slopes")
    not_all_covered(proof)
    proof.say(
        "So L_{l+1} = T m.(a - a_{l+1}) + c, m = (1, t, t^2, ...), has G_i = T (J_l^T m)_i != 0 for every non-zero "
        "column i of J_l, p, q and I among them, for some t; and H_i = (J_l^T grad F_{l+1})_i - G_i, which is large "
        "with T:"
    )
    h, g, steep, bound, rho, number = z3.Reals("h g T bound rho c")
    proof.valid(
        "|H| >= bound where T |g| >= bound + |h|, with H = h - T g, g > 0 (else with -T for T)",
        h - steep * g <= -bound,
        given=[steep * g >= bound + h],
    )
    proof.valid(
        "and a number c, divided by a slope >= |c|/rho, moves a coordinate by at most rho",
        z3.And(number / bound <= rho, number / bound >= -rho),
        given=[bound > 0, bound * rho >= number, bound * rho >= -number],
    )


def _admissible(proof: Derivation) -> None:
    """Why the roots are admissible, at all layers."""
    proof.part("admissible")
    proof.say(
        "Admissible. Choose the c_l and c_i, then each T_l large. At a_l, for l < n, the roots move by L_l/G_p = "
        "c_l/G_p, (C - L_l)/G_q = (c_{l+1} - c_l)/G_q and (F_l - C)/H_q = (f(x) - c_{l+1})/H_q, at layer 1 by c_i/G_i "
        "and (r_i - c_i)/H_i: numbers that are fixed, over slopes that are large. So the roots of a_l, and by "
        "continuity those of all points near it, lie in a box around a_l on which no pre-activation of f_l changes its "
        "sign and which f_l maps to where R^{l+1} = L_{l+1} e_p + (F_{l+1} - L_{l+1}) e_q: there each R^{l+1}_j o f_l "
        "is affine. They differ from a_l if c_l, c_{l+1} - c_l and f(x) - c_{l+1} are not 0. The root of layer n is on "
        "the hinge, and admissible with the gradient from a_n's side:"
    )
    for width in proof.each("width of layer n", (2, 3)):
        layer, inputs, t = only(network((width, 1)), 1), column("a", width), sympy.Symbol("t")
        z, form = layer.through(inputs)[0][0][0], affine("L", inputs)
        weights = layer.weights[0]
        step = t * (form / weights[0] * unit(width, 0) + (z - form) / weights[1] * unit(width, 1))
        proof.equal(
            "on the way to it z_n is (1 - t) z_n, positive for t < 1", put(z, inputs, inputs - step), (1 - t) * z
        )


def _on_networks(proof: Derivation) -> None:
    proof.part("networks")
    drawn = cases(COUNT) | cases(BLIND, blind=True)
    random = {name: case for name, case in drawn.items() if _conserving(case) is not None}
    proof.found(
        "how many random networks have two non-zero columns in each J_l, l >= 2, and I not empty; how many I < all "
        "inputs",
        lambda known: (len(known), sum(case.beyond is not None for case in known.values())),
        random,
        (50, 12),
        unlike=drawn,
    )
    for name in proof.each("random network where each J_l, l >= 2, has two non-zero columns", random):
        case = random[name]
        proof.found(
            "admissible roots of dtdsym.forge, by Definition 3, yield exactly r, and every layer's relevances add up "
            "to f(x)",
            lambda r, case=case: _conserved(case, r),
            _conserving(case),
            (_conserving(case), {case.network(case.x)[0]}),
            unlike=tuple(r + 1 for r in case.target),
        )


def _conserving(case: Case) -> Point | None:
    """A relevance of sum f(x) that is reached, if the hypotheses hold."""
    reached, *upper = case.columns
    if not reached or any(len(columns) < 2 for columns in upper):
        return None
    rest = case.network(case.x)[0] - sum(case.target) + case.target[reached[0]]
    return tuple(rest if i == reached[0] else r for i, r in enumerate(case.target))


def _conserved(case: Case, target: Point) -> tuple[Point, set[Fraction]] | None:
    """R(x), and the sums of R^1, ..., R^{n+1}; None where there are no such roots."""
    try:
        found = recursion(case.network, case.x, forge(case.network, case.x, target, conserving=True))
    except Unreachable:
        return None
    return tuple(found), {sum(layer) for layer in found.layers}


if __name__ == "__main__":
    main()
