"""Non-positive biases do not make the origin, the root of LRP-0, an admissible root.

Printed: Sixt and Landgraf 2022, Sec. 3.4.2, against Montavon et al. 2017.

True: with all biases <= 0, a ReLU on every layer, plain layers, and F_l > 0 at an input off hinges, the origin is never
in the region. The paper's argument for it fails: f(x) >= 0 does not imply a gradient other than 0. Without the final
ReLU the origin can be in the region.

Decided: the place of the origin of layer l's input space, by search, exactly; and whether the theorem speaks.

Proved: the origin is not in the linear region of the layer's input.

Refuted: it is.

Undecided: where the theorem does not speak and the budget ends.

Bad news: proved. LRP-0's expansion around 0 is not valid.

Proof: nonpositive_bias, nonpositive_bias_closure

Certificate: the place of the origin with its evidence, or the theorem, whose premises the checker finds."""

from __future__ import annotations

from dtdsym.arithmetic.rational import ZERO
from dtdsym.claims.verdict import Proved, Question, Refuted, Undecided, Verdict, sentence
from dtdsym.errors import UnsupportedLayer
from dtdsym.geometry.placement import place_in

STATEMENT = "The origin is not in the linear region of the input of layer {}."


def decide(question: Question) -> Verdict:
    """The place of the origin, and what the theorem says of it."""
    origin = question.a * ZERO
    found = place_in(question.home, origin, question.budget)
    statement = STATEMENT.format(question.layer)
    closed = question.home.cell.closure_holds(origin)
    spoken = theorem_holds(question)
    witness = {
        "place": found.name,
        "in_closure": found.inside or found.name == "boundary",
        "in_closure_of_the_inputs_cell": closed,
        "theorem": "speaks" if spoken else "does not speak",
    }
    theorem = "The theorem on non-positive biases " + ("says so too." if spoken else "does not speak of this function.")
    if found.name == "undecided":
        if spoken:
            return Proved("nonpositive_bias", statement, f"By the theorem; {found.reason}.", True, witness)
        return Undecided("nonpositive_bias", statement, sentence(found.reason), witness=witness)
    if found.inside:
        assert not spoken, "the origin is in a region where the theorem says it is not: a bug; please report"
        reason = f"It is {found.name}: {found.reason}. {theorem}"
        return Refuted("nonpositive_bias", statement, reason, witness=witness, grounds=(origin, found))
    reason = f"It is {found.name}: {found.reason}. {theorem}"
    return Proved("nonpositive_bias", statement, reason, True, witness, (origin, found))


def theorem_holds(question: Question) -> bool:
    """Whether the premises of the theorem hold of F_l: a plain network, every layer from l on with a ReLU and without
    a bias above 0, and F_l > 0 at the input, which has a region, so that F_l does not bend there."""
    try:
        above = question.plain[question.layer - 1 :]
    except UnsupportedLayer:
        return False
    premises = all(layer.rectified and (layer.biases <= 0).all() for layer in above)
    return premises and bool(question.values[len(question.one.nodes) - 1][0] > 0)
