"""Claims on networks with known verdicts, and against the numbers that they speak of."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from networks import SEPARATIONS, sequential
from oracles import train_free
from strategies import PLANE_POINTS, layers

import dtdsym
from dtdsym.arithmetic.rational import ONE
from dtdsym.certificate.claims import claim_line
from dtdsym.claims import c6
from dtdsym.claims.decide import CLAIMS, ask
from dtdsym.claims.placed import PlacedRoot
from dtdsym.claims.verdict import Undecided
from dtdsym.errors import InputError, OnHinge
from dtdsym.geometry.budget import Budget
from dtdsym.geometry.placement import Place
from dtdsym.relevance.composite import parse
from dtdsym.survey.certify import Certificates
from dtdsym.survey.claims import certify_claim

SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
HALF = Fraction(1, 2)
SUM = sequential(([[1, 0], [0, 1]], [0, 0]), ([[1, 1]], [0]))  # [[x1] + [x2]]


def verdict(claim, network, x, **asked) -> str:
    return dtdsym.decide(claim, network, x, **asked).name


def test_c1_as_printed_is_refuted_by_the_papers_counterexample():
    """The region of R^2_1 o f_1 is {x1 > 0}, where [[x1] + [x2]] has two gradients."""
    found = dtdsym.decide("c1", SUM, (1, 1))
    assert found.name == "refuted"
    point = [Fraction(entry) for entry in found.witness["point"]]
    neuron = found.witness["neuron"]
    assert point[neuron] > 0 > point[1 - neuron]


def test_c1_is_refuted_for_all_neurons_together_where_a_layer_above_bends():
    """[3 - [x1] - [x2]] has another gradient where x1 + x2 > 3, though both neurons stay active."""
    network = sequential(([[1, 0], [0, 1]], [0, 0]), ([[-1, -1]], [3]))
    found = dtdsym.decide("c1", network, (1, 1))
    assert found.witness["neuron"] == -1
    assert sum(Fraction(entry) for entry in found.witness["point"]) > 3


def test_c1_is_proved_where_one_neuron_decides():
    assert verdict("c1", sequential(([[1]], [0]), ([[1]], [0])), (1,)) == "proved"


def test_c1_speaks_of_inner_layers_only():
    assert verdict("c1", SUM, (1, 1), layer=2) == "undecided"


@settings(SLOW, max_examples=25)
@given(pairs=layers(), x=PLANE_POINTS)
def test_c2s_roots_make_the_recursion_gradient_times_input_minus_root(pairs, x):
    network = sequential(*pairs)
    found = dtdsym.decide("c2", network, x)
    if found.name == "proved":
        points = [[Fraction(entry) for entry in root] for root in found.witness["roots"]]
        relevance = dtdsym.recursion(network, x, [dtdsym.constant_root(point) for point in points])
        gradient = dtdsym.region(network, x).gradient
        assert tuple(relevance) == tuple(g * (p - q) for g, p, q in zip(gradient, x, points[0], strict=True))


@pytest.mark.parametrize("order", [1, 2, 3])
def test_c4_counts_the_layers_that_bend(order):
    """The k-th derivative of log(1 + exp z) at z = 0: 1/2, 1/4, 0; at 1/2 none of the first three is 0."""
    chain = [([[1]], [0])] * order
    found = dtdsym.decide("c4", sequential(*chain), (Fraction(1, 2),))
    assert found.name == "proved"
    low, high = (Fraction(found.witness["derivatives"][0][end]) for end in ("low", "high"))
    assert float((low + high) / 2) == pytest.approx(1 / (1 + np.exp(-0.5)), abs=1e-15)
    assert [entry["layer"] for entry in found.witness["derivatives"]] == list(range(1, order + 1))


def test_c4s_order_is_the_layers_number_though_other_layers_do_not_bend():
    """Linear, Linear, ReLU, Linear: relevance passes two layers below the logit's before it meets the ReLU's, which R^1
    differentiates twice."""
    network = chain_of("linear", "linear", "relu", "linear")
    found = dtdsym.decide("c4", network, (HALF,))
    assert found.name == "proved"
    assert "up to order 2" in found.statement
    assert [entry["layer"] for entry in found.witness["derivatives"]] == [2]


def chain_of(*kinds):
    """[x] or x again and again, in one dimension."""
    made = {"linear": lambda: torch.nn.Linear(1, 1), "relu": torch.nn.ReLU}
    modules = [made[kind]() for kind in kinds]
    for one in (module for module in modules if isinstance(module, torch.nn.Linear)):
        torch.nn.init.ones_(one.weight)
        torch.nn.init.zeros_(one.bias)
    return dtdsym.from_module(torch.nn.Sequential(*modules), torch.ones(1, 1))


@pytest.mark.parametrize("kinds", [("linear", "relu", "relu"), ("relu", "linear", "relu", "linear")])
@pytest.mark.parametrize("claim", ["c1", "c2", "c3", "c4", "assumption_1"])
def test_claims_about_definition_3_say_which_node_is_in_the_way(claim, kinds):
    found = dtdsym.decide(claim, chain_of(*kinds), (1,), target=(1,))
    assert found.name == "undecided"
    assert "this is for plain networks" in found.reason


def test_c4_does_not_say_that_a_derivative_is_zero():
    """f = [x] with a second layer that is flat: z = 0 there whatever x is, and the second derivative there is 1/4; with
    three layers the third derivative at 0 is 0, which no enclosure shows to be another number."""
    network = sequential(([[1]], [0]), ([[0]], [0]), ([[0]], [0]))
    assert verdict("c4", network, (1,)) == "undecided"


def test_c5_and_c6_name_what_leaves():
    example = SEPARATIONS["on its hinge, not even in the closure: [x1] + [x2-1]"]
    found = dtdsym.decide("c5", example.network, example.x, rule="lrp0")
    assert (found.name, found.bad_news, found.witness["place"]) == ("proved", True, "outside")
    assert verdict("c6", example.network, example.x, rule="lrp0") == "proved"


def test_c5_is_refuted_where_all_roots_stay():
    network = sequential(([[1, 1]], [1]), final_relu=False)  # linear: one region
    found = dtdsym.decide("c5", network, (1, 1), rule="zplus")
    assert (found.name, found.bad_news) == ("refuted", False)
    assert verdict("c6", network, (1, 1), rule="zplus") == "refuted"


@pytest.mark.parametrize(
    ("layers_", "relu", "x", "expected", "theorem"),
    [
        ([([[1]], [-1])], True, (2,), "proved", "speaks"),  # [x - 1]
        (
            [([[1], [-1]], [0, 0]), ([[1, -1]], [0])],
            False,
            (1,),
            "refuted",
            "does not speak",
        ),  # x
        ([([[1]], [0])], True, (1,), "proved", "speaks"),  # [x]: 0 is on the boundary
    ],
)
def test_nonpositive_biases(layers_, relu, x, expected, theorem):
    found = dtdsym.decide("nonpositive_bias", sequential(*layers_, final_relu=relu), x)
    assert (found.name, found.witness["theorem"]) == (expected, theorem)
    assert found.witness["in_closure"] == (expected == "refuted" or layers_[0][1] == [0])


@pytest.mark.parametrize(("slope", "offset", "x"), [(1, -1, HALF), (-1, 0, 1)])
def test_the_theorem_does_not_speak_where_a_layer_has_no_relu(slope, offset, x):
    """Two linear layers below ReLUs: the biases together may be above 0, and the origin in the input's region."""
    first, second = (torch.nn.Linear(1, 1) for _ in range(2))
    with torch.no_grad():
        for module, (weight, bias) in ((first, (slope, offset)), (second, (-1, 0))):
            module.weight.fill_(weight)
            module.bias.fill_(bias)
    for ends in ([torch.nn.ReLU()], [torch.nn.ReLU(), torch.nn.ReLU()]):
        network = dtdsym.from_module(torch.nn.Sequential(first, second, *ends), torch.ones(1, 1))
        found = dtdsym.decide("nonpositive_bias", network, (x,))
        assert found.witness["theorem"] == "does not speak"
        assert found.name == ("refuted" if dtdsym.place(network, (x,), (0,)).inside else "proved")


