"""The network line: every kind of network is lowered to few kinds of nodes, and what is not one of them is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from certified import RULES, certificates, claim_lines, refusals, said

from dtdsym.certificate.network import lowered, network_hash
from dtdsym.network.builder import Builder
from dtdsym.network.network import Network

X = (1, -2, 3, 1, 2, -1, 4, 2)


def ending(end: str) -> Network:
    """A convolution with batch normalisation, and what is named at the end, on inputs (2, 4); two outputs at least."""
    build = Builder((2, 4))
    weight = np.array([[[1.0, -1.0, 2.0], [0.0, 1.0, -1.0]], [[-1.0, 2.0, 0.0], [1.0, 1.0, -2.0]]])
    value = build.convolve(build.input, weight, np.array([1.0, -2.0]), padding=1)
    value = build.relu(normalised(build, value))
    match end:
        case "a convolution":
            value = build.convolve(value, weight[:1], np.array([1.0]), stride=1)
        case "a convolution with batch normalisation and a ReLU":
            value = build.relu(normalised(build, build.convolve(value, weight, np.array([0.5, 3.0]), stride=3)))
        case "a linear layer":
            value = build.linear(build.flatten(value), np.arange(-8.0, 8.0).reshape(2, 8) / 4, np.array([1.0, 2.0]))
        case "a linear layer with batch normalisation":
            value = build.linear(build.flatten(value), np.arange(-8.0, 8.0).reshape(2, 8) / 4, np.array([1.0, 2.0]))
            value = normalised(build, value)
        case "batch normalisation":
            value = normalised(build, build.max_pool(value, [2], stride=2))
        case "an average pool":
            value = build.average_pool(value, [3], stride=2, padding=1, count_padding=False)
        case "constants":
            value = build.scale(build.max_pool(value, [2], stride=2), np.array([[2.0], [-1.0]]), 0.5, 3.0)
    return build.network(value)


def normalised(build, value):
    half, ones = np.array([0.5, -0.5]), np.array([1.0, 3.0])
    return build.batch_norm(value, half, ones, np.array([0.25, 1.0]), ones, 1e-5)


ENDS = (
    "a convolution", "a convolution with batch normalisation and a ReLU", "a linear layer",
    "a linear layer with batch normalisation", "batch normalisation", "an average pool", "constants",
)  # fmt: skip


@pytest.mark.parametrize("fold", [True, False], ids=["folded", "unfolded"])
@pytest.mark.parametrize("end", ENDS)
def test_every_logit_of_any_network_is_certified(end, fold):
    network = ending(end) if fold else ending(end).unfolded()
    for logit in range(network.sizes[-1]):
        lines = certificates(network, X, rules=RULES, logit=logit)
        assert len(lines) > 2 + 4 * len(RULES)
        assert refusals(lines) == []


def test_claims_about_all_roots_of_a_last_convolution_are_accepted():
    lines = claim_lines(ending("a convolution"), X, ["c5", "c6", "conservation"], RULES)
    assert len(lines) == 2 + 2 * 3 * len(RULES)
    assert refusals(lines) == []


def test_the_hash_says_how_batch_normalisation_is_numbered():
    network = ending("a linear layer")
    assert network.unfolded().sha256 == network.sha256
    assert network_hash(network.unfolded()) != network_hash(network)
    kinds = [(node["node"], node["layer"]) for node in lowered(network) if node["node"] == "Linear"]
    assert kinds == [("Linear", 1), ("Linear", 2)]
    assert [node["layer"] for node in lowered(network.unfolded()) if node["node"] == "Linear"] == [1, 2, 3]


def test_the_hash_says_how_branches_are_numbered():
    """Two branches, one after the other in either order: the same function, with other layers 1 and 2."""
    hashes = set()
    for order in (1, -1):
        build = Builder((1,))
        made = [build.linear(build.input, np.array([[w]]), np.array([1.0])) for w in (1.0, 2.0)[::order]][::order]
        network = build.network(build.add(*map(build.relu, made)))
        assert [node["layer"] for node in lowered(network) if node["node"] == "Linear"] == [1, 2]
        hashes.add((network.sha256, network_hash(network)))
    (one, own), (other, others) = hashes
    assert one == other
    assert own != others


def test_the_weights_and_the_windows_of_a_convolution_stand_once():
    build = Builder((1, 16, 16))
    weight = np.full((5, 1, 3, 3), 0.1)
    _, node, _ = lowered(build.network(build.convolve(build.input, weight, None, padding=1)))
    assert (len(node["weights"]), len(node["fields"]), len(node["neurons"])) == (5, 16 * 16, 5 * 16 * 16)


def linear(**changed) -> dict:
    """A linear node on an input of 3 numbers."""
    node = {"node": "Linear", "sources": [0], "layer": 1, "fields": [[0, 1], [2, -1]], "weights": [["1", "1/2"]]}
    return {**node, "bias": ["0"], "neurons": [[0, 0], [1, 0]], **changed}


WIDE = {"fields": [[-1] * 4096], "weights": [["1"] * 4096], "neurons": [[0, 0]] * 4097}
WRONG = {
    "another layer first": ([linear(layer=2)], "layer 2 stands where layer 1 belongs"),
    "a layer twice": ([linear(), linear()], "layer 1 stands where layer 2 belongs"),
    "no layer with a number": ([linear(layer=0)], "a network without a layer"),
    "an index twice in a field": ([linear(fields=[[0, 0], [2, -1]])], "an index stands twice in a field"),
    "an index beyond the source": ([linear(fields=[[0, 3], [2, -1]])], "fields[0] 3 is out of range"),
    "fields of different lengths": ([linear(fields=[[0, 1], [2]])], "fields: rows of different or no length"),
    "empty fields": ([linear(fields=[[], []])], "fields: rows of different or no length"),
    "weights of another length": ([linear(weights=[["1"]])], "weights[0] has 1 entries, 2 were expected"),
    "a bias too few": ([linear(bias=[])], "bias has 0 entries, 1 were expected"),
    "a neuron on no field": ([linear(neurons=[[2, 0]])], "neurons[0] 2 is out of range"),
    "a neuron without weights": ([linear(neurons=[[0, 1]])], "neurons[0] 1 is out of range"),
    "a neuron of three": ([linear(neurons=[[0, 0, 0]])], "neurons[0] has 3 entries, 2 were expected"),
    "no neuron": ([linear(neurons=[])], "0 numbers; this checker takes from 1 to"),
    "too many neurons": ([linear(**WIDE)], "16781312 numbers; this checker takes"),
    "two sources of a ReLU": ([linear(), {"node": "Relu", "sources": [1, 1]}], "2 sources are too few or too many"),
    "no source": ([linear(sources=[])], "0 sources are too few or too many"),
    "a source to come": ([linear(sources=[1])], "sources[0] 1 is out of range"),
    "one summand": ([linear(), {"node": "Add", "sources": [1]}], "1 sources are too few or too many"),
    "three summands": ([linear(), {"node": "Add", "sources": [1, 1, 1]}], "3 sources are too few or too many"),
    "different summands": ([linear(), {"node": "Add", "sources": [0, 1]}], "the summands have different sizes"),
    "one part": ([linear(), {"node": "Concat", "sources": [1]}], "1 sources are too few or too many"),
    "nothing taken": ([linear(), {"node": "Take", "sources": [1], "index": []}], "0 numbers; this checker takes"),
    "padding in a max-pool": ([linear(), {"node": "MaxPool", "sources": [1], "index": [[-1]]}], "-1 is out of range"),
    "a convolution": ([{"node": "Convolution", "sources": [0]}], "a node of kind 'Convolution' is unknown"),
    "a key more": ([linear(groups=1)], "key 'groups' is unknown here"),
    "a second input": ([linear(), {"node": "Input", "size": 1}], "the first node, and no other, is the Input"),
}


@pytest.mark.parametrize("name", WRONG)
def test_nodes_that_are_not_as_described_are_refused_by_name(name):
    nodes, words = WRONG[name]
    line = {"format": "dtdsym-certificates/2", "network": "0" * 64, "nodes": [{"node": "Input", "size": 3}, *nodes]}
    ((_, good, told),) = said([json.dumps(line)])
    assert not good
    assert words in told


def test_the_nodes_that_the_wrong_ones_are_made_of_are_right():
    line = {"format": "dtdsym-certificates/2", "network": "0" * 64, "nodes": [{"node": "Input", "size": 3}, linear()]}
    ((_, _, told),) = said([json.dumps(line)])
    line["network"] = told.split("hash is ")[1].split(",")[0]
    assert said([json.dumps(line)]) == []


@pytest.mark.parametrize("version", [1, 3, None])
def test_another_version_of_the_format_is_refused_by_name(version):
    line = {"format": f"dtdsym-certificates/{version}", "network": "", "fold": True, "nodes": []}
    ((_, _, told),) = said([json.dumps(line)])
    assert "is unknown; this is a checker of dtdsym-certificates/2" in told
