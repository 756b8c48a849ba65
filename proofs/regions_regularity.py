"""Where a ReLU network is differentiable: its local function at a point, and whether that is linear."""

from __future__ import annotations

from itertools import product

import sympy
import z3
from sympy import symbols

from dtdsym import OnHinge, place
from dtdsym.geometry.budget import Budget
from dtdsym.geometry.regularity import Regular, regularity
from dtdsym.network.network import Network, sequential
from dtdsym.network.slice import slice_at
from machinery import Derivation, main, statement
from machinery.regions import column

HERE = "not in the paper; Definition 1 speaks of gradients, which do not exist everywhere"


def state(network: Network, point: tuple[int, ...]) -> str:
    """Whether the network is differentiable at the point, and by which reason."""
    function, a = slice_at(network, point, logit=0, layer=1)
    found = regularity(function, a, Budget().start())
    return found.reason if isinstance(found, Regular) else "irregular"


def relu(z: z3.ArithRef) -> z3.ArithRef:
    """[z]+"""
    return z3.If(z > 0, z, z3.RealVal(0))


@statement(
    "regions_regular",
    "where f is differentiable",
    place=HERE,
    printed="f is differentiable at p iff its local function L_p(h) = f'(p; h) is linear, where L_p is f with each "
    "ReLU "
    "replaced by dz where z > 0 at p, by 0 where z < 0, by [dz] where z = 0, and each max by that of its tied "
    "arguments",
    verdict="true",
    reason="f(p + h) = f(p) + L_p(h) for small h, layer by layer, and L_p(s h) = s L_p(h) for s > 0",
    scope="each kind of neuron for all real numbers, hence every network, by induction over its layers",
)
def regions_regular(proof: Derivation) -> None:
    z, dz, u, v, du, dv, s = z3.Reals("z dz u v du dv s")
    proof.say(
        "Let the value below change by dz, du, dv, for h so small that no positive or negative z changes its sign."
    )
    cases = {
        "positive": ([z > 0, z + dz > 0], dz),
        "negative": ([z < 0, z + dz < 0], z3.RealVal(0)),
        "zero": ([z == 0], relu(dz)),
    }
    for name in proof.each("sign of z at p", cases):
        given, change = cases[name]
        proof.valid(f"z {name}: the change of [z]+ is that of L_p", relu(z + dz) - relu(z) == change, given=given)
    pools = {
        "u wins": ([u > v, u + du > v + dv], du),
        "a tie": ([u == v], z3.If(du >= dv, du, dv)),
    }
    for name in proof.each("max-pool of u and v at p", pools):
        given, change = pools[name]
        before, after = z3.If(u >= v, u, v), z3.If(u + du >= v + dv, u + du, v + dv)
        proof.valid(f"{name}: the change of max(u, v) is that of L_p", after - before == change, given=given)
    proof.say("Affine layers change by their linear part. So f(p + h) = f(p) + L_p(h) for all small h, by induction.")
    proof.valid("L_p is positively homogeneous, since ReLU is", relu(s * dz) == s * relu(dz), given=[s > 0])
    proof.say(
        "If L_p is linear, f is affine near p, so differentiable. If f is differentiable at p, f'(p; h) = grad f(p).h, "
        "which is linear, and it is L_p: (f(p + s h) - f(p))/s = L_p(h) for small s > 0."
    )
    tied = sequential(([[1, 0], [-1, 0], [0, 1]], [0, 0, 0]), ([[1, -1, 1]], [0]), final_relu=False)
    proof.found("[x1] - [-x1] + [x2] at (0, 1)", lambda p: state(tied, p), (0, 1), "bends cancel", unlike=(0, 0))
    deep = sequential(([[1], [-1]], [0, 0]), ([[1, 0], [0, -1]], [0, 0]), ([[1, 0]], [0]), final_relu=False)
    flat = sequential(([[1], [-1]], [0, 0]), ([[-1, -1], [0, -1]], [0, 0]), ([[1, 1]], [0]), final_relu=False)
    proof.found(
        "[-[x] - [-x]] + [-[-x]] at 0, two layers undecided: linear, by the closed list of its cones",
        lambda f: state(f, (0,)),
        flat,
        "cones",
        unlike=deep,
    )
    absolute = sequential(([[1], [-1]], [0, 0]), ([[1, 1]], [0]))
    proof.found(
        "[[x] + [-x]] at 0 bends: the certificate is two directions, with different gradients",
        lambda f: _directions(f, (0,)),
        absolute,
        [((-1,), (-1,)), ((1,), (1,))],
        unlike=sequential(([[1], [-1]], [0, 0]), ([[1, 0]], [0])),
    )


def _directions(network: Network, point: tuple[int, ...]) -> list[tuple]:
    """Two directions, scaled to 1, and the gradients there."""
    function, a = slice_at(network, point, logit=0, layer=1)
    meter = Budget().start()
    found = regularity(function, a, meter)
    assert not isinstance(found, Regular)
    pairs = zip(found.directions(meter), found.gradients, strict=True)
    return sorted((tuple(entry / max(map(abs, direction)) for entry in direction), slope) for direction, slope in pairs)


