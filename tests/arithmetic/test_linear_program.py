"""Systems of strict inequalities against Fourier-Motzkin elimination and z3; points and proofs with planted flaws."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import pytest
import z3
from flint import fmpq, fmpz
from hypothesis import given, settings
from hypothesis import strategies as st

from dtdsym.arithmetic import highs, linear_program, simplex
from dtdsym.arithmetic.linear_program import Empty, Interior, check, interior
from dtdsym.arithmetic.rational import RATIONAL
from dtdsym.errors import BudgetSpent

# Oracles


def nonempty(rows, equality):
    """Fourier-Motzkin elimination; a form is (coefficients, constant, strict)."""
    forms = {(tuple(map(Fraction, row)), True) for row in rows}
    if equality is not None:
        forms |= {(tuple(sign * Fraction(entry) for entry in equality), False) for sign in (1, -1)}
    while any(len(form) > 1 for form, _ in forms):
        rising = [(form, strict) for form, strict in forms if form[0] > 0]
        falling = [(form, strict) for form, strict in forms if form[0] < 0]
        forms = {(form[1:], strict) for form, strict in forms if form[0] == 0}
        for up, strict in rising:
            for down, also in falling:
                added = [a / up[0] - b / down[0] for a, b in zip(up, down, strict=True)]
                forms.add((tuple(added[1:]), strict or also))
    return all(constant > 0 if strict else constant >= 0 for (constant,), strict in forms)


def z3_nonempty(rows, equality):
    x = [*(z3.Real(f"x{j}") for j in range(len((rows or [equality])[0]) - 1)), z3.RealVal(1)]
    solver = z3.Solver()
    for row in rows:
        solver.add(z3.Sum([a * v for a, v in zip(row, x, strict=True)]) > 0)
    if equality is not None:
        solver.add(z3.Sum([a * v for a, v in zip(equality, x, strict=True)]) == 0)
    answer = solver.check()
    assert answer != z3.unknown
    return answer == z3.sat


# Systems


def scaled(rows, draw):
    columns = draw(st.lists(st.integers(0, 60), min_size=len(rows[0]), max_size=len(rows[0])))
    return [[a << (n + shift) for a, n in zip(row, columns, strict=True)] for row in rows for shift in [draw(SHIFTS)]]


def slab(rows, draw):
    """The first row's opposite, moved by at most 2^-60."""
    wide = [[a << 60 for a in row] for row in rows]
    return [*wide, [*(-a for a in wide[0][:-1]), -wide[0][-1] + draw(st.sampled_from([-1, 0, 1]))]]


def long(rows, draw):
    """300-bit entries: the same systems, sheared by a long unimodular map."""
    factor = draw(st.integers(2**299, 2**300))
    return [[*row[:-1], row[-1] + factor * sum(row[:-1])] for row in rows]


def flat(rows, draw):
    """Only the sum x_1 + 2 x_2 + 2 x_3 matters."""
    return [[sum(row[:-1]), *(2 * sum(row[:-1]) for _ in row[2:]), row[-1]] for row in rows]


def combined(rows, draw):
    """Minus a non-negative combination, so that the system is empty, or only just not."""
    shares = [draw(st.integers(0, 2)) for _ in rows]
    total = [-sum(y * a for y, a in zip(shares, column, strict=True)) for column in zip(*rows, strict=True)]
    return [*rows, [*total[:-1], total[-1] + draw(st.sampled_from([0, 0, 1]))]]


SHIFTS = st.sampled_from([0, 1, 30, 60])
TWISTS = {
    "plain": lambda rows, draw: rows,
    "cone": lambda rows, draw: [[*row[:-1], 0] for row in rows],
    "duplicate": lambda rows, draw: [*rows, [3 * a for a in rows[0]]],
    "opposite": lambda rows, draw: [*rows, [-a for a in rows[0]]],
    "rank-deficient": flat,
    "long": long,
    "scaled": scaled,
    "slab": slab,
    "combined": combined,
}


