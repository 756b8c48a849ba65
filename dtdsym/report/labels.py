"""Labels of rules, as they fit into columns and titles; names and meanings of places."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dtdsym.claims.decide import CLAIMS
from dtdsym.relevance.composite import Composite
from dtdsym.survey.findings import Findings, RootRow

LONGEST = 24
MEANINGS = {
    "degenerate": "the root is the input itself, which Definition 3 forbids: it explains nothing",
    "same_cell": "inside the input's linear region: every neuron keeps its state",
    "same_region_segment": "inside: some neurons change, but the gradient is the same all the way to the root",
    "same_region": "inside: connected with the input, though the straight way leaves the region",
    "boundary": "on the region's edge: the identity holds there only with the gradient from the input's side",
    "same_gradient_elsewhere": "the gradient is equal, but in another region: the identity need not hold",
    "outside": "in another linear region, where the network computes another function",
    "no_root": "the rule has no root: the neuron does not change along its search direction",
    "undecided": "no proof was found within the budget, or within what is done for networks of this size",
}
"""Every place, in words."""
OF_NEAREST = {
    "degenerate": "the input lies on the neuron's hinge: its relevance is zero already",
    "no_root": "no point of the closed linear region (that the domain allows) lies on the neuron's hinge",
}
"""What is meant otherwise where nearest admissible roots are audited."""
SHORT = {
    "degenerate": "is input",
    "same_cell": "same cell",
    "same_region_segment": "region, segment",
    "same_region": "region",
    "boundary": "boundary",
    "same_gradient_elsewhere": "elsewhere",
    "outside": "outside",
    "no_root": "no root",
    "undecided": "undecided",
}
"""As it fits above a column."""


def over_lines(label: str) -> str:
    """A long composite's label, one selector a line."""
    return label.replace(",", ",\n") if len(label) > LONGEST else label


def row_label(found: Findings, row: RootRow) -> str:
    """The row's rule; of a composite that was read from a tool, and is long, the rule at the row's layer."""
    if found.tool is None or not isinstance(row.rule, Composite):
        return row.rule.label
    return row.rule.rule(found.network.layer(row.layer), found.network).label


def claim_order(found: Findings, claim: Mapping[str, Any]) -> tuple[int, int, int]:
    """Where a claim of the JSON report stands: claims as dtdsym lists them, of each the rules as they were given, of
    each rule the layers."""
    rules = [rule.label for rule in found.settings.rules]
    rule = rules.index(claim["rule"]) if claim["rule"] in rules else -1
    return list(CLAIMS).index(claim["claim"]), rule, claim["layer"] or 0
