"""Proposition 1: regions of relevance functions against those of the network."""

from __future__ import annotations

from fractions import Fraction

import sympy
import z3

import dtdsym
from dtdsym import affine_root, constant_root, recursion
from dtdsym.network.network import sequential
from machinery import Derivation, main, statement
from machinery.definition3 import (
    Layer,
    Vector,
    affine_roots,
    base_case,
    column,
    constant_roots,
    gradient,
    network,
    recursive_step,
    slopes,
    vector,
)

SUM = sequential(([[1, 0], [0, 1]], [0, 0]), ([[1, 1]], [0]))
"""f = [[x1] + [x2]]."""
SHIFTED = sequential(([[1]], [0]), ([[1]], [1]))
"""f = [[x] + 1]."""
BLIND = sequential(([[1, 0]], [0]))
"""f = [x1], of two inputs."""
HALF = Fraction(1, 2)
SHAPES = [(2, 3), (3, 2), (1, 3)]


def relu(z: z3.ArithRef) -> z3.ArithRef:
    """[z]+."""
    return z3.If(z > 0, z, z3.RealVal(0))


def one_neuron(proof: Derivation) -> None:
    """f = [[x1] + [x2]]: one neuron's relevance does not see the other neuron's hinge."""
    proof.part("one_neuron")
    proof.say(
        "f(x) = [[x1]+ + [x2]+]+, x = (1, 1), constant root a~_2 = (1/4, 1/8). Where a_2 = f_1(x) != 0, f_2 = a1 + a2 "
        "and the root is admissible and != a_2 near x and near x' = (1/2, -1). So R^2_1(a) = a1 - 1/4, R^2_1(f_1(x)) = "
        "[x1]+ - 1/4."
    )
    x1, t = z3.Reals("x1 t")
    proof.valid(
        "wherever x1 > 0, whatever x2 is, R^2_1 o f_1 = x1 - 1/4: one gradient, (1, 0)",
        relu(x1) - z3.Q(1, 4) == x1 - z3.Q(1, 4),
        given=[x1 >= 0],
    )
    proof.valid("and x1 > 0 on the whole segment from x to x'", 1 - t / 2 > 0, given=[t <= 1])
    proof.say("So x' lies in N(x) of R^2_1 o f_1. But f has gradient (1, 1) at x and (1, 0) at x':")
    here, there = [
        [sympy.diff(m1 * a + m2 * b, v) for v in (a, b)]
        for (a, b) in [sympy.symbols("x1 x2")]
        for m1, m2 in ((1, 1), (1, 0))
    ]
    proof.counterexample("grad f at x' if x' were in N_f(x), and grad f(x')", here, there, values=((1, 1), (1, 0)))

    def place(point: tuple) -> str:
        return dtdsym.place(SUM, (1, 1), point).name

    def admissible(first: tuple) -> str:
        roots = [[constant_root(first), constant_root([HALF, HALF])], constant_root([Fraction(1, 4), Fraction(1, 8)])]
        return recursion(SUM, (1, 1), roots, check=False).admissible[0][0].name

    proof.found("the place of x' relative to N_f(x), by dtdsym", place, (HALF, -1), "outside", unlike=(HALF, HALF))
    proof.found("x' as the root of neuron 1, by dtdsym", admissible, (HALF, -1), "admissible", unlike=(-HALF, 1))


def literal(proof: Derivation) -> None:
    """f = [x1]: the region of R^1 itself, as printed."""
    proof.part("literal")
    proof.say(
        "Printed, the region is that of R^l. One neuron is enough: f(x1, x2) = [x1]+, x = (1, 1), root a~(x) = (x1, x2 "
        "+ 1), which has x's x1 and so lies in N_f(x). With a mask m for the neuron, 1 or 0:"
    )
    (m,), x = vector("m", 1), vector("x", 2)
    layer = Layer(sympy.Matrix([[1, 0]]), (sympy.Integer(0),), (m,))
    value = recursive_step(base_case(1), layer, lambda j, a: (a[0], a[1] + 1))(x)
    proof.equal("R^1 = (0, 0), whatever x and m are", value, (sympy.Integer(0),) * 2)
    proof.say(
        "So N of R^1_1, and of R^1_2, is the whole plane, and holds x' = (-1, 1). But f has another gradient there:"
    )
    proof.counterexample("grad f at x' if x' were in N_f(x), and grad f(x')", *_slopes_of_x1(), values=((1, 0), (0, 0)))

    def place(point: tuple) -> str:
        return dtdsym.place(BLIND, (1, 1), point).name

    def relevances(root: tuple) -> set:
        step = affine_root([[1, 0], [0, 1]], root)
        return {tuple(recursion(BLIND, at, [step], check=False)) for at in ((1, 1), (-1, 1), (-2, 3))}

    proof.found("the place of x' relative to N_f(x), by dtdsym", place, (-1, 1), "outside", unlike=(2, 1))
    proof.found("R^1 at (1, 1), (-1, 1) and (-2, 3), by dtdsym", relevances, (0, 1), {(0, 0)}, unlike=(1, 1))