@st.composite
def systems(draw, sizes=(0, 1, 2, 3), most=5):
    """rows, and an equality or None; degenerate in many ways."""
    size = draw(st.sampled_from(sizes))
    form = st.lists(st.integers(-3, 3), min_size=size + 1, max_size=size + 1)
    rows = draw(st.lists(form, max_size=most))
    equality = draw(st.one_of(st.none(), form))
    tiny = draw(st.sampled_from([0, 0, 100]))
    if equality is not None and size > 1:
        equality = [a << (tiny * (j > 0)) for j, a in enumerate(equality)]
    twists = st.lists(st.sampled_from([name for name in TWISTS if size > 0 or name == "plain"]), max_size=2)
    for twist in draw(twists) if rows else []:
        rows = TWISTS[twist](rows, draw)
    return rows, equality


def is_decided_as(expected, rows, equality):
    """interior() gives this answer, and its evidence is accepted."""
    outcome = interior(rows, equality)
    check(rows, equality, outcome)
    assert isinstance(outcome, Interior if expected else Empty)


@given(systems())
@settings(max_examples=2000)
def test_verdicts_are_those_of_fourier_motzkin(system):
    is_decided_as(nonempty(*system), *system)


@given(systems(sizes=(1, 2, 3, 5), most=9))
@settings(max_examples=500)
def test_verdicts_are_those_of_z3(system):
    rows, equality = system
    is_decided_as(True if not rows and equality is None else z3_nonempty(rows, equality), rows, equality)


TABLE = {
    "no forms at all": ([], None, True),
    "no rows, on a hyperplane": ([], [2, 3, 5], True),
    "no rows, on 0 = 1": ([], [0, 0, 1], False),
    "no rows, on 0 = 0": ([], [0, 0, 0], True),
    "a row on 0 = 0": ([[1, 0, 1]], [0, 0, 0], True),
    "d = 0, positive": ([[1], [2**400]], None, True),
    "d = 0, zero": ([[1], [0]], None, False),
    "d = 0, equality": ([[1]], [0], True),
    "a constant row below": ([[1, 0], [0, -1]], None, False),
    "a constant row of zeros": ([[1, 0], [0, 0]], None, False),
    "a constant row above": ([[1, 0], [0, 5]], None, True),
    "a half-line": ([[-1, 3], [-1, 5]], None, True),
    "a segment": ([[1, 0], [-1, 1]], None, True),
    "a segment without inside": ([[1, 0], [-3, 0]], None, False),
    "an opposite pair": ([[1, 1, 0], [-1, -1, 0]], None, False),
    "an opposite pair far apart": ([[1, 1, 0], [-1, -1, 1 << 5000]], None, True),
    "an opposite pair of 5000 bits": ([[1 << 5000, 1, 0], [-(1 << 5000), -1, 1]], None, True),
    "duplicates": ([[1, 1, 0], [1, 1, 0], [2, 2, 0]], None, True),
    "a slab of width 2^-60": ([[1 << 60, 0, 0], [-(1 << 60), 0, 1]], None, True),
    "a slab of width 0": ([[1 << 60, 0, -1], [-(1 << 60), 0, 1]], None, False),
    "a tilted slab of width 2^-60": ([[3 << 60, 7 << 60, 1], [-(3 << 60), -(7 << 60), 0]], None, True),
    "a simplex of size 2^-200": ([[1, 0, 0], [0, 1, 0], [-(1 << 200), -(1 << 200), 1]], None, True),
    "a simplex of size 0": ([[1, 0, 0], [0, 1, 0], [-1, -1, 0]], None, False),
    "empty by one tight vertex": ([[1, 0, 0], [0, 1, 0], [-1, 0, 1], [0, -1, 1], [1, 1, -2]], None, False),
    "scales 2^-30 and 2^30": ([[1 << 60, 1, 0], [-(1 << 60), 1, 0], [0, -1, 1]], None, True),
    "a pointed cone": ([[1, 0, 0], [0, 1, 0], [1, -1, 0]], None, True),
    "a cone without inside": ([[1, 0, 0], [-1, 1, 0], [0, -1, 0]], None, False),
    "a facet": ([[0, 1, 0], [0, -1, 1]], [1, 0, 0], True),
    "no facet, parallel": ([[1, 0, 0]], [1, 0, 0], False),
    "no facet, touched in a vertex": ([[1, 0, 0], [0, 1, 0]], [1, 1, 0], False),
    "a facet behind a tiny pivot": ([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]], [1, -(1 << 90), 1 << 100, 0], True),
    "a point": ([[2, -1]], [1, -1], True),
    "a point outside": ([[1, -1]], [1, -1], False),
}


