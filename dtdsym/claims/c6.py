"""C6, Table 1 (Sixt and Landgraf 2022, Sec. 4): train-free roots do not lie in the linear region of the input.

Its rows on one network and input, for the roots that the rule really takes: whether some root has another gradient than
the input (the printed first row counts inputs with one), and how many roots have its output (the second row). Proved:
some root has another gradient, lies on the region's edge only, or does not exist. Refuted: all have the input's
gradient. Proved is bad news."""

from __future__ import annotations

from typing import Any

import numpy as np

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
        f"Of {len(found)} roots {rows['equal_gradient']} have the input's gradient and {rows['equal_output']} its "
        f"output; {rows['no_root']} do not exist."
    )
    reason += f" {left} are undecided within the budget." if left else ""
    if rows["equal_gradient"] + left < len(found):
        return Proved("c6", statement, reason, True, rows, found)
    if left:
        return Undecided("c6", statement, reason, witness=rows)
    return Refuted("c6", statement, reason, witness=rows, grounds=found)


def _value(question: Question, one: PlacedRoot) -> Any:
    assert not isinstance(one.root, NoRoot)
    return question.slice(np.asarray(one.root))
