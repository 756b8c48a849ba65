"""Claims about all inputs of a box: against places at many inputs, and networks whose roots never leave, or leave at a
few inputs alone."""

from __future__ import annotations

from fractions import Fraction

import pytest
import sympy
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from networks import sequential
from strategies import layers

import dtdsym
from dtdsym.claims import c2_in_box, c5_in_box
from dtdsym.claims.box import decide_in_box
from dtdsym.errors import InputError, NoRoot, NotExact, OnHinge, RuleError
from dtdsym.relevance.family import Family
from dtdsym.relevance.rule import Rule

SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=25)
BOX = [(-1, 2), (-1, 1)]
AFFINE = sequential(([[1, 2], [-1, -2]], [0, 0]), ([[1, -1]], [3]), final_relu=False)
"""[x + 2y] - [-x - 2y] + 3 = x + 2y + 3, in two cells."""
LINE = sequential(([[1], [-1]], [0, 0]), ([[1, -1]], [0]), final_relu=False)
"""[x] - [-x] = x."""
STEP = sequential(([[1], [1]], [0, -2]), ([[1, 1]], [0]), final_relu=False)
"""[x] + [x - 2]: bends at 0 and 2."""


def hinge_roots(network, x, rule):
    if rule == "lrp0":
        return [(0,) * len(x)]
    return [root for root in dtdsym.roots(network, x, rule=rule, root="hinge") if not isinstance(root, NoRoot)]


@SLOW
@given(pairs=layers(depths=(2,), widths=(1, 2)), rule=st.sampled_from(["w2", "lrp0", "flat", "zplus", "x"]))
def test_c5_in_a_box_agrees_with_places_at_inputs(pairs, rule):
    """A root that leaves at some input of a grid is found; and what is found is one."""
    network = sequential(*pairs, final_relu=False)
    found = decide_in_box("c5", network, BOX, rule=rule, budget=dtdsym.Budget(seconds=20))
    if found.name == "proved":
        x, root = (tuple(map(Fraction, found.witness[key])) for key in ("x", "root"))
        assert root in [tuple(one) for one in hinge_roots(network, x, rule)]
        assert dtdsym.place(network, x, root).name == found.witness["place"]
        assert not dtdsym.place(network, x, root).inside
        assert network(x)[0] > 0
        return
    if "nothing to decide" in found.reason:
        assert dtdsym.maximum(network, BOX).value <= 0
        return
    assert found.name == "refuted"
    for i in range(7):
        for k in range(5):
            x = (Fraction(2 * i + 1, 5) - 1, Fraction(2 * k + 1, 5) - 1)
            try:
                places = [dtdsym.place(network, x, root) for root in hinge_roots(network, x, rule)]
            except OnHinge:
                continue
            assert network(x)[0] <= 0 or all(one.inside for one in places)


@pytest.mark.parametrize("rule", ["w2", "lrp0", "flat", "zplus", "gamma:1", "x", "zbox:-3:3"])
def test_roots_never_leave_where_all_cells_are_one_region(rule):
    """They lie in the other cell, or on the hinge between the two, which Z3 finds and geometry places inside."""
    found = decide_in_box("c5", AFFINE, BOX, rule=rule)
    assert (found.name, found.witness["cells"]) == ("refuted", 2)


def test_the_search_places_what_z3_finds_and_looks_on(monkeypatch):
    """Without samples: the root 0 of [x] - [-x] is on the hinge between two cells of one region."""
    placed = []
    monkeypatch.setattr(c5_in_box, "SAMPLES", 0)

    def watched(*args, **options):
        placed.append(dtdsym.place(*args, **options))
        return placed[-1]

    monkeypatch.setattr(c5_in_box, "place", watched)
    assert decide_in_box("c5", LINE, [(-1, 2)], rule="lrp0").name == "refuted"
    assert {"same_region_segment"} == {one.name for one in placed}