@statement(
    "regions_groups",
    "bends that cancel",
    place=HERE,
    printed="If the neurons that are 0 at p lie in one layer, with decided layers above (downstream derivatives c_k), "
    "and "
    "their forms are grouped by hyperplane, u_k = lambda_k n, then f is differentiable at p iff every group has "
    "sum c_k |lambda_k| = 0",
    verdict="true",
    reason="across n the gradient jumps by (sum c_k |lambda_k|) n, and hyperplanes bend independently of each other",
    scope="all real c and lambda, every sign pattern of up to three neurons in a group; three hyperplanes in 2 and 3 "
    "dimensions",
)
def regions_groups(proof: Derivation) -> None:
    c, size = symbols("c1:4"), symbols("l1:4")
    s = sympy.Symbol("s")
    proof.say("One group: L_p(h) = sum_k c_k [lambda_k s], s = n.h, with lambda_k = sigma_k l_k, l_k = |lambda_k| > 0.")
    for sigma in proof.each("signs sigma", product((1, -1), repeat=3)):
        right = sum(ck * (lk * s if sign > 0 else 0) for ck, lk, sign in zip(c, size, sigma, strict=True))
        left = sum(ck * (0 if sign > 0 else -lk * s) for ck, lk, sign in zip(c, size, sigma, strict=True))
        total = sum(ck * lk for ck, lk in zip(c, size, strict=True))
        proof.equal(
            "the slope for s > 0 less that for s < 0 is sum c_k |lambda_k|",
            sympy.diff(right, s) - sympy.diff(left, s),
            total,
        )
    proof.say(
        "Several groups, S_i = sum c_k |lambda_k| of group i: take h on hyperplane 1 and on no other one (no two are "
        "parallel), and e so small that h +- e n_1 stays on the same side, tau_i = 1 or 0, of the others. Group i is "
        "alpha_i n_i.h, and besides S_i n_i.h where n_i.h > 0 (alpha_i: its slope on the negative side)."
    )
    for dimension in proof.each("number of inputs", (2, 3)):
        e, h = sympy.Symbol("e"), column("h", dimension)
        normals = [column(f"n{i}_", dimension) for i in (1, 2, 3)]
        groups = list(zip(normals, symbols("alpha1:4"), symbols("S1:4"), strict=True))
        others = symbols("tau2:4")
        on_first = {h[0]: -sum(normals[0][i] * h[i] for i in range(1, dimension)) / normals[0][0]}

        step = e * normals[0]
        proof.equal(
            "L_p(h + e n_1) + L_p(h - e n_1) - 2 L_p(h) = e S_1 |n_1|^2, which is 0 for a linear L_p: so S_1 = 0",
            (
                _local(groups, (1, *others), h + step)
                + _local(groups, (0, *others), h - step)
                - 2 * _local(groups, (0, *others), h)
            ).subs(on_first),
            e * groups[0][2] * (normals[0].T * normals[0])[0],
        )
    proof.say("So all S_i = 0 if L_p is linear; and if all are 0, L_p(h) = sum_i alpha_i n_i.h, which is linear.")
    weights = {"cancel": (1, -1), "do not": (1, -2)}

    def bends(name: str) -> str:
        network = sequential(
            ([[1, 0], [-2, 0]], [0, 0]), ([[2 * weights[name][0], weights[name][1]]], [0]), final_relu=False
        )
        return state(network, (0, 1))

    proof.found("2 [x1] - [-2 x1] at (0, 1)", bends, "cancel", "bends cancel", unlike="do not")


def _local(groups: list[tuple], states: tuple, h: sympy.Matrix) -> sympy.Expr:
    """L_p(h) for groups (normal, alpha, S), on the positive (1) or negative (0) side of each."""
    return sum((alpha + bend * on) * (n.T * h)[0] for (n, alpha, bend), on in zip(groups, states, strict=True))


@statement(
    "regions_layer_input",
    "the relevance of a layer's input",
    place=HERE,
    printed="f = F_l o f_{l-1} o ... o f_1 may be differentiable at x while F_l is not at the layer's input a_l; then "
    "N_{F_l}(a_l) does not exist",
    verdict="true",
    reason="f_1 = (x + 1, x + 1), F_2 = [a1 - a2]: f is 0 everywhere, a_2 = (1, 1) lies on the hinge of F_2",
    scope="an exact example, and its opposite",
)
def regions_layer_input(proof: Derivation) -> None:
    twins = sequential(([[1], [1]], [1, 1]), ([[1, -1]], [0]))
    apart = sequential(([[1], [1]], [2, 1]), ([[1, -1]], [0]))
    a, b, x = symbols("a b x")
    proof.equal("F_2's pre-activation at f_1(x), for x > -1", (a - b).subs({a: x + 1, b: x + 1}), sympy.Integer(0))
    proof.found("f is differentiable at 0", lambda f: regular(f, 1), twins, True, unlike=sequential(([[1]], [0])))
    proof.found("F_2 is not differentiable at a_2 = (1, 1)", lambda f: regular(f, 2), twins, False, unlike=apart)


def regular(network: Network, layer: int) -> bool:
    """Whether a point can be placed relative to N_{F_l}(a_l) for the input 0."""
    size = network.layer(layer).width
    try:
        return bool(place(network, (0,), [3] * size, layer=layer))
    except OnHinge:
        return False


if __name__ == "__main__":
    main()