def test_c3_obeys_its_budget():
    deep = sequential(*[([[1, 0.5], [0.5, 1]], [0, 0])] * 8, ([[1, 1]], [0]))
    found = dtdsym.decide("c3", deep, (1, 1), target=(1, 2), budget=dtdsym.Budget(seconds=0.05))
    assert (found.name, "budget" in found.reason) == ("undecided", True)


@SLOW
@given(pairs=layers(), x=PLANE_POINTS)
def test_conservation_is_the_sum_that_the_oracle_finds(pairs, x):
    network = sequential(*pairs)
    relevances = train_free(pairs, x, "zplus")
    found = dtdsym.decide("conservation", network, x, rule="zplus")
    assert Fraction(found.witness["sum"]) == sum(relevances[0])
    assert (found.name == "proved") == (sum(relevances[0]) == network(x)[0])


@SLOW
@given(pairs=layers(), x=PLANE_POINTS)
def test_assumption_1_is_refuted_by_a_point_where_c_differs(pairs, x):
    network = sequential(*pairs)
    rules = {"zplus": (), "w2": (), "lrp0": (), "gamma": (Fraction(1),), "zbox": (Fraction(-1), Fraction(2))}
    for rule, parameters in rules.items():
        label = ":".join([rule, *map(str, parameters)])
        try:
            found = dtdsym.decide("assumption_1", network, x, rule=label)
        except OnHinge:
            return
        if found.name == "refuted":
            point = [Fraction(entry) for entry in found.witness["point"]]
            j = found.witness["neuron"]
            here, there = (train_free(pairs, p, rule, parameters)[0][j] for p in (x, point))
            assert here / x[j] != there / point[j]


