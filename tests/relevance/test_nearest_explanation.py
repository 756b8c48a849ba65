"""Full backward explanations by nearest admissible roots: they are Definition 3 with these roots as constants."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from networks import sequential
from strategies import PLANE_POINTS, layers

import dtdsym
from dtdsym.errors import InputError, OnHinge, UnsupportedLayer
from dtdsym.relevance.nearest_explanation import apart, explain_by_nearest_roots
from dtdsym.relevance.nearest_root import NearestRoot
from dtdsym.relevance.recursion import recursion

SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)
TINY = Fraction(1, 10**9)


def activations(network, x):
    """a_1, ..., a_n of a network of dense layers and ReLUs."""
    found, value = [], list(x)
    for node in network.nodes[1:]:
        if hasattr(node, "weight"):
            found.append(tuple(value))
            pairs = zip(node.weight.tolist(), node.bias.tolist(), strict=True)
            value = [sum((Fraction(w) * a for w, a in zip(row, value, strict=True)), Fraction(b)) for row, b in pairs]
        else:
            value = [max(a, Fraction(0)) for a in value]
    return found


@SLOW
@given(pairs=layers(), x=PLANE_POINTS, relu=st.booleans(), norm=st.sampled_from(["l1", "l2", "linf"]))
def test_it_is_definition_3_with_constant_roots(pairs, x, relu, norm):
    """Roots of the upper layers: any constants in the region, here just beside the activations."""
    network = sequential(*pairs, final_relu=relu)
    try:
        found = explain_by_nearest_roots(network, x, norm=norm)
        above = activations(network, x)[1:]
        beside = [tuple(p + TINY * (k + 1) for k, p in enumerate(a)) for a in above]
        for layer, (a, root) in enumerate(zip(above, beside, strict=True), start=2):
            if a and not dtdsym.place(network, x, root, layer=layer).inside:
                return
    except OnHinge:
        return
    size = len(pairs[0][0])
    still = dtdsym.constant_root(x)  # of neurons that pass nothing down
    first = [still] * size
    for j, root in found.roots.items():
        first[j] = dtdsym.constant_root(root.point if isinstance(root, NearestRoot) else x)
    upper = [dtdsym.constant_root(root) for root in beside]
    if not relu and len(pairs) == 1 and network(x)[0] == 0:
        return
    try:
        wanted = recursion(network, x, [first, *upper], check=False)
    except OnHinge:  # a root on a hinge that the way to the input does not leave
        return
    assert found.relevance == tuple(wanted)


def test_every_root_is_nearest_and_the_sum_is_what_reaches_the_inputs():
    network = sequential(([[1, 1], [1, -1]], [0, 0]), ([[1, 2]], [Fraction(1, 4)]))
    x = (3, 1)
    found = explain_by_nearest_roots(network, x)
    assert {j: root.point for j, root in found.roots.items()} == {
        j: dtdsym.nearest_root(network, x, neuron=j).point for j in (0, 1)
    }
    assert sum(found.relevance) == 1 * 4 + 2 * 2
    assert (found.missing, found.lost) == ((), 0)


def test_a_neuron_without_a_root_loses_its_share():
    """[[x] + [x + 1]] at 2: x + 1 is zero at -1, where [x] has another pattern."""
    network = sequential(([[1], [1]], [0, 1]), ([[1, 1]], [0]))
    found = explain_by_nearest_roots(network, (2,))
    assert (found.missing, found.lost, found.relevance) == ((1,), 3, (2,))


def test_neurons_that_do_not_matter_need_no_root():
    network = sequential(([[1], [1]], [0, 1]), ([[1, 0]], [0]))
    assert explain_by_nearest_roots(network, (2,)).roots.keys() == {0}


def test_pictures_apart():
    one, other = (Fraction(1), Fraction(3)), (Fraction(3), Fraction(1))
    assert apart(one, (Fraction(2), Fraction(6))) == 0
    assert apart(one, other) == Fraction(1, 2)
    assert apart(one, (Fraction(-1), Fraction(-3))) == 1
    assert apart(one, (Fraction(0), Fraction(0))) is None


def test_other_networks_are_refused():
    pool = dtdsym.from_module(*pooled())
    with pytest.raises(UnsupportedLayer, match="node 1 '0', MaxPool of node 0: this is for plain networks"):
        explain_by_nearest_roots(pool, (1, 2, 3, 4))
    with pytest.raises(InputError, match="norm 'l3': expected l1"):
        explain_by_nearest_roots(sequential(([[1]], [0])), (1,), norm="l3")


def pooled():
    import torch

    return torch.nn.Sequential(torch.nn.MaxPool1d(2), torch.nn.Linear(2, 1)), torch.zeros(1, 4)


@pytest.mark.parametrize(
    ("more", "words"), [({"norm": "l2:nonnegative"}, "norm"), ({"norm": ""}, "norm"), ({"domain": 5}, "domain 5")]
)
def test_arguments_are_refused_by_their_own_names(more, words):
    with pytest.raises(InputError, match=words):
        explain_by_nearest_roots(sequential(([[1, 1]], [1])), (1, 1), **more)
