"""C6: train-free roots lie where the gradient is another one than the input's, or the output is still the input's.

Printed: Sixt and Landgraf 2022, Sec. 5.1 and Table 1.

True: the published analysis uses the z+ rule in all four columns, and its first row is the share of inputs that have at
least one root with a different gradient. `python examples/table1.py` regenerates it, beside the table that the caption
describes.

Decided: both rows for one input: which roots of the layer have the input's gradient, and which have its output.

Proved: some root has another gradient, lies on a boundary, or does not exist.

Refuted: every root has the input's gradient. (That does not place it in the input's region: see c5.)

Undecided: where that hangs on roots that are undecided within the budget.

Bad news: proved. The roots with another gradient are in no region that the theory allows.

Proof: relevance_root, regions_places

Certificate: all roots with their places, and both counts. The checker derives each root from the rule again, places
and counts it."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtdsym.arithmetic.written import counted
from dtdsym.claims.placed import PlacedRoot, placed_roots
from dtdsym.claims.verdict import Proved, Question, Refuted, Undecided, Verdict
from dtdsym.errors import NoRoot
from dtdsym.geometry.placement import INSIDE

STATEMENT = "Some root of {rule} at layer {layer} has another gradient than the input, or does not exist."
EQUAL = (*INSIDE, "same_gradient_elsewhere")


def decide(question: Question) -> Verdict:
    """Both rows, with all places."""
    found = placed_roots(question)
    output = question.slice(question.a)
    rows = {
        "roots": len(found),
        "equal_gradient": sum(one.name in EQUAL for one in found),
        "equal_output": sum(_value(question, one) == output for one in found if one.place is not None),
        "no_root": sum(one.name == "no_root" for one in found),
    }
    statement = STATEMENT.format(rule=question.rule.label, layer=question.layer)
    left = sum(one.name == "undecided" for one in found)
    reason = (
        f"Of {counted(len(found), 'root')} {counted(rows['equal_gradient'], 'has', 'have')} the input's gradient and "
        f"{rows['equal_output']:,} its output; {counted(rows['no_root'], 'does', 'do')} not exist."
    )
    reason += f" {counted(left, 'is', 'are')} undecided within the budget." if left else ""
    if rows["equal_gradient"] + left < len(found):
        return Proved("c6", statement, reason, True, rows, found)
    if left:
        return Undecided("c6", statement, reason, witness=rows)
    return Refuted("c6", statement, reason, witness=rows, grounds=found)


def _value(question: Question, one: PlacedRoot) -> Any:
    assert not isinstance(one.root, NoRoot)
    return question.slice(np.asarray(one.root))
