"""Affine maps in every order of summation, tight radii, flushed subnormals; each part of each bound is needed."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction
from itertools import permutations
from math import inf, isfinite

import numpy as np
import pytest
import torch
from enclosure_oracle import enclosed, finite, holds, known, points, random_layer, random_points, sums
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dtdsym.arithmetic import enclosure, rounding
from dtdsym.arithmetic.enclosure import ENCLOSURE, Enclosure, exact
from dtdsym.arithmetic.rounding import ETA, UNIT
from dtdsym.errors import NotExact

# The affine map


@st.composite
def layers(draw):
    inputs, outputs = draw(st.integers(1, 6)), draw(st.integers(1, 3))
    weight = [[draw(finite) for _ in range(inputs)] for _ in range(outputs)]
    return weight, [draw(finite) for _ in range(outputs)], [draw(known()) for _ in range(inputs)]


@settings(max_examples=300)
@given(layer=layers())
@example(layer=([[2.0**-537]], [0.0], [(2.0**-538, 0.0, Fraction(2) ** -538)]))
@example(layer=([[1e300, 1e300]], [0.0], [(1e-310, 0.0, Fraction(1e-310)), (3e-310, 0.0, Fraction(3e-310))]))
@example(layer=([[5 * ETA]], [0.0], [(0.0, 2.0**1000 + 2.0**948, Fraction(2) ** 1000 + Fraction(2) ** 948)]))
def test_affine_maps_are_enclosed(layer):
    weight, bias, entries = layer
    value, truths = enclosed(entries)
    out = ENCLOSURE.affine(np.array(weight), np.array(bias), value)
    assert out.shape == (len(bias),)
    holds(out, sums(weight, bias, truths))


def in_order(row, bias, x, order):
    """Products added to the bias one after the other."""
    out = bias
    for i in order:
        out = out + row[i] * x[i]
    return out


def in_blocks(row, bias, x, order):
    """Two partial sums, the bias last."""
    half = len(order) // 2
    return (in_order(row, 0.0, x, order[:half]) + in_order(row, 0.0, x, order[half:])) + bias


def fused(row, bias, x, order):
    """Fused multiply-add: one rounding for a product and a sum."""
    out = bias
    for i in order:
        out = float(Fraction(row[i]) * Fraction(x[i]) + Fraction(out))
    return out


@settings(max_examples=60)
@given(layer=layers(), seed=st.integers(0, 10**6))
@pytest.mark.parametrize("compute", [in_order, in_blocks, fused], ids=lambda f: f.__name__)
def test_the_radius_of_an_affine_map_covers_every_order_of_summation(compute, layer, seed):
    weight, bias, entries = layer
    x = [entry[0] for entry in entries]
    rads = ENCLOSURE.affine(np.array(weight), np.array(bias), points(*x)).rad.tolist()
    exact_sums = sums(weight, bias, [Fraction(entry) for entry in x])
    orders = list(permutations(range(len(x))))
    for row, b, rad, truth in zip(weight, bias, rads, exact_sums, strict=True):
        for k in range(3):
            try:
                rounded = compute(row, b, x, orders[(seed * (k + 1)) % len(orders)])
            except OverflowError:
                continue
            assert rad == inf or not isfinite(rounded) or abs(Fraction(rounded) - truth) <= Fraction(rad)


@pytest.mark.parametrize("order", ["as stored", "reversed", "split"])
def test_batches_and_single_rows_enclose_alike_in_any_order(order):
    weight, bias = random_layer(64, 5, seed=1)
    x = random_points(9, 64, seed=2)
    columns = {"as stored": np.arange(64), "reversed": np.arange(64)[::-1], "split": np.argsort(np.arange(64) % 7)}[
        order
    ]
    shuffled, value = weight[:, columns].copy(), exact(x[:, columns.copy()])
    truths = [sums(weight, bias, [Fraction(entry) for entry in row]) for row in x.tolist()]
    batch = ENCLOSURE.affine(shuffled, bias, value)
    for i, truth in enumerate(truths):
        holds(batch[i], truth)
        holds(ENCLOSURE.affine(shuffled, bias, value[i]), truth)
    assert ENCLOSURE.affine(shuffled, bias, value.reshape(3, 3, 64)).shape == (3, 3, 5)


def test_the_rounding_of_the_radius_itself_is_enclosed():
    weight = [1.0] + [UNIT * 0.75] * 1023
    value = Enclosure(torch.zeros(3, 1024, dtype=torch.float64), torch.ones(3, 1024, dtype=torch.float64))
    holds(ENCLOSURE.affine(np.array([weight] * 5), np.zeros(5), value), [sum(map(Fraction, weight))] * 15)


def test_radii_stay_close_to_n_u_times_the_absolute_sum():
    weight, bias = random_layer(300, 20, seed=3)
    x = random_points(10, 300, seed=4)
    size = x.abs() @ torch.tensor(abs(weight)).T + torch.tensor(abs(bias))
    assert (ENCLOSURE.affine(weight, bias, exact(x)).rad <= 1.1 * 300 * UNIT * size).all()
    assert (ENCLOSURE.total(exact(x)).rad <= 1.1 * 300 * UNIT * x.abs().sum(1)).all()
    assert ((exact(x) * exact(x)).rad <= 1.01 * UNIT * x * x).all()
    assert ((exact(x) / exact(x[0])).rad <= 2.01 * UNIT * (x / x[0]).abs()).all()
    assert ((exact(x) + exact(x[0])).rad <= UNIT * (x + x[0]).abs() * (1 + 1e-9)).all()


# Flushed subnormals are noticed


def test_a_thread_that_flushes_subnormals_is_refused():
    value = points(1, 2)
    assert torch.set_flush_denormal(True)
    try:
        for act in (lambda: exact(1.0), lambda: value + value, lambda: ENCLOSURE.total(value)):
            with pytest.raises(NotExact, match="set_flush_denormal"):
                act()
    finally:
        torch.set_flush_denormal(False)
    holds(value + value, [Fraction(2), Fraction(4)])


def test_workers_that_started_while_subnormals_were_flushed_are_noticed():
    script = (
        "import torch; torch.set_num_threads(2); torch.set_flush_denormal(True); torch.ones(1 << 20).mul_(2.0)\n"
        "torch.set_flush_denormal(False)\n"
        "from dtdsym.arithmetic.enclosure import exact\n"
        "exact(1.0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "NotExact: subnormal numbers are flushed" in done.stderr


# Planted flaws: each part of each bound, once taken away, is missed by the oracle


ONE_AND_TINIES = [1.0] + [UNIT] * 63


def affine_of_many_terms():
    weight, bias = random_layer(64, 8, seed=7)
    x = random_points(64, seed=8)
    holds(ENCLOSURE.affine(weight.copy(), bias, exact(x)), sums(weight, bias, [Fraction(xi) for xi in x.tolist()]))


def affine_in_the_worst_order():
    rad = ENCLOSURE.affine(np.array([ONE_AND_TINIES]), np.zeros(1), exact(torch.ones(64))).rad.item()
    assert in_order(ONE_AND_TINIES, 0.0, [1.0] * 64, range(64)) == 1
    assert 63 * Fraction(UNIT) <= Fraction(rad)


def total_in_the_worst_order():
    assert sum(ONE_AND_TINIES) == 1
    assert 63 * Fraction(UNIT) <= Fraction(ENCLOSURE.total(points(*ONE_AND_TINIES)).rad.item())


def affine_of_tiny_terms():
    holds(ENCLOSURE.affine(np.array([[2.0**-600]]), np.zeros(1), points(2.0**-600)), [Fraction(2) ** -1200])


def product_of_tenths():
    holds(points(0.1) * 0.1, [Fraction(0.1) ** 2])


def product_of_tiny_numbers():
    holds(points(2.0**-600) * points(2.0**-600), [Fraction(2) ** -1200])


def quotient_of_a_third():
    holds(points(1.0) / 3, [Fraction(1, 3)])


def total_of_tenths():
    holds(ENCLOSURE.total(points(*[0.1] * 10)), [10 * Fraction(0.1)])


def sum_that_rounds():
    holds(points(1.0) + UNIT / 2, [1 + Fraction(UNIT) / 2])


def radii_that_round():
    left, right = (Enclosure(torch.zeros(1).double(), torch.tensor([r]).double()) for r in (1.0, 2.0**-60))
    holds(left + right, [1 + Fraction(2) ** -60])


def no_error(left, right, total):
    return torch.zeros_like(total)


@pytest.mark.parametrize(
    ("module", "name", "flaw", "experiment"),
    [
        (rounding, "UNIT", 0.0, affine_of_many_terms),
        (rounding, "UNIT", UNIT / 2, affine_in_the_worst_order),
        (enclosure, "UNIT", UNIT / 2, total_in_the_worst_order),
        (rounding, "ETA", 0.0, affine_of_tiny_terms),
        (enclosure, "UNIT", 0.0, product_of_tenths),
        (enclosure, "ETA", 0.0, product_of_tiny_numbers),
        (enclosure, "UNIT", 0.0, quotient_of_a_third),
        (enclosure, "UNIT", 0.0, total_of_tenths),
        (enclosure, "sum_error", no_error, sum_that_rounds),
        (enclosure, "GROW", 1.0, radii_that_round),
    ],
    ids=lambda part: part.__name__.rpartition(".")[2] if hasattr(part, "__name__") else str(part),
)
def test_a_bound_without_one_of_its_parts_is_caught(monkeypatch, module, name, flaw, experiment):
    experiment()
    monkeypatch.setattr(module, name, flaw)
    with pytest.raises(AssertionError):
        experiment()