def _slopes_of_x1() -> tuple[list, list]:
    """grad [x1] at (1, 1) and at (-1, 1)."""
    (m,), x = vector("m", 1), vector("x", 2)
    slope = gradient(m * x[0], x)
    return tuple([entry.subs(m, mask) for entry in slope] for mask in (1, 0))


def all_neurons(proof: Derivation) -> None:
    """f = [[x] + 1]: even the points admissible for every neuron leave N_f."""
    proof.part("all_neurons")
    proof.say(
        "Asking all j at once does not help. f(x) = [[x]+ + 1]+, x = 1, one hidden neuron, a~_2(a) = a - 1/8: "
        "admissible for every a >= 0, since f_2(a) = a + 1 near both. R^2(a) = 1 (a - a~_2(a)) = 1/8 is constant, so "
        "its region, and that of R^2 o f_1 and of R^1 = 0, is the whole line; f has slope 1 at x = 1 and slope 0 at x' "
        "= -1."
    )
    a = z3.Real("a")
    proof.valid(
        "a + 1 >= 1 and (a - 1/8) + 1 >= 7/8 for a >= 0: both active",
        z3.And(a + 1 >= 1, a - z3.Q(1, 8) + 1 >= z3.Q(7, 8)),
        given=[a >= 0],
    )
    (x,) = vector("x", 1)
    top = Layer(sympy.ones(1), (sympy.Integer(1),), (sympy.Integer(1),))
    relevance_2 = recursive_step(base_case(1), top, lambda j, a: (a[0] - sympy.Rational(1, 8),))
    proof.equal("R^2(a), by Definition 3", relevance_2((x,))[0], sympy.Rational(1, 8))
    proof.counterexample(
        "f'(-1) if -1 were in N_f(1), and f'(-1)", sympy.diff(x + 1, x), sympy.diff(0 * x + 1, x), values=(1, 0)
    )

    def place(point: int) -> str:
        return dtdsym.place(SHIFTED, (1,), (point,)).name

    def relevance(at: int, step: Fraction) -> Fraction:
        layer_2 = affine_root([[1]], [-step])
        return recursion(SHIFTED, (at,), [constant_root([3]), layer_2], check=False).layers[1][0]

    proof.found("the place of -1, by dtdsym", place, -1, "outside", unlike=2)
    proof.found(
        "R^2(f_1(x)) at x = 1, x = -1 and x = -3, by dtdsym",
        lambda step: {relevance(at, step) for at in (1, -1, -3)},
        Fraction(1, 8),
        {Fraction(1, 8)},
        unlike=Fraction(1, 4),
    )


def corrected(proof: Derivation) -> None:
    """Sums: what holds when the residuals stay."""
    proof.part("corrected")
    proof.say(
        "Corrected. Let S_l = sum_i R^l_i, F_l = f_xi as a function of a_l, and let the residual rho_l(a) = sum_j "
        "R^{l+1}_j(f_l(a~^(j)(a))) be locally constant at every point that is met, for all layers above. Then grad "
        "S_{l+1} = grad F_{l+1} implies grad S_l = grad F_l, and sum_j grad(R^{l+1}_j o f_l) = grad F_l."
    )
    for wide, size in proof.each("d_l and d_{l+1}", SHAPES):
        layer, a, h = network(wide, size)[0], vector("a", wide), vector("h", size)
        slope = sympy.Matrix(size, size, lambda i, k: sympy.Symbol(f"p{i + 1}{k + 1}"))
        offset = column(vector("q", size))

        def upper(at: Vector, slope: sympy.Matrix = slope, offset: sympy.Matrix = offset) -> sympy.Matrix:
            return slope * column(at) + offset

        own = slopes(tuple(upper(layer(a))), a)
        roots = affine_roots(1, wide)
        total, residual = sympy.Integer(0), sympy.Integer(0)
        for j in range(size):
            root = roots(j, a)
            total += sympy.Add(*(own[j, i] * (a[i] - root[i]) for i in range(wide)))
            residual += upper(layer(root))[j]
        proof.equal(
            "conservation: S_l(a) = S_{l+1}(f_l(a)) - rho_l(a), for R^{l+1}_j(h) = p_j . h + q_j on the region, any "
            "roots",
            total,
            sympy.Add(*upper(layer(a))) - residual,
        )
        summed = gradient(sympy.Add(*upper(h)), h)
        proof.equal(
            "sum_j grad(R^{l+1}_j o f_l) = J_l^T grad S_{l+1}, which is J_l^T grad F_{l+1} = grad F_l",
            own.T * column([1] * size),
            layer.jacobian.T * summed,
        )
        still = sympy.Integer(0)
        for j in range(size):
            still += upper(layer(constant_roots(1, wide)(j, a)))[j]
        proof.equal("constant roots: grad rho_l = 0", gradient(still, a), sympy.zeros(wide, 1))
    for wide in proof.each("d_l", (1, 2, 3)):
        a, slope, direction = vector("a", wide), column(vector("s", wide)), column(vector("v", wide))
        value = (slope.T * column(a))[0] + sympy.Symbol("c")
        root = column(a) - value / (slope.T * direction)[0] * direction
        proof.equal(
            "exact roots, along any v: s . a~ + c = 0 for R^{l+1}_j o f_l = s . a + c, so rho_l = 0",
            (slope.T * root)[0] + sympy.Symbol("c"),
            sympy.Integer(0),
        )
    proof.say(
        "S_{n+1} = a_xi = F_{n+1}. So by induction S_l = S_{l+1} o f_l - rho_l = F_l + a constant, near every a that "
        "is met, on f_l's hinges too: f_l is continuous, so f_l(a') is near f_l(a) where a' is near a. Let all "
        "R^{l+1}_j o f_l be differentiable at a, with the gradients they have at a_l. Their sum S_{l+1} o f_l is F_l + "
        "a constant there, so F_l is differentiable at a (no chain rule is needed, which would fail on a hinge), with "
        "the sum of these gradients, grad F_l(a_l). A path of such points is a path in {grad F_l = grad F_l(a_l)}: the "
        "component of such points that holds a_l lies in N_{F_l}(a_l). In the first example the points admissible for "
        "both neurons are those with x1 > 0 and x2 > 0, and that is N_f(x)."
    )
    x1, x2 = z3.Reals("x1 x2")
    proof.valid("there f = x1 + x2", relu(relu(x1) + relu(x2)) == x1 + x2, given=[x1 >= 0, x2 >= 0])


