"""Crossing a facet: how the gradient jumps, and which facets need no look at what is beyond them."""

from __future__ import annotations

from collections.abc import Iterator

import sympy
import z3
from sympy import Matrix

from dtdsym import arrangement, place, region
from dtdsym.network.layers import Affine
from dtdsym.network.network import Network, sequential
from machinery import Derivation, main, statement
from machinery.regions import OnCell, column, gradient, network

SHAPES = ((2, 3, 2, 1), (3, 2, 1))
SCOPE = f"all real weights and biases, every pair of patterns at once (symbolic masks), networks of widths {SHAPES}"
TWICE = sequential(([[1]], [0]), ([[1]], [0]))
ABSOLUTE = sequential(([[1], [-1]], [0, 0]), ([[1, 1]], [0]))
WAKING = sequential(([[1]], [0]), ([[1], [1]], [1, 0]), ([[1, -1]], [5]), final_relu=False)
GENERIC = sequential(([[1, 2], [-3, 1], [2, -1]], [1, 2, -1]), ([[1, -2, 1], [2, 1, -3]], [1, -1]), ([[1, 2]], [-1]))


def jump(inner: OnCell, outer: OnCell, above: OnCell) -> Matrix:
    """sum_k (d'_k - d_k) down(k) grad_C z_k as a row; masks d of `inner`, d' of `outer`, down(k) in `above`."""
    depth = len(inner.weights)
    total = sympy.zeros(1, inner.weights[0].cols)
    for layer in range(depth):
        total += terms(inner, outer, above, layer)
    return total


def terms(inner: OnCell, outer: OnCell, above: OnCell, layer: int) -> Matrix:
    """The part of the sum of one layer's neurons."""
    slopes = inner.weights[layer]
    for jacobian in reversed(inner.jacobians()[:layer]):
        slopes = slopes * jacobian
    down = sympy.eye(inner.weights[-1].rows)
    for jacobian in reversed(above.jacobians()[layer + 1 :]):
        down = down * jacobian
    return down * sympy.diag(*(outer.masks[layer] - inner.masks[layer])) * slopes


@statement(
    "regions_jump",
    "the jump of the gradient across a facet",
    place="not in the paper; with it linear regions are searched cell by cell",
    printed="grad f(C') - grad f(C) = sum_k (d'_k - d_k) down_C'(k) grad_C z_k over all neurons k, with their masks d "
    "on C and d' on C' (0 where z_k is identically 0), and the derivative down_C'(k) of f with respect to k's output "
    "on C'",
    verdict="true",
    reason="a telescoping sum over the layers; each part is a multiple of the facet's normal",
    scope=SCOPE + "; exact networks for every facet of their arrangement",
)
def regions_jump(proof: Derivation) -> None:
    for widths in proof.each("network of widths", SHAPES):
        inner, outer = network(widths, "d"), network(widths, "e")
        x = column("x", widths[0])
        last = gradient(inner.value(x), x)
        for layer in reversed(range(len(widths) - 1)):
            mixed = OnCell(inner.weights, inner.biases, (*inner.masks[:layer], *outer.masks[layer:]))
            changed = gradient(mixed.value(x), x)
            proof.equal(
                f"masks e in place of d in layer {layer + 1}, above it e already: the gradient changes by its "
                f"neurons' part",
                (changed - last).T,
                terms(inner, outer, outer, layer),
            )
            last = changed
        difference = gradient(outer.value(x), x) - gradient(inner.value(x), x)
        proof.equal("so, added up, from C to C'", difference.T, jump(inner, outer, outer))
    proof.say(
        "A neuron with other signs on C and C' is zero on their common facet, by continuity, and affine on C: there "
        "grad z_k = c_k n with n the facet's normal (c_k = 0 where z_k is identically 0 on C)."
    )
    for size in proof.each("number of inputs", (2, 3)):
        n, down, c, flip = (column(name, count) for name, count in (("n", size), ("p", 3), ("c", 3), ("s", 3)))
        parts = sum((flip[k] * down[k] * c[k] * n for k in range(3)), sympy.zeros(size, 1))
        multiple = sum(flip[k] * down[k] * c[k] for k in range(3))
        proof.equal("so the jump is a multiple of n, here of three neurons", parts, multiple * n)
    for name in proof.each("exact network", _EXACT):
        proof.found(
            f"{name}: the sum is the jump across every facet, both ways",
            lambda asked: _agrees(*asked),
            (_EXACT[name], "outer"),
            True,
            unlike=(TWICE, "inner"),
        )
    proof.say(
        "(The planted opposite there takes down(k) on C, which is wrong where neurons of two layers flip, as in [[x]].)"
    )


_EXACT = {"[[x]]": TWICE, "[[x] + [-x]]": ABSOLUTE, "[[x] + 1] - [[x]] + 5": WAKING, "widths (2, 3, 2, 1)": GENERIC}


def _agrees(asked: Network, above: str) -> bool:
    """Whether the sum is the jump across all facets of the arrangement."""
    return all(
        Matrix([differences]) == jump(inner, outer, {"outer": outer, "inner": inner}[above])
        for inner, outer, differences in _crossings(asked)
    )


