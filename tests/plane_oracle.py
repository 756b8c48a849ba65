"""A slow oracle for places in the plane, over Fractions, that shares no code and no idea with dtdsym.

It draws every line on which any neuron's pre-activation vanishes in any cell, in full, and looks at all faces and
edges of that arrangement: the network is affine on each face.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

Layers = list[tuple[list[list[Fraction]], list[Fraction]]]
Point = tuple[Fraction, Fraction]
Line = tuple[Fraction, Fraction, Fraction]


def exact(layers) -> Layers:
    """Numbers to Fractions."""
    return [([[Fraction(w) for w in row] for row in weight], [Fraction(b) for b in bias]) for weight, bias in layers]


def forms(layers: Layers, point: Point, final_relu: bool) -> tuple[list[list[Line]], Line]:
    """Affine forms (a, b, c) of every neuron, layer by layer, and of the output, with the masks found at `point`."""
    inputs: list[Line] = [(Fraction(1), Fraction(0), Fraction(0)), (Fraction(0), Fraction(1), Fraction(0))]
    neurons = []
    for number, (weight, bias) in enumerate(layers, start=1):
        rows = []
        for w, b in zip(weight, bias, strict=True):
            form = [sum(wi * form[k] for wi, form in zip(w, inputs, strict=True)) for k in range(3)]
            rows.append((form[0], form[1], form[2] + b))
        if number < len(layers) or final_relu:
            neurons.append(rows)
            inputs = [row if at(row, point) > 0 else (Fraction(0),) * 3 for row in rows]
        else:
            inputs = rows
    return neurons, inputs[0]


def at(form: Line, point: Point) -> Fraction:
    return form[0] * point[0] + form[1] * point[1] + form[2]


def normalised(form: Line) -> Line:
    lead = form[0] if form[0] != 0 else form[1]
    return (form[0] / lead, form[1] / lead, form[2] / lead)


class Plane:
    """Faces (by sign vector over all lines), one sample point each, and the pairs that share an edge."""

    def __init__(self, layers, final_relu: bool = True):
        self.layers, self.final_relu = exact(layers), final_relu
        self.lines: list[Line] = []
        while True:
            self._arrange()
            new = {
                normalised(form)
                for sample in self.samples.values()
                for row in forms(self.layers, sample, final_relu)[0]
                for form in row
                if form[:2] != (0, 0)
            } - set(self.lines)
            if not new:
                break
            self.lines += sorted(new)
        self.gradients = {face: forms(self.layers, sample, final_relu)[1][:2] for face, sample in self.samples.items()}

    def _arrange(self) -> None:
        self.samples: dict[tuple[int, ...], Point] = {}
        self.edges: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
        if not self.lines:
            self.samples[()] = (Fraction(0), Fraction(0))
        for a, b, c in self.lines:
            start = (-c / (a * a + b * b) * a, -c / (a * a + b * b) * b)
            for t in self._between(self._meets(start, (-b, a))):
                point = (start[0] - t * b, start[1] + t * a)
                sides = [self._beside(point, (sign * a, sign * b)) for sign in (1, -1)]
                for side in sides:
                    self.samples.setdefault(self.signs(side), side)
                self.edges.append((self.signs(sides[0]), self.signs(sides[1])))

    def _meets(self, start: Point, along: Point) -> list[Fraction]:
        """Sorted parameters at which start + t along meets a line that it does not lie in."""
        slopes = [(line[0] * along[0] + line[1] * along[1], at(line, start)) for line in self.lines]
        return sorted({-value / slope for slope, value in slopes if slope != 0})

    @staticmethod
    def _between(params: list[Fraction]) -> list[Fraction]:
        if not params:
            return [Fraction(0)]
        return [params[0] - 1, *((s + t) / 2 for s, t in pairwise(params)), params[-1] + 1]

    def _beside(self, point: Point, direction: Point) -> Point:
        ahead = [t for t in self._meets(point, direction) if t > 0]
        step = min(ahead) / 2 if ahead else Fraction(1)
        return (point[0] + step * direction[0], point[1] + step * direction[1])

    def signs(self, point: Point) -> tuple[int, ...]:
        return tuple((v > 0) - (v < 0) for v in (at(line, point) for line in self.lines))

    def around(self, point: Point) -> list[tuple[int, ...]]:
        """Faces whose closure holds the point."""
        signs = self.signs(point)
        return [f for f in self.samples if all(s in (0, t) for s, t in zip(signs, f, strict=True))]

    def gradient(self, point: Point):
        """The gradient if the point is regular, else None."""
        found = {self.gradients[face] for face in self.around(point)}
        return found.pop() if len(found) == 1 else None

    def component(self, point: Point) -> set[tuple[int, ...]]:
        """Faces of N_f(point)."""
        gradient, reached, todo = self.gradient(point), set(), [self.around(point)[0]]
        while todo:
            face = todo.pop()
            if face in reached:
                continue
            reached.add(face)
            for left, right in self.edges:
                for here, there in ((left, right), (right, left)):
                    if here == face and self.gradients[there] == gradient:
                        todo.append(there)
        return reached

    def neurons(self, point: Point) -> list[int | None]:
        """Sign of every neuron; None where it is identically zero around the point."""
        here = [form for row in forms(self.layers, point, self.final_relu)[0] for form in row]
        near = [
            [form for row in forms(self.layers, self.samples[face], self.final_relu)[0] for form in row]
            for face in self.around(point)
        ]
        signs: list[int | None] = []
        for index, form in enumerate(here):
            value = at(form, point)
            dead = value == 0 and all(other[index] == (0, 0, 0) for other in near)
            signs.append(None if dead else (value > 0) - (value < 0))
        return signs

    def place(self, x: Point, other: Point) -> str:
        """The place's name, or "on_hinge"."""
        gradient = self.gradient(x)
        if gradient is None:
            return "on_hinge"
        if x == other:
            return "degenerate"
        pattern = self.neurons(x)
        if 0 not in pattern and pattern == self.neurons(other):
            return "same_cell"
        regular, component = self.gradient(other), self.component(x)
        along = (other[0] - x[0], other[1] - x[1])
        params = [t for t in self._meets(x, along) if 0 < t < 1]
        probes = [*params, *((s + t) / 2 for s, t in pairwise([Fraction(0), *params, Fraction(1)])), Fraction(1)]
        if all(self.gradient((x[0] + t * along[0], x[1] + t * along[1])) == gradient for t in probes):
            return "same_region_segment"
        touches = any(face in component for face in self.around(other))
        if regular is None:
            return "boundary" if touches else "outside"
        if regular != gradient:
            return "outside"
        return "same_region" if touches else "same_gradient_elsewhere"
