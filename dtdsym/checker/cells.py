"""F_l, its cells and what is proved about them: regular points, closed lists of cells, walls that are no facets.

A form is a list of d + 1 integers (slopes, constant), over its node's positive denominator."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from math import gcd, lcm
from typing import Any

from dtdsym.checker.network import Network, Node, Value, over_one
from dtdsym.checker.reading import Refused, index, items, keys, number, record, text

Form = list[int]
Point = Sequence[Fraction]
Gradient = tuple[Fraction, ...]
SIGNS = {"+": 1, "-": -1, "0": 0}


@dataclass(frozen=True, eq=False)
class Function:
    """F_l: the value of node `start` to the output; `fixed`: values of the nodes that do not depend on it."""

    network: Network
    start: int
    fixed: dict[int, Value]

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The network's."""
        return self.network.nodes

    @property
    def size(self) -> int:
        """d."""
        return self.nodes[self.start].size

    @cached_property
    def above(self) -> list[int]:
        """Ids of the nodes that depend on `start`, in order."""
        found: list[int] = []
        for i, node in enumerate(self.nodes):
            if i > self.start and any(source == self.start or source in found for source in node.sources):
                found.append(i)
        return found

    @cached_property
    def bending(self) -> list[int]:
        """The ReLUs and max-pools among them."""
        return [i for i in self.above if self.nodes[i].kind in ("Relu", "MaxPool")]

    def choices(self, i: int) -> int:
        """Entries of the pattern that a bending node has."""
        node = self.nodes[i]
        return node.size if node.kind == "Relu" else node.size * len(node.windows[0])

    def value(self, p: Point) -> dict[int, Value]:
        """All values at a point."""
        return self.network.values({**self.fixed, self.start: over_one(p)})

    def output(self, p: Point) -> Fraction:
        """F_l(p)."""
        (value,), scale = self.value(p)[len(self.nodes) - 1]
        return Fraction(value, scale)

    def plain_gradient(self, p: Point) -> Gradient | None:
        """The gradient at a point where no neuron is 0 and no window ties; None elsewhere."""
        values = self.value(p)
        masks: dict[int, Any] = {}
        for i in self.bending:
            a, _ = values[self.nodes[i].sources[0]]
            if self.nodes[i].kind == "Relu":
                if 0 in a:
                    return None
                masks[i] = [entry > 0 for entry in a]
            else:
                masks[i] = []
                for window in self.nodes[i].windows:
                    entries = [a[k] for k in window]
                    if entries.count(max(entries)) > 1:
                        return None
                    masks[i].append(window[entries.index(max(entries))])
        return self.derivatives(masks)[self.start]

    def derivatives(self, masks: dict[int, Any]) -> dict[int, Gradient]:
        """Of the output with respect to the nodes that it depends on above `start`, and to that; masks: ReLU -> which
        neurons are active, max-pool -> which entry of its source each window takes."""
        rows: dict[int, tuple[list[int], int]] = {len(self.nodes) - 1: ([1], 1)}
        for i in reversed(self.above):
            if i not in rows:
                continue
            node, (row, scale) = self.nodes[i], rows[i]
            for source, part, own in _pulled(node, row, scale, masks.get(i), self.nodes):
                if source in rows:
                    old, before = rows[source]
                    common = lcm(before, own)
                    rows[source] = (
                        [x * (common // before) + y * (common // own) for x, y in zip(old, part, strict=True)],
                        common,
                    )
                else:
                    rows[source] = part, own
        empty = (Fraction(0),) * self.size
        found = {i: tuple(Fraction(entry, scale) for entry in row) for i, (row, scale) in rows.items()}
        return {self.start: empty, **found}

    def forms(self, choose: Callable[[int, list[Form], int], list[Any]]) -> Cell:
        """All forms, where `choose` tells for each bending node the signs of a ReLU's neurons, or of the entries of a
        max-pool's windows, from the forms of its source and their denominator."""
        d = self.size
        known: dict[int, tuple[list[Form], int]] = {
            i: ([[0] * d + [entry] for entry in entries], scale) for i, (entries, scale) in self.fixed.items()
        }
        known[self.start] = [[int(i == k) for k in range(d)] + [0] for i in range(d)], 1
        pattern: list[int] = []
        rows: list[Form | None] = []
        units: list[int] = []
        for i in self.above:
            node = self.nodes[i]
            source, scale = known[node.sources[0]]
            if node.kind not in ("Relu", "MaxPool"):
                known[i] = _form(node, [known[s] for s in node.sources], d)
                continue
            signs = choose(i, source, scale)
            own = [list(form) for form in source] if node.kind == "Relu" else []
            outputs = [form if sign > 0 else [0] * (d + 1) for form, sign in zip(own, signs, strict=False)]
            if node.kind == "MaxPool":
                width = len(node.windows[0])
                for place, window in enumerate(node.windows):
                    best = signs[place * width : (place + 1) * width].index(1)
                    outputs.append(source[window[best]])
                    own += [_less(source[window[best]], source[k]) for k in window]
            oriented = [
                [-x for x in form] if node.kind == "Relu" and sign < 0 else form
                for form, sign in zip(own, signs, strict=True)
            ]
            for sign, form in zip(signs, oriented, strict=True):
                if (sign == 0) == any(form) and not (node.kind == "MaxPool" and sign == 1):
                    raise Refused("a pattern is unsound: its 0 are not the choices that vanish identically")
                if not any(form[:-1]) and form[-1] < 0:
                    raise Refused("a pattern is unsound: a constant has the other sign")
            pattern += signs
            rows += [form if any(form[:-1]) else None for form in oriented]
            units += [scale] * len(signs)
            known[i] = outputs, scale
        (form,), scale = known[len(self.nodes) - 1] if self.above else ([[0] * (d + 1)], 1)
        return Cell(self, tuple(pattern), tuple(rows), tuple(units), tuple(Fraction(x, scale) for x in form[:-1]))

    def cell_of(self, pattern: str) -> Cell:
        """The cell that a pattern names, empty or not; refused if the pattern is unsound."""
        if len(pattern) != sum(map(self.choices, self.bending)) or set(pattern) - set(SIGNS):
            raise Refused("a pattern has another length, or other characters than + - 0")
        left = iter(pattern)

        def choose(i: int, _: list[Form], __: int) -> list[int]:
            signs = [SIGNS[next(left)] for _ in range(self.choices(i))]
            if self.nodes[i].kind == "MaxPool":
                width = len(self.nodes[i].windows[0])
                windows = [signs[k : k + width] for k in range(0, len(signs), width)]
                if any(window.count(1) != 1 or 0 in window[: window.index(1)] for window in windows):
                    raise Refused("a pattern is unsound: a window has one winner, the first of equal entries")
            return signs

        return self.forms(choose)

    def cell_at(self, p: Point, *directions: Point) -> Cell:
        """The cell at a point, along directions."""
        (at, scale), ways = over_one(p), [over_one(way)[0] for way in directions]

        def sign(form: Form) -> int:
            value = sum([x * y for x, y in zip(form, at, strict=False)]) + form[-1] * scale
            for found in (value, *(sum([x * y for x, y in zip(form, way, strict=False)]) for way in ways), *form[:-1]):
                if found:
                    return 1 if found > 0 else -1
            return 0

        def choose(i: int, source: list[Form], _: int) -> list[int]:
            node = self.nodes[i]
            if node.kind == "Relu":
                return [sign(form) for form in source]
            signs: list[int] = []
            for window in node.windows:
                best = 0
                for k in range(1, len(window)):
                    if sign(_less(source[window[k]], source[window[best]])) > 0:
                        best = k
                signs += [
                    1 if k == best else sign(_less(source[w], source[window[best]])) for k, w in enumerate(window)
                ]
            return signs

        return self.forms(choose)


def _less(form: Form, other: Form) -> Form:
    return [x - y for x, y in zip(form, other, strict=True)]


def _form(node: Node, sources: list[tuple[list[Form], int]], d: int) -> tuple[list[Form], int]:
    forms, scale = sources[0]
    if node.kind == "Linear":
        columns = list(zip(*forms, strict=True))
        out = []
        for places, weights, bias in node.rows:
            row = [sum([w * column[i] for i, w in zip(places, weights, strict=True)]) for column in columns]
            row[-1] += bias * scale
            out.append(row)
        return out, scale * node.scale
    if node.kind == "Take":
        return [[0] * (d + 1) if i < 0 else forms[i] for (i,) in node.windows], scale
    common = lcm(*(own for _, own in sources))
    parts = [[[x * (common // own) for x in form] for form in entries] for entries, own in sources]
    if node.kind == "Add":
        return [[x + y for x, y in zip(one, two, strict=True)] for one, two in zip(*parts, strict=True)], common
    return [form for part in parts for form in part], common


def _pulled(
    node: Node, row: list[int], scale: int, mask: Any, nodes: Sequence[Node]
) -> Iterable[tuple[int, list[int], int]]:
    """What goes back through a node: (source, derivatives, their denominator)."""
    if node.kind == "Relu":
        yield node.sources[0], [x if active else 0 for x, active in zip(row, mask, strict=True)], scale
    elif node.kind == "Add":
        for source in node.sources:
            yield source, row, scale
    elif node.kind == "Concat":
        first = 0
        for source in node.sources:
            yield source, row[first : first + nodes[source].size], scale
            first += nodes[source].size
    else:
        below = [0] * nodes[node.sources[0]].size
        if node.kind == "Linear":
            for x, (places, weights, _) in zip(row, node.rows, strict=True):
                if x:
                    for i, w in zip(places, weights, strict=True):
                        below[i] += x * w
            scale *= node.scale
        else:
            for x, i in zip(row, mask or [k for (k,) in node.windows], strict=True):
                if i >= 0:
                    below[i] += x
        yield node.sources[0], below, scale


@dataclass(frozen=True, eq=False)
class Cell:
    """rows: for each entry of the pattern its form, positive inside, None if constant; over units."""

    function: Function
    pattern: tuple[int, ...]
    rows: tuple[Form | None, ...]
    units: tuple[int, ...]
    gradient: Gradient

    def height(self, entry: int, at: Value) -> int:
        """A positive multiple of a row's value at a point."""
        row = self.rows[entry]
        assert row is not None
        numbers, scale = at
        return sum([x * y for x, y in zip(row, numbers, strict=False)]) + row[-1] * scale

    def heights(self, p: Point) -> dict[int, int]:
        """Of all rows that are not constant."""
        at = over_one(p)
        return {entry: self.height(entry, at) for entry, row in enumerate(self.rows) if row is not None}

    def walls(self, kept: Iterable[int] | None = None, cone: bool = False) -> dict[tuple[int, ...], list[int]]:
        """Wall -> entries on it; kept: only these rows. cone: without their constants."""
        found: dict[tuple[int, ...], list[int]] = {}
        for entry in range(len(self.rows)) if kept is None else kept:
            row = self.rows[entry]
            if row is not None:
                found.setdefault(_primitive(row[:-1] if cone else row), []).append(entry)
        return found

    def masks(self) -> dict[int, Any]:
        """What `Function.derivatives` takes."""
        found: dict[int, Any] = {}
        first = 0
        for i in self.function.bending:
            count = self.function.choices(i)
            signs = self.pattern[first : first + count]
            node = self.function.nodes[i]
            if node.kind == "Relu":
                found[i] = [sign > 0 for sign in signs]
            else:
                width = len(node.windows[0])
                found[i] = [
                    window[signs[k * width : (k + 1) * width].index(1)] for k, window in enumerate(node.windows)
                ]
            first += count
        return found

    def jump(self, wall: tuple[int, ...], entries: list[int]) -> tuple[Fraction, tuple[int, ...]]:
        """lambda of the output, and the pattern beyond, across a wall on which these rows vanish."""
        lead = next(k for k, x in enumerate(wall) if x)
        heights = {
            entry: Fraction((self.rows[entry] or wall)[lead], self.units[entry] * wall[lead]) for entry in entries
        }
        function, zero, first = self.function, Fraction(0), 0
        slopes = {i: [zero] * function.nodes[i].size for i in (*function.fixed, function.start)}
        beyond: list[int] = []
        for i in function.above:
            node = function.nodes[i]
            own = slopes[node.sources[0]]
            if node.kind in ("Relu", "MaxPool"):
                count = function.choices(i)
                signs, c = self.pattern[first : first + count], [heights.get(first + k) for k in range(count)]
                slopes[i], new = (_neurons if node.kind == "Relu" else _windows)(node, own, signs, c)
                beyond += new
                first += count
            else:
                slopes[i] = _slopes(node, [slopes[s] for s in node.sources])
        return (slopes[len(function.nodes) - 1][0] if function.above else zero), tuple(beyond)


def _primitive(row: Sequence[int]) -> tuple[int, ...]:
    common = gcd(*row)
    return tuple(x // common for x in row)


def _slopes(node: Node, sources: list[list[Fraction]]) -> list[Fraction]:
    own = sources[0]
    if node.kind == "Linear":
        rows = node.rows
        return [
            sum((w * own[i] for i, w in zip(places, ws, strict=True) if own[i]), Fraction(0)) / node.scale
            for places, ws, _ in rows
        ]
    if node.kind == "Take":
        return [Fraction(0) if i < 0 else own[i] for (i,) in node.windows]
    if node.kind == "Add":
        return [x + y for x, y in zip(*sources, strict=True)]
    return [x for part in sources for x in part]


def _neurons(
    _: Node, slopes: list[Fraction], signs: Sequence[int], c: list[Fraction | None]
) -> tuple[list[Fraction], list[int]]:
    found, beyond, zero = [], [], Fraction(0)
    for slope, sign, height in zip(slopes, signs, c, strict=True):
        if height is None and sign:
            found.append(slope if sign > 0 else zero)
            beyond.append(sign)
            continue
        gap = slope - height if sign > 0 and height is not None else slope + (height or zero)
        found.append(max(slope, height) if sign > 0 and height is not None else max(gap, zero))
        beyond.append((gap > 0) - (gap < 0))
    return found, beyond


def _windows(
    node: Node, slopes: list[Fraction], signs: Sequence[int], c: list[Fraction | None]
) -> tuple[list[Fraction], list[int]]:
    found: list[Fraction] = []
    beyond: list[int] = []
    width = len(node.windows[0])
    for place, window in enumerate(node.windows):
        first = place * width
        rising = {
            k: slopes[entry] + (c[first + k] or 0)
            for k, entry in enumerate(window)
            if signs[first + k] >= 0 or c[first + k] is not None
        }
        greatest = max(rising.values())
        winners = [k for k, slope in rising.items() if slope == greatest]
        found.append(greatest)
        beyond += [1 if k == winners[0] else 0 if k in winners else -1 for k in range(width)]
    return found, beyond


def closed(
    function: Function, value: Any, what: str, p: Point | None = None, rows: Sequence[Point] | None = None
) -> dict[tuple[int, ...], Cell]:
    """A closed list of cells; of cones at p, where p is given. rows: of an open polyhedron; then the list is closed
    within it, and no facet inside it leads to another gradient."""
    found: dict[tuple[int, ...], Cell] = {}
    proofs = []
    for place, entry in enumerate(items(value, what)):
        own = f"{what}[{place}]"
        keys(record(entry, own), "pattern", "no_facet")
        cell = function.cell_of(text(entry["pattern"], f"{own}: pattern"))
        if cell.pattern in found:
            raise Refused(f"{own}: the pattern stands twice")
        found[cell.pattern] = cell
        proofs.append((cell, entry["no_facet"], own))
    for cell, entries, own in proofs:
        kept = None if p is None else [entry for entry, height in cell.heights(p).items() if height == 0]
        walls = cell.walls(kept, cone=p is not None)
        ruled_out = _no_facets(cell, walls, entries, own, cone=p is not None, rows=rows)
        for wall, on in walls.items():
            if wall in ruled_out:
                continue
            slope, beyond = cell.jump(wall, on)
            if p is None and slope:
                if rows is not None:
                    raise Refused(f"{own}: the gradient changes across wall {on[0]}, which is not ruled out")
                continue
            if beyond not in found:
                raise Refused(f"{own}: the cell beyond wall {on[0]} is not in the list, and the wall is not ruled out")
    return found


def _no_facets(
    cell: Cell,
    walls: dict[tuple[int, ...], list[int]],
    value: Any,
    what: str,
    *,
    cone: bool,
    rows: Sequence[Point] | None,
) -> set[tuple[int, ...]]:
    """The walls that are proved to be no facets."""
    wall_of = {entry: wall for wall, entries in walls.items() for entry in entries}
    found = set()
    for place, proof in enumerate(items(value, f"{what}: no_facet")):
        own = f"{what}: no_facet[{place}]"
        keys(record(proof, own), "entry", "multipliers", "wall", maybe=("rows",) if rows is not None else ())
        entry = index(proof["entry"], len(cell.rows), f"{own}: entry")
        if entry not in wall_of:
            raise Refused(f"{own}: entry {entry} is on no wall")
        if wall_of[entry] in found:
            raise Refused(f"{own}: the wall of entry {entry} stands twice")
        terms = [(number(proof["wall"], f"{own}: wall"), _true(cell, entry))]
        positive = False
        for pair in items(proof["multipliers"], f"{own}: multipliers"):
            j, y = items(pair, f"{own}: multipliers", 2)
            j, y = index(j, len(cell.rows), f"{own}: row"), number(y, f"{own}: multiplier")
            if wall_of.get(j, wall_of[entry]) == wall_of[entry]:
                raise Refused(f"{own}: row {j} is on no wall, or on the same")
            positive |= _positive(y, own)
            terms.append((y, _true(cell, j)))
        for pair in items(proof.get("rows", []), f"{own}: rows"):
            j, y = items(pair, f"{own}: rows", 2)
            j, y = index(j, len(rows or ()), f"{own}: row"), number(y, f"{own}: multiplier")
            positive |= _positive(y, own)
            terms.append((y, list((rows or ())[j])))
        *slopes, constant = [
            sum(column, Fraction(0)) for column in zip(*([y * x for x in row] for y, row in terms), strict=True)
        ]
        if any(slopes):
            raise Refused(f"{own}: the multipliers leave slopes over")
        if (not cone and constant > 0) or ((cone or constant == 0) and not positive):
            raise Refused(f"{own}: the multipliers prove nothing")
        found.add(wall_of[entry])
    return found


def _positive(y: Fraction, what: str) -> bool:
    if y < 0:
        raise Refused(f"{what}: a multiplier is negative")
    return y > 0


def _true(cell: Cell, entry: int) -> list[Fraction]:
    row = cell.rows[entry]
    assert row is not None
    return [Fraction(x, cell.units[entry]) for x in row]


def regular(function: Function, p: Point, cones: Any, what: str) -> Gradient:
    """The gradient at a point where F_l is proved to be regular; cones: evidence, or None."""
    found = function.plain_gradient(p)
    if found is not None:
        if cones is not None:
            raise Refused(f"{what}: cones are given at a point of an open cell")
        return found
    cell = function.cell_at(p)
    hinged = [entry for entry, height in cell.heights(p).items() if height == 0]
    if cones is not None:
        listed = closed(function, cones, what, p)
        if cell.pattern not in listed:
            raise Refused(f"{what}: the cones do not hold the cell at the point")
        if any(cone.gradient != cell.gradient for cone in listed.values()):
            raise Refused(f"{what}: the cones have different gradients: the function bends there")
    elif hinged and not _cancels(cell, hinged):
        raise Refused(f"{what}: the function is not shown to be regular there; cones are missing")
    return cell.gradient


def _cancels(cell: Cell, hinged: list[int]) -> bool:
    """The second reason of FORMAT.md."""
    function, found = cell.function, cell.function.derivatives(cell.masks())
    down: list[Fraction] = []
    node_of: list[int] = []
    repeats: list[bool] = []
    for i in function.bending:
        node = function.nodes[i]
        own = found.get(i, (Fraction(0),) * node.size)
        width = 1 if node.kind == "Relu" else len(node.windows[0])
        for place in range(node.size):
            window = () if node.kind == "Relu" else node.windows[place]
            repeats += [k in window[:at] for at, k in enumerate(window)] if window else [False]
            down += [own[place]] * width
            node_of += [i] * width
    zeros = [entry for entry, sign in enumerate(cell.pattern) if sign == 0 and not repeats[entry]]
    if not any(down[entry] for entry in (*hinged, *zeros)):
        return True
    nodes = {node_of[entry] for entry in hinged}
    if zeros or len(nodes) != 1 or function.nodes[nodes.pop()].kind != "Relu":
        return False
    for wall, entries in cell.walls(hinged).items():
        lead = next(k for k, x in enumerate(wall) if x)
        if sum((down[e] * abs(Fraction((cell.rows[e] or wall)[lead], cell.units[e])) for e in entries), Fraction(0)):
            return False
    return True


def fused(function: Function) -> Function:
    """The same function with ReLUs taken into the max-pools that they feed, or that feed them."""
    nodes, kept = function.nodes, {function.start, *function.fixed}

    def pair(i: int) -> int | None:
        kinds = nodes[i].kind, nodes[nodes[i].sources[0]].kind if nodes[i].sources else ""
        whole = kinds in (("Relu", "MaxPool"), ("MaxPool", "Relu"))
        return nodes[i].sources[0] if whole and i not in kept and nodes[i].sources[0] not in kept else None

    if not any(pair(i) is not None for i in range(len(nodes))):
        return function
    made: list[Node] = []
    place: dict[int, int] = {}
    for i, node in enumerate(nodes):
        lower = pair(i)
        if lower is None:
            made.append(replace(node, sources=tuple(place[source] for source in node.sources)))
        else:
            size, source = nodes[lower].sources[0], nodes[nodes[lower].sources[0]].size
            windows = (node if node.kind == "MaxPool" else nodes[lower]).windows
            taken = (*((k,) for k in range(source)), (-1,))
            made.append(Node("Take", (place[size],), source + 1, windows=taken, origin="Take"))
            longer = tuple((*window, source) for window in windows)
            made.append(Node("MaxPool", (len(made) - 1,), len(longer), windows=longer, origin="MaxPool"))
        place[i] = len(made) - 1
    needed = {len(made) - 1, 0, *(place[i] for i in kept)}
    for i in range(len(made) - 1, -1, -1):
        needed |= set(made[i].sources) if i in needed else set()
    number_of = {old: new for new, old in enumerate(sorted(needed))}
    left = tuple(replace(made[i], sources=tuple(number_of[s] for s in made[i].sources)) for i in number_of)
    fixed = {number_of[place[i]]: value for i, value in function.fixed.items()}
    return Function(
        Network(left, function.network.hash, function.network.fold), number_of[place[function.start]], fixed
    )
