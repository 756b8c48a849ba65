"""Sanity checks: known networks, loops written from the paper, seeds, batches, and refusals."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

import dtdsym
from dtdsym.errors import InputError, RuleError
from dtdsym.network.network import sequential
from dtdsym.network.randomise import randomised, tied_layers
from dtdsym.relevance import explain as explaining
from dtdsym.survey.sanity import CONTROL, SHOWN

TABLES = ("difference", "changed", "rank_correlation", "counts", "outputs", "other_outputs", "shown")


def random_network(*sizes, seed=0):
    rng = np.random.default_rng(seed)
    layers = ((rng.normal(size=(n, m)), rng.normal(size=n)) for m, n in pairwise(sizes))
    return sequential(*layers, final_relu=False)


NETWORK = random_network(6, 8, 7, 4)
INPUTS = np.abs(np.random.default_rng(1).normal(size=(9, 6)))


def paper_map(relevance):
    """Clip to the 0.5 and 99.5 percentile, scale to [0, 1]."""
    low, high = np.percentile(relevance, [0.5, 99.5])
    return (np.clip(relevance, low, high) - low) / (high - low)


def by_loops(network, other_network, x, rule, logit, other):
    """(mean absolute difference, share of pixels moved by more than 1/4), of exact explanations per unit of logit."""
    maps = []
    for net, k in ((network, logit), (other_network, other)):
        exact = dtdsym.explain(net, x.tolist(), rule, k)
        maps.append(paper_map(np.array([float(entry / net(x.tolist())[k]) for entry in exact])))
    apart = np.abs(maps[0] - maps[1])
    return apart.mean(), (apart > 0.25).mean()


def gradient_by_loops(network, x, logit):
    """Central differences of an exact piecewise linear function, times x: rounded once, off the hinges."""
    step = 2.0**-20
    found = []
    for i in range(len(x)):
        up, down = x.copy(), x.copy()
        up[i] += step
        down[i] -= step
        found.append(float((network(up.tolist())[logit] - network(down.tolist())[logit]) / 2) / step * x[i])
    return np.array(found)


@pytest.mark.parametrize("rule", ["zplus", "epsilon:0.1", "alpha_beta:1:0", "lrp0", "first=w2,*=gamma:0.5"])
def test_other_class_is_what_loops_over_the_inputs_find(rule):
    found = dtdsym.other_class(NETWORK, INPUTS, rule, seed=4)
    assert found.asked.logits.tolist() == [int(np.argmax(NETWORK(x.tolist()))) for x in INPUTS]
    assert all(one != other for one, other in zip(found.asked.logits, found.others, strict=True))
    for number, (x, logit, other) in enumerate(zip(INPUTS, found.asked.logits, found.others, strict=True)):
        expected = by_loops(NETWORK, NETWORK, x, rule, int(logit), other)
        assert [float(found.difference[0, 0, number]), float(found.changed[0, 0, number])] == pytest.approx(expected)
        control = np.abs(np.subtract(*(paper_map(gradient_by_loops(NETWORK, x, k)) for k in (int(logit), other))))
        assert float(found.difference[1, 0, number]) == pytest.approx(control.mean(), rel=1e-9)
        assert float(found.changed[1, 0, number]) == pytest.approx((control > 0.25).mean())
        assert float(found.outputs[number]) == pytest.approx(float(NETWORK(x.tolist())[logit]))
        assert float(found.other_outputs[0, number]) == pytest.approx(float(NETWORK(x.tolist())[other]))


@pytest.mark.parametrize("law", ["normal", "permuted"])
def test_randomisation_is_what_loops_over_layers_and_inputs_find(law):
    layers = tied_layers(NETWORK)
    networks = {
        dtdsym.cascading_randomisation: [randomised(NETWORK, layers[: n + 1], seed=2, law=law) for n in range(3)],
        dtdsym.independent_randomisation: [randomised(NETWORK, [tied], seed=2, law=law) for tied in layers],
    }
    for check, others in networks.items():
        found = check(NETWORK, INPUTS[:3], "epsilon:0.1", seed=2, weights=law)
        for step, network in enumerate(others):
            for number, (x, logit) in enumerate(zip(INPUTS[:3], found.asked.logits, strict=True)):
                expected = by_loops(NETWORK, network, x, "epsilon:0.1", int(logit), int(logit))
                got = float(found.difference[0, step, number]), float(found.changed[0, step, number])
                assert got == pytest.approx(expected)


def test_steps_go_from_the_output_down_and_share_their_draws():
    down, alone = (
        check(NETWORK, INPUTS, "zplus", seed=7)
        for check in (dtdsym.cascading_randomisation, dtdsym.independent_randomisation)
    )
    assert down.steps == ("layer 3", "down to layer 2", "down to layer 1")
    assert alone.steps == ("layer 3", "layer 2", "layer 1")
    one, other = (found.difference.nan_to_num(9) for found in (down, alone))
    assert torch.equal(one[:, 0], other[:, 0])
    assert not torch.equal(one[:, 1], other[:, 1])


# Two equal neurons, so that z+ maps are w+ o a for every output with a positive weight, in whatever scale.
PATHS = sequential(([[1, 2, 3, 4, 0]] * 2, [0, 0]), ([[1, 1], [1, -3], [0.5, 0.25]], [0, 0, 0]), final_relu=False)


def test_zplus_cannot_see_the_class_where_the_control_is_turned_over():
    x = np.array([[1.0, 1, 1, 2, 5], [3, 2, 1, 1, 5]])
    found = dtdsym.other_class(PATHS, x, "zplus", logit=0, other=1)
    assert found.difference[0].max() < 1e-12
    assert found.changed[0].max() == 0
    assert torch.allclose(found.rank_correlation[0], torch.ones(1, 2).double())
    maps = np.array([paper_map(point * [1, 2, 3, 4, 0]) for point in x])
    assert found.difference[1, 0].tolist() == pytest.approx(np.abs(2 * maps - 1).mean(1))
    assert torch.allclose(found.rank_correlation[1], -torch.ones(1, 2).double())
    towards = dtdsym.other_class(PATHS, x, "zplus", logit=0, other=2)
    assert towards.difference.max() < 1e-12


@pytest.mark.parametrize("seed", range(6))
def test_the_top_of_one_path_turns_the_control_or_leaves_it(seed):
    """One neuron below the output: whatever its weight, z+ shows the same map, or none where it is negative."""
    path = sequential(([[1, 2, 3, 4]], [0]), ([[2]], [0]), final_relu=False)
    found = dtdsym.independent_randomisation(path, [[1, 1, 1, 1]], "zplus", logit=0, seed=seed)
    weight = randomised(path, tied_layers(path)[:1], seed=seed).layer(2).linear.weight.item()
    top = found.difference[:, 0, 0].tolist()
    if weight > 0:
        assert top == pytest.approx([0, 0], abs=1e-12)
    else:
        assert np.isnan(top[0])
        assert top[1] == pytest.approx(np.abs(2 * paper_map(np.array([1, 2, 3, 4])) - 1).mean())
        assert found.rows[0].measured == 0


def test_drawing_what_stays_the_same_moves_nothing_and_is_named():
    network = sequential(([[1, 1], [1, 1]], [0, 0]), ([[2, 1]], [0]), final_relu=False)
    found = dtdsym.independent_randomisation(network, [[1, 2], [3, 1]], ["zplus", "lrp0"], weights="permuted", seed=1)
    assert found.unchanged == ("layer 1",)
    assert (found.difference[:, 1] == 0).all()
    assert (found.changed[:, 1] == 0).all()


def test_the_sign_of_the_output_turns_the_map_only_where_it_starts_from_the_output():
    network = sequential(([[1, 0], [0, 1]], [0, 0]), ([[1, 2], [2, 4]], [0, -100]), final_relu=False)
    one, output = (
        dtdsym.other_class(network, [[1, 1]], "zplus", logit=0, other=1, start=start) for start in ("one", "output")
    )
    assert one.difference[0].item() < 1e-12
    assert output.difference[0].item() == 1
    assert output.other_outputs.item() < 0
    absolute = dtdsym.other_class(network, [[1, 1]], "zplus", logit=0, other=1, start="output", absolute=True)
    assert absolute.difference[0].item() < 1e-12


CHECKS = {
    "other class": lambda *asked, **how: dtdsym.other_class(*asked, **how),
    "other logit": lambda *asked, **how: dtdsym.other_logit(*asked, categories=[[0, 2, 3]], **how),
    "cascading": lambda *asked, **how: dtdsym.cascading_randomisation(*asked, **how),
    "independent": lambda *asked, **how: dtdsym.independent_randomisation(*asked, **how),
}


@pytest.mark.parametrize("check", CHECKS)
def test_a_check_is_reproduced_by_its_seed_and_differs_with_another(check):
    logits = [0, 2, 3, 0, 2, 3, 0, 2, 3]
    first, again, other = (CHECKS[check](NETWORK, INPUTS, "zplus", logit=logits, seed=s) for s in (5, 5, 6))
    for name in TABLES:
        assert torch.equal(getattr(first, name).nan_to_num(9), getattr(again, name).nan_to_num(9)), name
    assert first.others == again.others
    assert not torch.equal(first.difference, other.difference)


@pytest.mark.parametrize("check", CHECKS)
def test_a_batch_is_what_its_parts_are(check, monkeypatch):
    whole = CHECKS[check](NETWORK, INPUTS, ["zplus", "pinv"], logit=0, seed=5)
    monkeypatch.setattr(explaining, "ENTRIES", 16)  # two inputs at a time
    parts = CHECKS[check](NETWORK, INPUTS, ["zplus", "pinv"], logit=0, seed=5)
    assert len(parts.asked.parts()) == 5
    for name in TABLES:
        one, other = (getattr(found, name).double() for found in (whole, parts))
        assert torch.allclose(one, other, rtol=0, atol=1e-9, equal_nan=True), name


def test_one_by_one_is_as_in_a_batch():
    whole = dtdsym.other_class(NETWORK, INPUTS, "gamma:1", seed=5)
    drawn = dtdsym.cascading_randomisation(NETWORK, INPUTS, "gamma:1", seed=5)
    for number, x in enumerate(INPUTS):
        logit, other = whole.asked.logits[number], whole.others[number]
        alone = dtdsym.other_class(NETWORK, x[None], "gamma:1", logit=logit, other=other)
        assert torch.allclose(alone.difference[:, :, 0], whole.difference[:, :, number], atol=1e-12)
        alone = dtdsym.cascading_randomisation(NETWORK, x[None], "gamma:1", seed=5)
        assert torch.allclose(
            alone.rank_correlation[:, :, 0], drawn.rank_correlation[:, :, number], atol=1e-12, equal_nan=True
        )


def test_others_are_drawn_from_the_category_evenly():
    network = random_network(2, 6)
    logits = [0, 1, 2, 3, 4, 5] * 60
    found = dtdsym.other_logit(network, np.ones((360, 2)), logit=logits, categories=[[0, 3], (1, 2, 4, 5)])
    drawn = {}
    for logit, other in zip(logits, found.others, strict=True):
        drawn.setdefault(logit, []).append(other)
    assert set(drawn[0]) == {3}
    assert set(drawn[3]) == {0}
    for logit in (1, 2, 4, 5):
        assert set(drawn[logit]) == {1, 2, 4, 5} - {logit}
        assert min(drawn[logit].count(other) for other in set(drawn[logit])) > 8


def test_pictures_by_a_plug_in_rule_on_a_convolutional_network():
    @dtdsym.register_rule("sanity_half")
    def half(ops, w, a):
        return a * (w > 0) / 2

    torch.manual_seed(2)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 3))
    images = torch.rand(4, 3, 6, 6)
    network = dtdsym.from_module(module, images)
    found = dtdsym.other_class(network, images, ["sanity_half", "zplus"], seed=1)
    assert found.asked.labels == ("sanity_half", "zplus", CONTROL)
    assert found.shown.shape == (3, 2, SHOWN, 36)
    assert torch.allclose(found.difference[0], found.difference[1])  # zplus differs at w = 0 only
    each = dtdsym.other_class(network, images, "zplus", seed=1, channels="each")
    assert each.shown.shape == (2, 2, SHOWN, 108)


def test_progress_is_told_step_by_step():
    told = []
    dtdsym.cascading_randomisation(NETWORK, INPUTS, progress=lambda *done: told.append(done))
    assert told == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: dtdsym.other_class(random_network(2, 1), [[1, 1]]), "has one output"),
        (lambda: dtdsym.other_class(NETWORK, INPUTS, logit=0, other=0), "input 0: other 0 is the explained logit"),
        (lambda: dtdsym.other_class(NETWORK, INPUTS, other=4), "other 4 does not exist; .* outputs 0 to 3"),
        (lambda: dtdsym.other_class(NETWORK, INPUTS, other=[1, 2]), "for 9 inputs; give one"),
        (lambda: dtdsym.other_class(NETWORK, INPUTS, logit="largest"), "logit 'largest' for 9 inputs"),
        (lambda: dtdsym.other_class(NETWORK, INPUTS, logit=[[0], [1, 2]]), "logit .*give one whole number"),
        (lambda: dtdsym.other_class(NETWORK, INPUTS, seed=-1), "seed -1: give a whole number from 0"),
        (lambda: dtdsym.other_class(NETWORK, INPUTS, start="two"), "start 'two': expected one or output"),
        (lambda: dtdsym.other_class(NETWORK, INPUTS, channels="mean"), "channels 'mean'"),
        (lambda: dtdsym.other_class(NETWORK, INPUTS, device="nowhere"), "nowhere: torch cannot use it"),
        (lambda: dtdsym.other_class(NETWORK, [[1.0]]), "this network needs"),
        (lambda: dtdsym.other_class(nn.Linear(2, 2), [[1.0]]), "read it first"),
        (lambda: dtdsym.other_logit(NETWORK, INPUTS, categories=[[0]]), "category .0.: give two or more"),
        (lambda: dtdsym.other_logit(NETWORK, INPUTS, categories=[[0, 1], [1, 2]]), "each in one category only"),
        (lambda: dtdsym.other_logit(NETWORK, INPUTS, categories=[0, 1]), "give lists of logits"),
        (lambda: dtdsym.other_logit(NETWORK, INPUTS, categories=[[0, 9]]), "category 9 does not exist"),
        (lambda: dtdsym.other_logit(NETWORK, INPUTS, logit=3, categories=[[0, 1]]), "logit 3, which is in no category"),
        (lambda: dtdsym.cascading_randomisation(NETWORK, INPUTS, weights="zero"), "weights 'zero': expected normal"),
    ],
)  # fmt: skip
def test_a_wrong_question_is_refused_by_name(wrong, message):
    with pytest.raises(InputError, match=message):
        wrong()


def test_a_wrong_rule_is_refused_by_name():
    with pytest.raises(RuleError, match="unknown rule 'nope'"):
        dtdsym.other_class(NETWORK, INPUTS, "nope")
    with pytest.raises(RuleError, match="no rule is given"):
        dtdsym.other_class(NETWORK, INPUTS, [])
    with pytest.raises(RuleError, match="rule 5: expected a name"):
        dtdsym.other_class(NETWORK, INPUTS, 5)
    with pytest.raises(RuleError, match="has no rule for layer 2"):
        dtdsym.cascading_randomisation(NETWORK, INPUTS, "first=w2")


def test_a_relevance_that_is_not_finite_is_refused():
    big = sequential(([[1e200, 1]], [0]), ([[1e200], [1]], [0, 0]), final_relu=False)
    with pytest.raises(InputError, match=r"relevance by .* is not finite"):
        dtdsym.other_class(big, [[1, 1]], "lrp0", logit=0, other=1)
