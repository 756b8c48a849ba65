"""Polyhedra cut by hyperplanes: by double description, and by linear programs, which must agree."""

from fractions import Fraction
from itertools import combinations, product
from math import comb

import pytest
from flint import fmpz, fmpz_mat
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dtdsym.arithmetic import inequalities, polyhedron
from dtdsym.arithmetic.linear_program import Empty, interior
from dtdsym.arithmetic.polyhedron import INFINITY


def space(dimension, engine="rays"):
    if engine == "rays":
        return polyhedron.whole_space(dimension)
    return inequalities.whole_space(dimension, lambda: None)


def integers(forms):
    return [[fmpz(entry) for entry in form] for form in forms]


def box(dimension, side=2):
    """-side < x_i < side."""
    unit = [[int(i == j) for j in range(dimension)] for i in range(dimension)]
    return integers([[*(sign * entry for entry in row), side] for row in unit for sign in (1, -1)])


@st.composite
def forms(draw, most=5, dimensions=(1, 2, 3, 4)):
    """Hyperplanes that are often equal, opposite, parallel, concurrent, or 2^-60 apart; and a dimension."""
    dimension = draw(st.sampled_from(dimensions))
    entries = draw(st.sampled_from([st.integers(-1, 1), st.integers(-3, 3), st.sampled_from([0, 1, 2**60, 2**60 + 1])]))
    rows = draw(st.lists(st.tuples(*[entries] * (dimension + 1)), min_size=1, max_size=most))
    twist = draw(st.sampled_from(["none", "twice", "opposite", "near"]))
    first = rows[0]
    extra = {"none": [], "twice": [tuple(3 * e for e in first)], "opposite": [tuple(-e for e in first)],
             "near": [(*(e * 2**60 for e in first[:-1]), first[-1] * 2**60 + 1)]}[twist]  # fmt: skip
    return dimension, integers(rows + extra)


def at(form, point):
    return sum((e * x for e, x in zip(form, point, strict=True)), fmpz(0))


def sign(value):
    return (value > 0) - (value < 0)


def sign_vectors(dimension, rows, walls):
    """Oracle: every sign vector with inner points, by one linear program each; 0 only for forms that are zero."""
    choices = [(0,) if not any(row) else (1, -1) for row in rows]
    found = set()
    for signs in product(*choices):
        system = [[s * e for e in row] for s, row in zip(signs, rows, strict=True) if s] + walls
        if not system or not isinstance(interior(system), Empty):
            found.add(signs)
    return found


@pytest.mark.parametrize("engine", ["rays", "programs"])
@given(forms(), st.booleans())
@settings(max_examples=150)
def test_parts_are_the_sign_vectors_that_have_inner_points(engine, drawn, bounded):
    dimension, rows = drawn
    walls = box(dimension) if bounded else []
    whole = space(dimension, engine).clip(walls)
    parts = [signs for _, signs in whole.divide(rows)]
    assert len(set(parts)) == len(parts)
    assert set(parts) == sign_vectors(dimension, rows, walls)


@given(forms())
@settings(max_examples=150)
def test_generators_satisfy_what_the_description_says(drawn):
    dimension, rows = drawn
    for part, signs in space(dimension).divide(rows):
        for form, own in zip(rows, signs, strict=True):
            assert sign(at(form, part.inner)) == own
        assert part.inner[-1] > 0
        for ray, bits in zip(part.rays, part.tight, strict=True):
            heights = [at(wall, ray) for wall in part.walls]
            assert all(height >= 0 for height in heights)
            assert [height == 0 for height in heights] == [bool(bits >> wall & 1) for wall in range(len(heights))]
            on = [list(wall) for wall, height in zip(part.walls, heights, strict=True) if height == 0]
            assert (fmpz_mat(on).rank() if on else 0) == dimension - len(part.lines)  # extreme, modulo the lines
        for line in part.lines:
            assert all(at(wall, line) == 0 for wall in part.walls)
        generators = [list(vector) for vector in (*part.rays, *part.lines)]
        assert fmpz_mat(generators).rank() == dimension + 1  # inner points


