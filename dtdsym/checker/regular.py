"""What is proved about cells: closed lists of them, walls that are no facets, and points where F_l is regular."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from dtdsym.checker.cells import Cell, cell_at, cell_of
from dtdsym.checker.function import Function, Gradient, Point
from dtdsym.checker.jump import jump
from dtdsym.checker.reading import Refused, index, items, keys, number, record, text


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
        cell = cell_of(function, text(entry["pattern"], f"{own}: pattern"))
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
            slope, beyond = jump(cell, wall, on)
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
    return [Fraction(x, cell.units[entry]) for x in cell.row(entry)]


def regular(function: Function, p: Point, cones: Any, what: str) -> Gradient:
    """The gradient at a point where F_l is proved to be regular; cones: evidence, or None."""
    found = function.plain_gradient(p)
    if found is not None:
        if cones is not None:
            raise Refused(f"{what}: cones are given at a point of an open cell")
        return found
    cell = cell_at(function, p)
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
