"""Is there an admissible zero at all: a point of the closed linear region at which the function is 0?

Printed: not by Sixt and Landgraf, whose Sec. 3.4 prefers roots where the function is 0, and Sec. 3.1 wants them in the
linear region.

True: not always. With a final ReLU and f(x) > 0 no zero lies inside the region: one can only be on its boundary, and
where the gradient is 0 there is none.

Decided: whether the closure of N_{F_l}(a_l), where gradients are taken from the input's side, holds a point at which
F_l is 0.

Proved: such a point, with a path of cells to it.

Refuted: for every cell of the region Farkas multipliers by which F_l has no zero on its closure, and the list of cells
is complete.

Undecided: where F_l is 0 at the input already, or the budget ends.

Bad news: refuted. Whatever root is taken, its expansion leaves a rest, or is not valid.

Proof: exact_roots

Certificate: proved, the root with its path. Refuted, every cell with its multipliers; the checker adds them up, and
finds that no cell is missing."""

from __future__ import annotations

from dtdsym.arithmetic.rational import text
from dtdsym.arithmetic.written import counted
from dtdsym.claims.verdict import Proved, Question, Refuted, Undecided, Verdict, sentence
from dtdsym.errors import InputError
from dtdsym.relevance.root_search import AdmissibleRoot, RootQuestion, relevance_form, root_in


def decide(question: Question) -> Verdict:
    """A root, or the proof that there is none. Raises OnHinge, BudgetSpent."""
    statement = f"The closed linear region of layer {question.layer}'s input holds a zero of the function above it."
    try:
        form = relevance_form(question.home, question.one, question.layer, None)
    except InputError as zero:
        return Undecided("admissible_root", statement, sentence(zero))
    found = root_in(RootQuestion(question.home, form))
    if isinstance(found, AdmissibleRoot):
        where = "inside the region" if found.inside else "on the boundary of a cell"
        far = f"{counted(len(found.path), 'facet')} from the input's cell" if found.path else "in the input's cell"
        reason = f"It lies {where}, {far}."
        witness = {"root": [text(entry) for entry in found.point]}
        return Proved("admissible_root", statement, reason, witness=witness, grounds=found)
    cells = len(found.bounds)
    reason = "The region is one cell, and no zero is on its closure."
    if cells > 1:
        reason = f"None of the region's {counted(cells, 'cell')} has a zero on its closure."
    return Refuted("admissible_root", statement, reason, True, grounds=found)
