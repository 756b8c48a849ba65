"""Heat-maps forged with constant roots alone, up to their scale."""

from __future__ import annotations

import sympy
from sympy import Matrix

from dtdsym import Unreachable, forge_normalised, recursion
from machinery import Derivation, main, statement
from machinery.forged_cases import Case, Point, cases
from machinery.forging import taylor_step
from machinery.regions import OnCell, column, gradient, network, only

COUNT = 60
SHAPES = ((2, 3, 2, 1), (3, 2, 2, 1), (2, 3, 1), (3, 2, 1))


@statement(
    "forgery_normalised",
    "heat-maps forged with constant roots",
    place="not in the paper; Proposition 2 gives grad f o (x - x~) for constant roots",
    printed="With constant roots alone, every heat-map r supported on grad f is reached up to a positive factor eps, "
    "by x~ = x - eps r/grad f",
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