@pytest.mark.parametrize("name", TABLE)
def test_every_row_of_the_table_is_decided(name):
    rows, equality, expected = TABLE[name]
    assert nonempty(rows, equality) == expected
    is_decided_as(expected, rows, equality)


# Larger systems, with planted answers


def planted(size, count, seed, bits=24):
    """Random rows around a planted point, with its integer coordinates."""
    generator = random.Random(seed)
    point = [generator.randrange(-3, 4) for _ in range(size)]
    rows = []
    while len(rows) < count:
        row = [generator.randrange(-(2**bits), 2**bits) for _ in range(size + 1)]
        height = sum(a * x for a, x in zip(row, [*point, 1], strict=True))
        if height != 0:
            rows.append([a if height > 0 else -a for a in row])
    return rows, point


@pytest.mark.parametrize("size", [5, 12, 30])
@pytest.mark.parametrize("bits", [2, 24, 300])
def test_planted_points_and_planted_proofs_are_found(size, bits):
    rows, point = planted(size, 3 * size, seed=size, bits=bits)
    is_decided_as(True, rows, None)
    is_decided_as(True, [[a << (7 * k) for a in row] for k, row in enumerate(rows)], None)
    plane = [*rows[0][:-1], -sum(a * x for a, x in zip(rows[0], point, strict=False))]
    is_decided_as(True, rows[1:], plane)
    last = [-sum(column) for column in zip(*rows[: size + 1], strict=True)]
    is_decided_as(False, [*rows, last], None)
    is_decided_as(True, [*rows, [*last[:-1], last[-1] + sum(abs(a) for a in last) * 10]], None)


@pytest.mark.parametrize("gap", [0, 1])
def test_one_unit_in_the_last_place_at_a_vertex_of_many_rows_decides(gap):
    """All rows pass a vertex at height `gap` 2^-80; each is the opposite of some others' sum."""
    rows, point = planted(8, 20, seed=3)
    through = [[*row[:-1], -sum(a * x for a, x in zip(row, point, strict=False))] for row in rows]
    closed = [*through, [-sum(column) for column in zip(*through, strict=True)]]
    is_decided_as(gap > 0, [[*(a << 80 for a in row[:-1]), (row[-1] << 80) + gap] for row in closed], None)


@given(systems(), st.randoms(use_true_random=False))
@settings(max_examples=300)
def test_order_units_and_integer_type_do_not_matter(system, generator):
    rows, equality = system
    changed = [[fmpz(a) << shift for a in row] for row in rows for shift in [generator.choice([0, 3, 400])]]
    generator.shuffle(changed)
    turned = None if equality is None else [fmpz(-7 * a) for a in equality]
    assert type(interior(changed, turned)) is type(interior(rows, equality))


def test_points_are_short_and_multipliers_are_coprime_integers():
    unit = [[int(i == j) for j in range(3)] for i in range(3)]
    cube = [*([*row, 0] for row in unit), *([*(-a for a in row), 1] for row in unit)]
    assert all(x.q <= 16 for x in interior(cube).point)
    rows, _ = planted(6, 18, seed=1)
    assert all(x.q <= 2**12 for x in interior(rows).point)
    assert interior([[2**90, 2**90], [-3 * 2**90, -3 * 2**90]]) == Empty((fmpq(3), fmpq(1)), fmpq(0))
    outcome = interior([[2**90, 0, 2**90], [-(2**90), 0, -(2**90)], [0, 1, 0]])
    assert outcome == Empty((fmpq(1), fmpq(1), fmpq(0)), fmpq(0))


# Whatever floats propose, the answer is exact

GARBAGE = {
    "nothing": lambda system, generator: (None, []),
    "a random point": lambda system, generator: ([fmpq(generator.randint(-9, 9), 7) for _ in range(system.size)], []),
    "a random basis": lambda system, generator: (
        None,
        [generator.randrange(len(system.rows)) for _ in range(system.size + 3)],
    ),
    "all rows": lambda system, generator: (None, list(range(len(system.rows)))),
}