def shrunk(proof: Derivation) -> None:
    """The set of admissible roots may be one point."""
    proof.part("shrunk")
    proof.say(
        "The set can also shrink to the input alone, which Definition 3 forbids as a root. z+ in layer 2, f_2(a) = [a1 "
        "+ a2 - b]+, a >= 0, hinge root a - ((a1 + a2 - b)/(a1 + a2)) a: R^2_1(a) = a1 (a1 + a2 - b)/(a1 + a2)."
    )
    a1, a2, b = sympy.symbols("a1 a2 b")
    t = (a1 + a2 - b) / (a1 + a2)
    value = 1 * (a1 - (a1 - t * a1))
    proof.equal("R^2_1(a)", value, a1 * (a1 + a2 - b) / (a1 + a2))
    slope = [sympy.diff(value, a) for a in (a1, a2)]
    u, v = (1 - slope[0]) / b, slope[1] / b
    proof.say(
        "With p, q = grad R^2_1(a), u = (1 - p)/b, v = q/b give a back, so no two points share a gradient (b != 0):"
    )
    proof.equal("(v, u)/(u + v)^2 = (a1, a2)", [v / (u + v) ** 2, u / (u + v) ** 2], [a1, a2])


@statement(
    "prop1",
    "regions of relevance functions lie in those of the network",
    place="Section 4.1, Proposition 1",
    printed="N_{R^l}(a_l) subseteq N_{f_{n_xi} o ... o f_1}(a_l)",
    verdict="corrected",
    reason="false for f = [x1] with the root (x1, x2 + 1), where R^1 = 0 everywhere; for one neuron, f = [[x1]+[x2]] "
    "with the root (1/4, 1/8), and for all neurons at once, f = [[x]+1] with the root a - 1/8; the composition must "
    "end with f_l",
    corrected="if the residuals sum_j R^{m+1}_j(f_m(a~^(j))) are locally constant at f_{m-1} o ... o f_l(a) for every "
    "a met and m > l (constant or exact roots above), the component of {all grad(R^{l+1}_j o f_l) as at a_l} that "
    "holds a_l lies in N_{F_l}(a_l), F_l = (f_n o ... o f_l)_xi",
    scope="counterexamples with 1 to 3 neurons; the corrected statement for all n by induction, its step for all "
    "weights, biases, patterns, affine relevances and roots of three shapes",
    parts=("one_neuron", "literal", "all_neurons", "corrected", "shrunk"),
)
def prop1(proof: Derivation) -> None:
    layers = network(3, 2, 1)
    proof.ill_typed(
        "N of f_n o ... o f_1 at a_l, l = 2: f_1's weights (2 x 3) at a point of layer 2 (2)",
        "(2, 3) * (2, 1)",
        lambda: layers[0].weight * column(vector("a", 2)),
        lambda: layers[1].weight * column(vector("a", 2)),
    )
    one_neuron(proof)
    literal(proof)
    all_neurons(proof)
    corrected(proof)
    shrunk(proof)


if __name__ == "__main__":
    main()