@given(forms(dimensions=(2, 3)), st.booleans())
@settings(max_examples=100)
def test_facets_of_both_descriptions_are_the_same(drawn, bounded):
    dimension, rows = drawn
    walls = box(dimension) if bounded else []
    listed = {signs: part for part, signs in space(dimension).clip(walls).divide(rows)}
    for part, signs in space(dimension, "programs").clip(walls).divide(rows):
        other = listed[signs]
        mine = {polyhedron.primitive(list(part.walls[wall])) for wall, _ in part.facets}
        assert {polyhedron.primitive(list(other.walls[wall])) for wall, _ in other.facets} == mine
        for wall, point in part.facets:
            assert at(part.walls[wall], point) == 0
            assert sum(at(row, point) == 0 for row in {polyhedron.primitive(list(w)) for w in part.walls}) == 1


@pytest.mark.parametrize("dimension", [1, 2, 3, 4])
def test_hyperplanes_in_general_position(dimension):
    """n of them make sum over i <= d of (n choose i) cells, 2 (sum over i < d of (n-1 choose i)) of them unbounded."""
    rows = integers([[k**i for i in range(dimension + 1)] for k in (1, 2, 3, 5, 7)])  # Vandermonde: in general position
    parts = [part for part, _ in space(dimension).divide(rows)]
    assert len(parts) == sum(comb(5, i) for i in range(dimension + 1))
    unbounded = [part for part in parts if any(ray[-1] == 0 for ray in part.rays)]
    assert len(unbounded) == 2 * sum(comb(4, i) for i in range(dimension))


@pytest.mark.parametrize("dimension", [1, 2, 3, 4])
def test_a_cube(dimension):
    cube = space(dimension).clip(box(dimension))
    assert len(cube.rays) == 2**dimension
    assert len(cube.facets) == 2 * dimension
    assert all(len(rays) == 2 ** (dimension - 1) for _, rays in cube.facets)
    assert not cube.lines


def test_rays_that_share_walls_but_no_edge():
    """Three hyperplanes of R^4 through one plane, in which a square lies: its diagonals are no edges."""
    walls = integers([[1, 1, 0, 0, 0], [1, 0, 0, 0, 0], [0, 1, 0, 0, 0]])
    cut = space(4).clip(walls).clip(box(4)[4:]).clip(box(4)[:4])
    for half, _ in cut.divide(integers([[0, 0, 1, 1, 0]])):
        assert len(half.rays) == 12  # a square times a triangle
        for bits in half.tight:
            on = [list(wall) for number, wall in enumerate(half.walls) if bits >> number & 1]
            assert fmpz_mat(on).rank() == 4


def test_an_empty_clip_has_no_inner_points():
    for engine in ("rays", "programs"):
        assert space(2, engine).clip(integers([[1, 0, -1], [-1, 0, 1]])) is None  # x >= 1 and x <= 1
        assert space(2, engine).clip(integers([[0, 0, -1]])) is None
        assert space(2, engine).clip(integers([[0, 0, 0], [1, 1, 0]])) is not None


def area(points):
    return abs(sum(x * v - y * u for (x, y), (u, v) in zip(points, points[1:] + points[:1], strict=True))) / 2


@given(forms(most=8, dimensions=(2,)))
@settings(max_examples=100)
def test_polygons_run_around_and_fill_the_box(drawn):
    _, rows = drawn
    total = Fraction(0)
    for part, _ in space(2).clip(box(2)).divide(rows):
        rays = [part.rays[number] for number in part.around]
        points = [(Fraction(int(x), int(w)), Fraction(int(y), int(w))) for x, y, w in rays]
        for one, two, three in combinations(points, 3):  # counter-clockwise and convex: every turn is to the left
            turn = (two[0] - one[0]) * (three[1] - one[1]) - (two[1] - one[1]) * (three[0] - one[0])
            assert turn > 0
        total += area(points)
    assert total == 16


def test_unbounded_polygons_run_from_ray_to_ray():
    quadrant = space(2).clip(integers([[1, 0, 0], [0, 1, 0]]))
    order = [quadrant.rays[number] for number in quadrant.around]
    assert [tuple(int(entry) for entry in ray) for ray in order] == [(0, 1, 0), (0, 0, 1), (1, 0, 0)]


def test_walls_at_infinity_are_no_facets():
    assert all(wall != INFINITY for wall, _ in space(2).clip(integers([[1, 0, 0]])).facets)
    assert space(3).facets == ()


@given(forms(most=6, dimensions=(5, 6)))
@settings(max_examples=25)
def test_many_dimensions(drawn):
    dimension, rows = drawn
    assume(len(rows) < 7)
    parts = list(space(dimension, "programs").divide(rows))
    assert {signs for _, signs in parts} == sign_vectors(dimension, rows, [])
    for part, _ in parts:
        assert all(at(wall, point) > 0 for wall in part.walls for point in part.points)