@pytest.mark.parametrize("bland", [False, True])
@pytest.mark.parametrize("garbage", GARBAGE)
@given(system=systems(), generator=st.randoms(use_true_random=False))
@settings(max_examples=200)
def test_garbage_proposals_change_no_verdict(garbage, bland, system, generator):
    """A proposed point is on the equality's hyperplane, as what _proposed returns is by construction."""

    def proposal(found, pause):
        point, support = GARBAGE[garbage](found, generator)
        return point if point is None else linear_program._on_plane(found.plane, point), support

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linear_program, "_proposed", proposal)
        if bland:
            entering = simplex._entering
            patch.setattr(simplex, "_entering", lambda scores, least, bland: entering(scores, least, bland=True))
        is_decided_as(nonempty(*system), *system)


def test_a_basis_that_is_one_only_modulo_the_prime_is_not_believed(monkeypatch):
    """Modulo PRIME, whose weight is 1, the first row is z: a marker takes z's place, with an amount that is not 0."""
    rows = [[-simplex.PRIME, 0, -1], [0, 1, 0], [0, -1, 1]]
    monkeypatch.setattr(linear_program, "_proposed", lambda system, pause: (None, [0]))
    is_decided_as(True, rows, None)


@pytest.mark.parametrize("step", [0, 1])
def test_pivots_that_gain_nothing_make_way_for_blands_rule(monkeypatch, step):
    """The first vertex is at level 1, which is 2 in the unit of either row."""
    flags, levels = [], []

    def entering(scores, least, bland):
        flags.append(bland)
        levels.append(least)

    def deadline():
        if len(flags) == 50:
            raise BudgetSpent("50 pivots")

    monkeypatch.setattr(simplex, "_exchange", lambda program, basis, amounts, entering: fmpq(step))
    monkeypatch.setattr(simplex, "_entering", entering)
    system = simplex.System([[fmpz(1), fmpz(-1)], [fmpz(-1), fmpz(-1)]], None)
    with pytest.raises(BudgetSpent):
        simplex.solve(system, [], deadline)
    assert flags[0] is False
    assert flags[-1] is (step == 0)
    assert levels[0] == 2


def test_blands_rule_decides_ties():
    """The third row is the sum of the first two, which bound it alike: the one of least label leaves."""
    forms = [[1, 0, 1], [0, 1, 1], [1, 1, 1]]
    program = simplex._Program(simplex.System([[fmpz(a) for a in form] for form in forms], None))
    basis, amounts = [program.z, 1, 0], [fmpq(1), fmpq(0), fmpq(0)]
    assert simplex._exchange(program, basis, amounts, 2) == 0
    assert basis == [program.z, 1, 2]
    assert simplex._entering([fmpz(3), fmpz(1), fmpz(-5)], fmpq(2), bland=True) == 1
    assert simplex._entering([fmpz(3), fmpz(1), fmpz(-5)], fmpq(2), bland=False) == 2


@pytest.mark.parametrize("proposal", ["kept", "dropped"])
def test_the_last_proposal_saves_pivots_and_every_pivot_looks_at_the_clock(monkeypatch, proposal):
    rows, _ = planted(12, 40, seed=0)
    rows.append([-sum(column) for column in zip(*rows, strict=True)])
    ticks = []
    if proposal == "dropped":
        monkeypatch.setattr(linear_program, "_proposed", lambda system, pause: (None, []))
    assert isinstance(interior(rows, deadline=lambda: ticks.append(None)), Empty)
    assert len(ticks) == 1 if proposal == "kept" else len(ticks) > 5


@pytest.mark.parametrize("proposal", ["kept", "dropped"])
def test_a_spent_budget_ends_the_search_and_spoils_nothing(monkeypatch, proposal):
    rows, _ = planted(12, 40, seed=0)
    rows.append([-sum(column) for column in zip(*rows, strict=True)])
    ticks = []

    def deadline():
        ticks.append(None)
        if len(ticks) == 4:
            raise BudgetSpent("4 ticks")

    with monkeypatch.context() as patch:
        if proposal == "dropped":
            patch.setattr(linear_program, "_proposed", lambda system, pause: (None, []))
        else:
            patch.setattr(highs, "_LOCAL", highs.threading.local())
            patch.setitem(highs.OPTIONS, "simplex_iteration_limit", 1)
        with pytest.raises(BudgetSpent):
            interior(rows, deadline=deadline)
        is_decided_as(False, rows, None)
        patch.setattr(highs, "ROUNDS", 2)
        is_decided_as(False, rows, None)
    is_decided_as(False, rows, None)


