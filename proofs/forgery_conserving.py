"""Forged explanations that conserve relevance, with exact roots; and forged up to scale, with constant roots."""

from __future__ import annotations

from fractions import Fraction

import sympy
from sympy import Matrix

from dtdsym import Unreachable, forge, forge_normalised, recursion
from machinery import Derivation, main, statement
from machinery.forged_cases import Case, Point, cases
from machinery.forging import affine, taylor_step, unit
from machinery.regions import OnCell, column, gradient, network, only, put

COUNT = 60
SHAPES = ((2, 3, 2, 1), (3, 2, 2, 1), (2, 3, 1), (3, 2, 1))


@statement(
    "forgery_conserving",
    "forged explanations that conserve relevance",
    place="not in the paper; Section 3.2 wants the output to be redistributed in full",
    printed="If each J_l, l = 2..n, has two non-zero columns, every r with supp r in I and sum r = f_xi(x) is reached "
    "by "
    "admissible exact roots (R^{l+1}_j is 0 at the root of neuron j), so that the sum of R^l is f_xi(x) at every layer",
    verdict="true",
    reason="R^l = L_l e_p + (F_l - L_l) e_q with an affine, steep L_l; layer l < n has a root for neuron p and one "
    "for q",
    scope=f"the construction for all real weights of widths {SHAPES} in every pattern with a positive logit; "
    f"admissible "
    "on random exact networks of 2 to 4 layers",
)
def forgery_conserving(proof: Derivation) -> None:
    proof.say(
        "p = 1 and q = 2 at every layer, the names of neurons being free; L_l any affine form, G the gradient of "
        "C = L_{l+1} o f_l. The logit's mask is 1. Roots at layer n: a - (L_n/w_p) e_p - ((F_n - L_n)/w_q) e_q; at "
        "layer "
        "l: for p, a - (L_l/G_p) e_p - ((C - L_l)/G_q) e_q; for q, a - ((F_l - C)/H_q) e_q. Slopes that "
        "are "
        "divided by are not zero: G is steep in p and q, where J_l has non-zero columns. Write H = grad(F_l - C)."
    )
    for widths in proof.each("network of widths", SHAPES):
        f = network(widths)
        f = OnCell(f.weights, f.biases, (*f.masks[:-1], Matrix([sympy.Integer(1)])))
        inputs, form = _hidden(proof, f, widths)
        _first(proof, f, inputs, form)
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


def _first(proof: Derivation, f: OnCell, outputs: Matrix, form: sympy.Expr) -> None:
    x = column("x", f.weights[0].cols)
    upper = OnCell(f.weights[1:], f.biases[1:], f.masks[1:]).value(outputs)
    above = form * unit(outputs.rows, 0) + (upper - form) * unit(outputs.rows, 1)
    step = _Step(above, form, outputs, only(f, 1).through(x)[1][1], x)
    one, two = column("s", x.rows), column("t", x.rows)
    proof.say("Layer 1, sum r = f(x): for p, x - c/G with any c of sum L_2(a_2) = C(x); for q, x - (r - c)/H.")
    step.derive(proof, one, two)
    others = Matrix([sympy.Symbol(f"c{i + 1}") for i in range(1, x.rows)])
    shares = Matrix([step.composed - sum(others), *others])
    others = Matrix([sympy.Symbol(f"r{i + 1}") for i in range(1, x.rows)])
    target = Matrix([step.composed + step.rest - sum(others), *others])
    one = Matrix([c / g for c, g in zip(shares, step.g, strict=True)])
    two = Matrix([(r - c) / h for r, c, h in zip(target, shares, step.h, strict=True)])
    proof.equal("so R^1(x) = r", step.sum(one, two), target)
    step.exact(proof, one, two)


def _on_networks(proof: Derivation) -> None:
    random = {name: case for name, case in cases(COUNT).items() if _conserving(case) is not None}
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
    if case.beyond is not None or any(len(columns) < 2 for columns in case.columns[1:]):
        return None
    return (case.network(case.x)[0] - sum(case.target[1:]), *case.target[1:])


def _conserved(case: Case, target: Point) -> tuple[Point, set[Fraction]] | None:
    """R(x), and the sums of R^1, ..., R^{n+1}; None where there are no such roots."""
    try:
        found = recursion(case.network, case.x, forge(case.network, case.x, target, conserving=True))
    except Unreachable:
        return None
    return tuple(found), {sum(layer) for layer in found.layers}


@statement(
    "forgery_normalised",
    "heat-maps forged with constant roots",
    place="not in the paper; Proposition 2 gives grad f o (x - x~) for constant roots",
    printed="With constant roots alone, every heat-map r supported on grad f is reached up to a positive factor eps, "
    "by "
    "x~ = x - eps r/grad f",
    verdict="true",
    reason="R^1 = grad f o (x - x~) = eps r, and a small eps keeps x~ in the cell of x",
    scope=f"all real weights of widths {SHAPES} in every pattern (symbolic masks), constant roots; random exact "
    f"networks",
)
def forgery_normalised(proof: Derivation) -> None:
    proof.say("Constant roots c_l at the layers above, near a_l, so that the masks at them are those at a_l.")
    for widths in proof.each("network of widths", SHAPES):
        f, depth = network(widths), len(widths) - 1
        above, outputs = column("o", 1), column("o", 1)
        for number in range(depth, 1, -1):
            inputs = column(f"a{number}_", widths[number - 1])
            layer, root = only(f, number).through(inputs)[1][1], column(f"c{number}_", widths[number - 1])
            above = taylor_step(above, outputs, layer, inputs, [root] * outputs.rows)
            upper = OnCell(f.weights[number - 1 :], f.biases[number - 1 :], f.masks[number - 1 :])
            slope = gradient(upper.value(inputs), inputs)
            proof.equal(
                f"R^{number} = grad F_{number} o (a_{number} - c_{number})",
                above,
                slope.multiply_elementwise(inputs - root),
            )
            outputs = inputs
        x, target, eps = column("x", widths[0]), column("r", widths[0]), sympy.Symbol("eps")
        slope = gradient(f.value(x), x)
        root = x - eps * Matrix([r / g for r, g in zip(target, slope, strict=True)])
        found = taylor_step(above, outputs, only(f, 1).through(x)[1][1], x, [root] * outputs.rows)
        proof.equal("R^1 = eps r", found, eps * target)
    random = {name: case for name, case in cases(COUNT).items() if any(case.target) and _shown(case, case.target)}
    for name in proof.each("random network with r supported on grad f", random):
        case = random[name]
        proof.found(
            "admissible constant roots of dtdsym.forge_normalised yield a positive multiple of r",
            lambda r, case=case: _proportional(_shown(case, r), case.target),
            case.target,
            True,
            unlike=tuple(-r for r in case.target),
        )


def _shown(case: Case, target: Point) -> Point | None:
    """R(x) of the constant roots, admissible by proof; None where r is not supported on the gradient."""
    try:
        forged = forge_normalised(case.network, case.x, target)
    except Unreachable:
        return None
    return tuple(recursion(case.network, case.x, forged)) if all(root.constant for root in forged) else None


def _proportional(found: Point | None, target: Point) -> bool:
    """Whether found = s target with s > 0."""
    if found is None:
        return False
    scales = {p / r for p, r in zip(found, target, strict=True) if r}
    return len(scales) == 1 and min(scales) > 0 and all(r or not p for p, r in zip(found, target, strict=True))


if __name__ == "__main__":
    main()