def test_lrp0_has_constant_c_and_zplus_with_a_bias_has_not():
    network = sequential(([[1, 2]], [1]))
    assert verdict("assumption_1", network, (1, 1), rule="lrp0") == "proved"
    assert verdict("assumption_1", network, (1, 1), rule="zplus") == "refuted"
    assert verdict("assumption_1", sequential(([[1, 2]], [0])), (1, 1), rule="zplus") == "proved"
    assert verdict("assumption_1", network, (1, 1), rule="zbox:0:2") == "refuted"


def test_an_unknown_claim_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match="unknown claim 'c9'; the claims are c1, "):
        dtdsym.decide("c9", SUM, (1, 1))


def test_a_spent_budget_is_undecided_and_says_so():
    example = SEPARATIONS["same component, segment leaves it: [[x1] - [x1-x2]]"]
    found = dtdsym.decide("nonpositive_bias", example.network, example.x, budget=Budget(cells=1))
    assert not isinstance(found, Undecided) or "budget" in found.reason


def test_an_input_on_a_hinge_has_no_verdict():
    with pytest.raises(OnHinge):
        dtdsym.decide("c5", SUM, (0, 1))


@pytest.mark.parametrize("claim", CLAIMS)
def test_every_claim_says_what_it_decided(claim):
    if claim == "c3":
        return
    found = dtdsym.decide(claim, SUM, (1, 2))
    assert found.statement.endswith(".")
    assert found.reason.endswith(".")
    assert str(found).startswith(f"{claim}: {found.name}. ")


def test_c4_is_not_proved_where_no_relevance_comes_down():
    dead = sequential(([[1]], [0]), ([[0]], [0]), final_relu=False)
    found = dtdsym.decide("c4", dead, (1,))
    assert found.name == "undecided"
    assert "No path of non-zero weights" in found.reason


@pytest.mark.parametrize(
    ("names", "wanted"), [(("outside", "undecided"), "proved"), (("same_cell", "undecided"), "undecided")]
)
def test_c6_is_proved_by_one_root_whatever_is_left_open(monkeypatch, names, wanted):
    places = [Place(name, "as the test says", (), ()) for name in names]
    roots = [PlacedRoot(j, np.array([ONE, ONE]), place) for j, place in enumerate(places)]
    monkeypatch.setattr(c6, "placed_roots", lambda question: roots)
    found = dtdsym.decide("c6", SUM, (1, 2))
    assert found.name == wanted
    assert "or does not exist" in found.statement
    assert "1 is undecided within the budget" in found.reason
    question = ask(SUM, (1, 2), 0, 1, parse("zplus"), "relevance", Budget())
    assert claim_line(question, found) is None  # there is no evidence for a place that is open
    certificates = Certificates(SUM)
    assert not certify_claim(question, found, 0, None, certificates)
    assert (certificates.without, certificates.foreign) == (int(wanted == "proved"), 0)


def test_the_root_table_states_what_the_claims_state():
    """c5 and c6 on all inputs together, and on one."""
    table = dtdsym.audit(SUM, [(1, 2)], rules=["zplus"]).claims
    assert [claim["claim"] for claim in table] == ["c5", "c6"]
    for claim in table:
        alone = dtdsym.decide(claim["claim"], SUM, (1, 2), rule="zplus")
        assert (claim["statement"], claim["verdict"]) == (alone.statement, alone.name)


def test_c1_is_undecided_where_the_layer_above_bends():
    chain = sequential(([[1]], [-5]), ([[1]], [0]), ([[1]], [1]), final_relu=False)
    assert "the input sits on one" in dtdsym.decide("c1", chain, (0,)).reason
