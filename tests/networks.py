"""Networks with known verdicts: one table of examples that feeds every test."""

from __future__ import annotations

from typing import NamedTuple

from dtdsym.network.network import sequential


class Example(NamedTuple):
    """layers: (weight, bias) pairs; x, other: points; place: where `other` lies relative to N_f(x)."""

    layers: list
    final_relu: bool
    x: tuple
    other: tuple
    place: str

    @property
    def network(self):
        return sequential(*self.layers, final_relu=self.final_relu)


SEPARATIONS = {
    "equal gradient, other component: [1 - [x]]": Example(
        [([[1]], [0]), ([[-1]], [1])], True, (-1,), (2,), "same_gradient_elsewhere"
    ),
    "the same with gradient 1: [2 - [-x] + [x-1]]": Example(
        [([[-1], [1]], [0, -1]), ([[-1, 1]], [2])], True, (-1,), (2,), "same_gradient_elsewhere"
    ),
    "same component, other pattern: [[x] - [-x] + 2]": Example(
        [([[1], [-1]], [0, 0]), ([[1, -1]], [2])], True, (1,), (-1,), "same_region_segment"
    ),
    "same component, segment leaves it: [[x1] - [x1-x2]]": Example(
        [([[1, 0], [1, -1]], [0, 0]), ([[1, -1]], [0])], True, (3, -1), (-1, 2), "same_region"
    ),
    "closure only, on the hinge: [x]": Example([([[1]], [0])], True, (1,), (0,), "boundary"),
    "closure only, through a cell not adjacent to x: [[x1] - [x1-x2]]": Example(
        [([[1, 0], [1, -1]], [0, 0]), ([[1, -1]], [0])], True, (3, -1), (0, 5), "boundary"
    ),
    "on its hinge, not even in the closure: [x1] + [x2-1]": Example(
        [([[1, 0], [0, 1]], [0, -1]), ([[1, 1]], [0])], False, (1, 2), (0, 0), "outside"
    ),
    "gradient 0 at depth 2 with f > 0: [4[2x-1] - 8[x-1] - 1]": Example(
        [([[2], [1]], [-1, -1]), ([[4, -8]], [-1])], True, (2,), (3,), "same_cell"
    ),
    "opposite pair feeding a neuron: [[x] + [-x]]": Example(
        [([[1], [-1]], [0, 0]), ([[1, 1]], [0])], True, (1,), (-1,), "outside"
    ),
    "a ReLU of a ReLU: [[x]]": Example([([[1]], [0]), ([[1]], [0])], True, (1,), (-1,), "outside"),
    "a dead duplicate: [x] with a neuron that is always zero": Example(
        [([[1], [0]], [0, 0]), ([[1, 1]], [0])], True, (1,), (2,), "same_cell"
    ),
}
"""The first seven rows are the table of what separates one place from the next; no arrow reverses."""

EVIDENCE = {
    "two steps to the boundary": Example(
        [([[-1, -1], [0, -1]], [1, -1]), ([[-1, 0.5]], [0])], True, (1, 1.5), (2.5, -2), "boundary"
    ),
    "two steps within the region": Example(
        [([[-1, 1], [0, 1], [1, 1]], [0, 1, 0]), ([[1, 0.5, -1]], [0])], True, (1, 0.5), (0, -3), "same_region"
    ),
    "cones on the way, with walls that are no facets": Example(
        [
            ([[0, 1], [0.5, 0], [-1, 1]], [0, 0, 1]),
            ([[0.5, 0.5, -1], [-1, -1, 1], [0, -1, 1]], [-1, -1, 0]),
            ([[-1, 1, -1]], [0]),
        ],
        True, (-1, -0.5), (2, -2), "same_region_segment",
    ),
    "cones at the input, with walls that are no facets": Example(
        [([[0, 1], [0.5, -1], [1, 1]], [-1, -1, 1]), ([[1, -1, -1]], [0])], True, (0, -1), (2, 2), "same_region_segment"
    ),
    "apart, by a list from the point": Example(
        [
            ([[0, 0.5], [0, -1], [-1, 1], [-1, -1]], [0, 0.5, 0, 1]),
            ([[0, -1, -1, 1], [1, 0.5, -1, -1], [0.5, 0.5, -1, 0.5]], [1, -1, 1]),
            ([[-1, 0, 0]], [0.5]),
        ],
        False, (0, 1.5), (2.5, 1), "same_gradient_elsewhere",
    ),
    "apart, by a list from the input with walls that are no facets": Example(
        [
            ([[-1, 0], [-1, 0], [1, -1], [-1, 0]], [0, -1, -1, 0]),
            ([[0, 0, 0, -1], [0.5, 1, 1, 0.5]], [0, -1]),
            ([[1, -1]], [1]),
        ],
        True, (-0.5, 0), (1.5, -2), "same_gradient_elsewhere",
    ),
    "apart, with cones at the point": Example(
        [
            ([[-1, -1], [0.5, 0.5], [1, -1]], [0, 0, 0]),
            ([[0, -1, -1], [1, -1, -1], [-1, -1, -1], [-1, -1, 0]], [0, 0, -1, 0]),
            ([[-1, -1, 1, 1]], [0.5]),
        ],
        True, (-1.5, 0), (3, -3), "same_gradient_elsewhere",
    ),
    "a hinge whose cones all have other gradients": Example(
        [
            ([[1, -1], [0.5, 0], [-1, 0]], [1, -1, 0]),
            ([[0.5, 1, 1], [0.5, 1, 1], [-1, -1, 0], [0, 0, 0.5]], [0, -1, 0, 0]),
            ([[0, 1, 0, 0.5]], [1]),
        ],
        True, (-1.5, 1), (2, 3), "outside",
    ),
    "a hinge that no cell of the region reaches": Example(
        [
            ([[-1, 0], [-1, -1], [0.5, 1], [1, -1]], [-1, 1, 0, 1]),
            ([[-1, 0.5, -1, 0.5], [1, 0.5, -1, 0.5], [0, 1, -1, 1], [1, 1, 0, 1]], [0, 1, 1, 0]),
            ([[0.5, 0, 1, 1]], [0]),
        ],
        True, (-1.5, 0), (-2, 2.5), "outside",
    ),
    "the boundary at the end of a segment through cones": Example(
        [([[-1, 0.5], [0.5, -1], [1, 1]], [0, 0, 0.5]), ([[1, -1, 0]], [0])], True, (1, 0), (0.5, 1), "boundary"
    ),
    "the input itself": Example(
        [([[1, -1], [1, 1]], [0, 0.5]), ([[0, 0]], [0])], True, (0.5, 0.5), (0.5, 0.5), "degenerate"
    ),
}  # fmt: skip
"""Networks whose places take every kind of evidence."""