def test_a_root_that_leaves_in_one_cell_alone_is_found_without_samples(monkeypatch):
    monkeypatch.setattr(c5_in_box, "_sampled", lambda asked: iter(()))
    found = decide_in_box("c5", STEP, [(1, 3)], rule="w2", above=2)
    assert (found.name, found.witness["place"]) == ("proved", "outside")
    assert Fraction(found.witness["x"][0]) > 2


def test_inputs_below_the_threshold_are_not_meant():
    found = decide_in_box("c5", STEP, [(1, 3)], rule="w2", above=100)
    assert (found.name, found.reason) == (
        "undecided",
        "No input of the box has such a logit, so there is nothing to decide.",
    )


@SLOW
@given(pairs=layers(depths=(1, 2, 3), widths=(1, 2, 3)))
def test_proposition_2_holds_on_every_pattern_of_the_box(pairs):
    network = sequential(*pairs)
    found = decide_in_box("c2", network, BOX)
    assert found.name == "proved"
    assert found.witness["patterns"] == len({cell.pattern for cell in dtdsym.arrangement(network, box=BOX).cells})
    assert found.witness["z3"] == "Z3 finds no further pattern."


def test_another_relevance_would_refute_it(monkeypatch):
    """As if Definition 3 gave something else on one cell."""
    real = c2_in_box.to_sympy

    class Wrong:
        def __init__(self, lift):
            self.lift = lift

        def __getattr__(self, name):
            return getattr(self.lift, name)

        def recursion(self, roots, pattern):
            made = self.lift.recursion(roots, pattern=pattern)
            relevance = list(made.relevance)
            relevance[0] += sympy.Symbol("r1_0_0")
            return type("Made", (), {"relevance": relevance})

    monkeypatch.setattr(c2_in_box, "to_sympy", lambda network: Wrong(real(network)))
    assert decide_in_box("c2", STEP, [(1, 3)]).name == "refuted"


def test_z3_tells_patterns_that_a_list_lacks():

    asked = c2_in_box.BoxQuestion
    question = asked(STEP, ((Fraction(-1), Fraction(3)),), Fraction(0), None, dtdsym.Budget(), dtdsym.Budget().start())
    with pytest.raises(AssertionError, match="has a pattern that the arrangement lacks"):
        c2_in_box._second_opinion(question, [(1, 1), (-1, -1)])


@pytest.mark.parametrize("claim", ["c2", "c5"])
def test_a_budget_leaves_it_undecided(claim, repository):
    network = dtdsym.load(str(repository / "examples" / "digits_mlp.pt"))
    found = decide_in_box(claim, network, [(0, 1)] * 64, above=10**6, budget=dtdsym.Budget(seconds=0.05))
    assert (found.name, "budget" in found.reason) == ("undecided", True)


def test_c2_is_an_identity_and_no_bad_news():
    found = decide_in_box("c2", STEP, [(3, 4)])
    assert (found.name, found.bad_news, found.witness["patterns"]) == ("proved", False, 1)
    assert found.reason.startswith("It is so on the one activation pattern in the box")
    assert "on each of the 3 activation patterns" in decide_in_box("c2", STEP, [(-1, 3)]).reason


ONES = Rule(Family("ones", "1 for each input", direction=lambda ops, w, a: w * 0 + 1))
"""A rule of somebody's own."""
CONV = torch.nn.Sequential(torch.nn.Conv1d(1, 2, 2), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(2, 1))
with torch.no_grad():
    for parameter, numbers in zip(CONV.double().parameters(), ([1, 1, -1, -1], [0, 0], [1, -1], [3]), strict=True):
        parameter.copy_(torch.tensor(numbers, dtype=torch.float64).reshape(parameter.shape))