def test_threads_do_not_disturb_one_another():
    cases = [planted(6, 18, seed)[0] for seed in range(20)]
    cases += [[*rows, [-a for a in rows[0]]] for rows in cases]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(interior, cases))
    assert found == [interior(rows) for rows in cases]
    assert [type(outcome) for outcome in found] == [Interior] * 20 + [Empty] * 20


# Planted flaws

TRIANGLE = ([[1, 0, 0], [0, 1, 0], [-1, -1, 1]], [1, -1, 0])
CLOSED = ([[1, 0, 0], [0, 1, 0], [-1, -1, -1]], [1, -1, 0])
FLAWS = {
    "a point on a row's hyperplane": (TRIANGLE, Interior, [0, 0], None, "row 0"),
    "a point beyond the last row": (TRIANGLE, Interior, [1, 1], None, "row 2"),
    "a point off the equality": (TRIANGLE, Interior, [Fraction(1, 3), Fraction(1, 4)], None, "equality"),
    "a point that is too short": (TRIANGLE, Interior, [Fraction(1, 3)], None, "entries"),
    "a negative multiplier": (CLOSED, Empty, [2, -1, 1], -1, "multiplier 1"),
    "a tampered multiplier": (CLOSED, Empty, [1, 1, 2], 0, "slopes"),
    "a tampered equality multiplier": (CLOSED, Empty, [1, 1, 1], Fraction(1, 2), "slopes"),
    "no multiplier at all": (CLOSED, Empty, [0, 0, 0], 0, "all multipliers"),
    "a sum above zero": (TRIANGLE, Empty, [1, 1, 1], 0, "add up to 1"),
    "a multiplier too few": (CLOSED, Empty, [1, 1], 0, "2 multipliers for 3|3 multipliers for 4"),
    "an equality alone that adds up to 0": (([[1, 0]], [0, 0]), Empty, [0], 1, "some row's multiplier"),
    "an equality that is not there": (([[0, 0]], None), Empty, [1], 1, "no equality"),
}


@pytest.mark.parametrize("flaw", FLAWS)
def test_check_refuses_the_planted_flaw(flaw):
    (rows, equality), kind, numbers, multiplier, message = FLAWS[flaw]
    exact = tuple(RATIONAL.lift(numbers))
    outcome = kind(exact) if multiplier is None else kind(exact, RATIONAL.lift([multiplier])[0])
    with pytest.raises(ArithmeticError, match=message):
        check(rows, equality, outcome)


def test_check_accepts_what_the_flaws_were_made_from():
    check(*TRIANGLE, Interior((fmpq(1, 3), fmpq(1, 3))))
    check(*CLOSED, Empty((fmpq(1), fmpq(1), fmpq(1)), fmpq(0)))
    check(*CLOSED, Empty((fmpq(2), fmpq(0), fmpq(1)), fmpq(-1)))
    check([[1, 0]], [0, -3], Empty((fmpq(0),), fmpq(1, 5)))


@given(systems(), st.data())
@settings(max_examples=300)
def test_check_refuses_every_tampered_proof(system, data):
    """One more unit of a row's multiplier adds its slopes, or its constant, to a sum that was (0, ..., 0, c)."""
    rows, equality = system
    outcome = interior(rows, equality)
    if isinstance(outcome, Empty) and rows:
        k = data.draw(st.integers(0, len(rows) - 1))
        changed = [y + (i == k) for i, y in enumerate(outcome.multipliers)]
        flawed = Empty(tuple(changed), outcome.equality_multiplier)
        if any(rows[k][:-1]):
            with pytest.raises(ArithmeticError, match="slopes"):
                check(rows, equality, flawed)


def test_a_wrong_answer_of_the_pivots_is_never_returned(monkeypatch):
    rows = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [-1, -1, -1, -1]]
    assert isinstance(interior(rows), Empty)
    monkeypatch.setattr(linear_program, "solve", lambda *_: Empty((fmpq(1),) * 3 + (fmpq(2),), fmpq(0)))
    with pytest.raises(ArithmeticError, match="slopes"):
        interior(rows)
