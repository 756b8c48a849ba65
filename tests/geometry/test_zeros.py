"""Entries that are said to be zero wherever others are: a dull oracle, and exact values that bear it out."""

from __future__ import annotations

import numpy as np
import pytest
from builders import conv_networks
from enclosure_oracle import frozen
from expansion_oracle import convolutions
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dtdsym.arithmetic import unfold
from dtdsym.arithmetic.rational import RATIONAL, fraction
from dtdsym.geometry.zeros import always_zero, zero_entries
from dtdsym.network.evaluate import evaluate
from dtdsym.network.layers import Convolution

SEEDS = st.integers(0, 2**32 - 1)


@settings(max_examples=120)
@given(case=convolutions(), seed=SEEDS, rows=st.integers(1, 4), most=st.sampled_from([1, 2**25]))
def test_a_convolution_is_zero_where_bias_and_all_that_is_seen_or_all_weights_are(case, seed, rows, most):
    kernel, windows = case
    generator = np.random.default_rng(seed)
    weight = frozen(kernel * (generator.random(len(kernel)) < 0.6).reshape(-1, *[1] * (kernel.ndim - 1)))
    bias = frozen(generator.standard_normal(len(weight)) * (generator.random(len(weight)) < 0.3))
    node, mask = Convolution(weight, bias, 0, windows), generator.random((rows, 2, windows.size)) < 0.8
    each = len(weight) // windows.groups
    expected = [
        [
            [
                bias[o] == 0 and (not weight[o].any() or all(i < 0 or row[i] for i in place))
                for o in range(len(weight))
                for place in windows.index[o // each].tolist()
            ]
            for row in rows_
        ]
        for rows_ in mask.tolist()
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unfold, "NUMBERS", most)
        found = zero_entries(node, {0: mask})
        assert found.tolist() == expected
        assert zero_entries(node, {0: mask[0, 0]}).tolist() == expected[0][0]


@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(network=conv_networks(), seed=SEEDS)
def test_what_is_always_zero_is_zero(network, seed):
    masks = always_zero(network)
    for x in np.random.default_rng(seed).integers(-8, 9, (3, network.sizes[0])):
        values = evaluate(network, RATIONAL, {0: RATIONAL.lift(x)})
        for index, mask in enumerate(masks):
            assert not any(fraction(value) for value in values[index][mask])