@pytest.mark.parametrize("above", [0, 2])
@pytest.mark.parametrize("samples", [0, 20])
def test_what_cannot_be_decided_for_all_inputs_is_undecided_whatever_the_samples(monkeypatch, above, samples):
    """All roots of x + 3 and of x stay inside: the middle of the box, 20 more inputs, or none above the threshold."""
    monkeypatch.setattr(c5_in_box, "SAMPLES", samples)
    conv = dtdsym.from_module(CONV, torch.zeros(1, 1, 2, dtype=torch.float64))
    asked = [
        (LINE, [(-1, 3)], {"rule": "pinv"}, "only roots of lrp0, w2"),
        (LINE, [(-1, 3)], {"rule": ONES}, "only roots of lrp0, w2"),
        (conv, BOX, {"rule": "w2"}, "the first layer must be a plain linear layer"),
    ]
    for network, box, options, reason in asked:
        found = decide_in_box("c5", network, box, above=above, **options)
        assert (found.name, found.bad_news) == ("undecided", False)
        assert found.reason.startswith("No root leaves at sampled inputs. Of all inputs: ")
        assert reason in found.reason


@pytest.mark.parametrize("rule", ["pinv", ONES])
def test_what_cannot_be_refuted_can_be_proved_by_an_input(rule):
    found = decide_in_box("c5", STEP, [(1, 3)], rule=rule, above=2)
    x, root = (tuple(map(Fraction, found.witness[key])) for key in ("x", "root"))
    assert found.name == "proved"
    assert root == dtdsym.roots(STEP, x, rule=rule, root="hinge")[found.witness["neuron"]]
    assert dtdsym.place(STEP, x, root).name == found.witness["place"] == "outside"


@pytest.mark.parametrize("above", [0, 100])
def test_a_rule_without_hinge_roots_is_refused_whatever_the_threshold(above):
    with pytest.raises(RuleError, match="no search direction, so no hinge root"):
        decide_in_box("c5", STEP, [(1, 3)], rule="epsilon", above=above)


@pytest.mark.parametrize(
    ("above", "told"),
    [
        (1 + Fraction(1, 2**60), "1152921504606846977/1152921504606846976"),
        (10**400, "1" + "0" * 400),
        ("1/3", "1/3"),
        ("0.1", "0.1"),
        (0.1, "3602879701896397/36028797018963968 (the float 0.1)"),
        (torch.tensor(-0.5), "-0.5"),
    ],
)
def test_the_statement_is_the_one_that_is_decided(above, told):
    found = decide_in_box("c5", STEP, torch.tensor([[1.0, 3.0]]), rule="w2", above=above)
    assert f"with a logit above {told} has a hinge root" in found.statement


def test_one_input_off_the_rest_is_no_box_of_cells():
    with pytest.raises(InputError, match="the single point 0, so that the box holds no open cell"):
        decide_in_box("c5", STEP, [(0, 0)])
    found = decide_in_box("c2", STEP, [(-1, 3)], budget=dtdsym.Budget(seconds=float("inf")))
    assert found.name == "proved"


def test_what_is_left_of_a_budget_is_told_as_it_was_given(repository):
    network = dtdsym.load(str(repository / "examples" / "digits_mlp.pt"))
    found = decide_in_box("c5", network, [(0, 1)] * 64, above=10**6, budget=dtdsym.Budget(seconds=0.05))
    assert found.reason.startswith("The budget of 0.05 seconds ran out after ")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"budget": 1}, InputError, "budget=1: give"),
        ({"rule": None}, RuleError, "rule None: expected a name"),
        ({"rule": "first=w2,*=zplus"}, RuleError, "is a composite; a box is decided for one rule"),
        ({"rule": 5}, RuleError, "rule 5: expected a name"),
        ({"above": "a"}, NotExact, "above"),
        ({"logit": "a"}, InputError, "logit 'a' does not exist"),
    ],
)
def test_malformed_questions_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        decide_in_box("c5", STEP, [(0, 1)], **options)


def test_what_is_not_decided_in_boxes_is_named():
    with pytest.raises(InputError, match="the network is a Linear; read it first"):
        decide_in_box("c5", torch.nn.Linear(1, 1), [(0, 1)])
    with pytest.raises(InputError, match="claim 'c1' is not decided for a box; these are: c2, c5"):
        decide_in_box("c1", STEP, [(0, 1)])