def _crossings(asked: Network) -> Iterator[tuple[OnCell, OnCell, list[sympy.Rational]]]:
    """C, C' and the difference of their gradients, for all facets, both ways."""
    found = arrangement(asked)
    for facet in found.facets:
        assert facet.beyond is not None
        for pair in ((facet.cell, facet.beyond), (facet.beyond, facet.cell)):
            inner, outer = (found.cells[number] for number in pair)
            slopes = zip(outer.gradients[0], inner.gradients[0], strict=True)
            yield *(_on(asked, cell.pattern) for cell in (inner, outer)), [sympy.Rational(p - q) for p, q in slopes]


def _on(asked: Network, pattern: tuple[int, ...]) -> OnCell:
    """The exact network on one cell, in rationals; a linear last layer has masks 1."""
    layers = [node for node in asked.nodes if isinstance(node, Affine)]
    weights = [Matrix(node.weight.tolist()).applyfunc(sympy.nsimplify) for node in layers]
    biases = [Matrix(node.bias.tolist()).applyfunc(sympy.nsimplify) for node in layers]
    states, masks = [*pattern, *([1] * weights[-1].rows)], []
    for weight in weights:
        masks.append(Matrix([int(states.pop(0) > 0) for _ in range(weight.rows)]))
    return OnCell(tuple(weights), tuple(biases), tuple(masks))


@statement(
    "regions_facets",
    "which facets end a linear region",
    place="not in the paper; with it linear regions are searched cell by cell",
    printed="If exactly one neuron vanishes on a facet of the cell C, counting those identically zero on C, and its "
    "downstream derivative is not zero, the gradient beyond the facet is another one; otherwise a step across it "
    "decides",
    verdict="true",
    reason="then only that neuron's mask changes; neurons that wake, cancel or feed each other break every shortcut",
    scope=SCOPE + "; what breaks shortcuts are exact examples",
    parts=("shortcuts",),
)
def regions_facets(proof: Derivation) -> None:
    proof.say(
        "All other pre-activations are not zero inside the facet, so near it they keep their signs: d' = d for them."
    )
    for widths in proof.each("network of widths", SHAPES):
        inner, x = network(widths, "d"), column("x", widths[0])
        places = [(layer, k) for layer, size in enumerate(widths[1:]) for k in range(size)]
        for layer, k in proof.each("layer and neuron, from 0", places):
            mask = inner.masks[layer][k]
            flipped = {mask: 1 - mask}
            change = gradient(inner.value(x).subs(flipped) - inner.value(x), x)
            z = inner.through(x)[0][layer][k]
            output = sympy.Symbol("o")
            down = _downstream(inner, x, layer, k, output)
            proof.equal(
                "flipped alone, d' = 1 - d, it changes the gradient by (1 - 2d) down(k) grad z_k",
                change,
                (1 - 2 * mask) * down * gradient(z, x),
            )
            proof.equal("and down(k) does not depend on d_k", down.subs(flipped), down)
    d, down, slope = z3.Reals("d down slope")
    proof.valid(
        "which is not zero: (1 - 2d) is 1 or -1, and an entry of grad z_k is not zero",
        (1 - 2 * d) * down * slope != 0,
        given=[z3.Or(d == 0, d == 1), down != 0, slope != 0],
    )
    _shortcuts(proof)
    proof.say(
        "The search crosses all other facets by an exact infinitesimal step. It is complete, because a region is open "
        "and connected, and taking away the finitely many intersections of codimension 2 does not disconnect it (not "
        "decided here, but compared with the list of all cells of the plane):"
    )
    found = arrangement(GENERIC)
    for numbers in proof.each("region (as cells of the arrangement)", sorted(found.regions, key=len, reverse=True)):
        inside = [found.cells[number].point for number in numbers]
        outside = [cell.point for cell in found.cells if cell.number not in numbers]
        home = region(GENERIC, inside[0])
        proof.found(
            "inner points of these cells lie in the region that crossing facets finds",
            lambda points, home=home: {point in home for point in points},
            inside,
            {True},
            unlike=outside,
        )
        proof.found("which has as many cells", len, home.cells, len(inside), unlike=found.cells)


def _downstream(inner: OnCell, x: Matrix, layer: int, k: int, output: sympy.Symbol) -> sympy.Expr:
    """df/do where o stands for the output of neuron k."""
    a = inner.through(x)[1][layer + 1].copy()
    a[k] = output
    rest = OnCell(inner.weights[layer + 1 :], inner.biases[layer + 1 :], inner.masks[layer + 1 :])
    return sympy.diff(rest.value(a), output)


def _shortcuts(proof: Derivation) -> None:
    proof.part("shortcuts")
    proof.say("No shortcut: x = 1 and x~ = -1, with one hinge in between, at 0.")
    straight = sequential(([[1], [-1]], [0, 0]), ([[1, -1]], [2]))

    def name(asked: Network) -> str:
        return place(asked, (1,), (-1,)).name

    proof.found("[[x] - [-x] + 2]: two neurons flip and cancel", name, straight, "same_region_segment", unlike=ABSOLUTE)
    proof.found(
        "[[x] + [-x]]: the same two flip and do not, the third keeps its state",
        name,
        ABSOLUTE,
        "outside",
        unlike=straight,
    )
    proof.found("[[x]]: of two only the first is seen from x < 0", name, TWICE, "outside", unlike=straight)
    proof.found(
        "[[x] + 1] - [[x]] + 5: from x < 0 one neuron vanishes, with downstream derivative 1, but one that is "
        "identically zero there wakes, and the gradient does not change",
        name,
        WAKING,
        "same_region_segment",
        unlike=TWICE,
    )


if __name__ == "__main__":
    main()
