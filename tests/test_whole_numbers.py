"""Layers, logits and neurons may be integers of numpy or torch, everywhere, and mean the same as Python's."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from networks import sequential

import dtdsym
from dtdsym.arithmetic.whole import whole_number
from dtdsym.errors import InputError

NETWORK = sequential(([[1, 2], [3, -1]], [0, 1]), ([[1, -1], [2, 1]], [0, 0]), final_relu=False)
X = [1.0, 0.5]
ASKED = {
    "explain": lambda i: dtdsym.explain(NETWORK, X, logit=i(1)),
    "roots": lambda i: dtdsym.roots(NETWORK, X, logit=i(1), layer=i(2)),
    "place": lambda i: dtdsym.place(NETWORK, X, [0, 0], logit=i(1), layer=i(2)).name,
    "region": lambda i: dtdsym.region(NETWORK, X, logit=i(1), layer=i(2)).gradient,
    "exact_root": lambda i: dtdsym.exact_root(NETWORK, X, logit=i(1), layer=i(1), neuron=i(1)).point,
    "nearest_root": lambda i: dtdsym.nearest_root(NETWORK, X, logit=i(1), layer=i(2), neuron=i(1)).point,
    "lowest_relevance": lambda i: dtdsym.lowest_relevance(NETWORK, X, logit=i(1), layer=i(1), neuron=i(0)).value,
    "explain_by_nearest_roots": lambda i: dtdsym.explain_by_nearest_roots(NETWORK, X, logit=i(1)).relevance,
    "decide": lambda i: str(dtdsym.decide("c5", NETWORK, X, logit=i(1), layer=i(2))),
    "arrangement": lambda i: dtdsym.arrangement(NETWORK, logit=i(1)).counts,
    "walk": lambda i: dtdsym.walk(NETWORK, X, [0, 0], logit=i(1)).times,
    "audit, a layer": lambda i: audited(logit=i(1), layers=i(2)),
    "audit, layers": lambda i: audited(logit=i(1), layers=(i(1), i(2))),
}


def audited(**asked) -> str:
    report = dtdsym.audit(NETWORK, [X], **asked).to_json()
    return json.dumps([[row["layer"], row["places"]] for row in report["roots"]] + [report["claims"][0]["statement"]])


@pytest.mark.parametrize("kind", [np.int64, np.uint8, torch.tensor], ids=["int64", "uint8", "tensor"])
@pytest.mark.parametrize("name", ASKED)
def test_integers_of_other_kinds_mean_the_same(name, kind):
    assert ASKED[name](kind) == ASKED[name](int)


def test_budgets_may_be_numpys_numbers():
    budget = dtdsym.Budget(seconds=np.float32(9), cells=np.int64(9))
    assert dtdsym.region(NETWORK, X, budget=budget).gradient == dtdsym.region(NETWORK, X).gradient


@pytest.mark.parametrize("wrong", [1.0, "1", None, [1], 1.5])
@pytest.mark.parametrize(
    "ask",
    [
        lambda wrong: dtdsym.explain(NETWORK, X, logit=wrong),
        lambda wrong: dtdsym.roots(NETWORK, X, layer=wrong),
        lambda wrong: audited(layers=[wrong]),
        lambda wrong: audited(logit=wrong),
    ],
    ids=["logit", "layer", "audited layers", "audited logit"],
)
def test_what_is_no_integer_is_refused_by_name(ask, wrong):
    with pytest.raises(InputError, match=r"give a whole number|give whole numbers|does not exist"):
        ask(wrong)


def test_a_layer_that_is_no_number_is_refused_alone_too():
    with pytest.raises(InputError, match=r"layer 1.5: give whole numbers, or all"):
        audited(layers=1.5)


def test_only_integers_are_whole_numbers():
    assert whole_number(np.int64(-3)) == -3
    assert whole_number(3.0) is None
    assert whole_number("3") is None
    assert type(whole_number(np.uint8(3))) is int
