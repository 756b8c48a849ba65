"""What an audit found: counts and tallies with what they were asked of, as data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from dtdsym.arithmetic.binomial import clopper_pearson
from dtdsym.arithmetic.rational import text
from dtdsym.geometry.placement import VIOLATIONS
from dtdsym.network.network import Network
from dtdsym.relevance.composite import Composite
from dtdsym.relevance.identify import Identification
from dtdsym.relevance.nearest_root import Nearest
from dtdsym.relevance.rule import Rule
from dtdsym.survey.apart import Apart
from dtdsym.survey.claims import table_claims
from dtdsym.survey.inputs import GivenInputs, SampledInputs
from dtdsym.survey.ledgers import InputLedger
from dtdsym.survey.sample import neurons_of
from dtdsym.survey.settings import Settings
from dtdsym.survey.tally import COUNTS, Tally
from dtdsym.survey.tool import ToolRules


@dataclass
class InputCounts:
    """count: inputs looked at; of these audited, not above the least logit, or on a hinge (without a gradient).
    outside_domain: of all, those outside the domain that was named."""

    count: int = 0
    audited: int = 0
    below_min_logit: int = 0
    on_hinge: int = 0
    outside_domain: int = 0

    def merge(self, other: Mapping[str, int]) -> None:
        """Add another's counts."""
        for name, number in other.items():
            setattr(self, name, getattr(self, name) + number)


@dataclass(frozen=True)
class RootRow:
    """All roots of one rule, or the nearest ones, at one layer."""

    rule: Rule | Composite | Nearest
    layer: int
    tally: Tally
    sampled: bool = False

    def share(self, seen: int, *, perhaps: int | None = None) -> tuple[float, float]:
        """An interval that holds the share among all roots of the row with at least 95 % confidence, where so many of
        those drawn certainly are of some kind, and so many more (the undecided ones) perhaps are."""
        total, more = self.tally.total, self.tally.places["undecided"] if perhaps is None else perhaps
        if not total:
            return 0.0, 1.0
        return clopper_pearson(seen, total)[0], clopper_pearson(seen + more, total)[1]

    def _sample(self, roots: int) -> dict[str, Any] | None:
        """What the draws say of all `roots`; None where all were audited."""
        if not self.sampled:
            return None
        counts = {**self.tally.places, "equal_gradient": self.tally.equal_gradient}
        shares = {name: list(self.share(seen)) for name, seen in counts.items() if name != "undecided"}
        shares["undecided"] = list(self.share(self.tally.places["undecided"], perhaps=0))
        return {"drawn": self.tally.total, "of": roots, "confidence": 0.95, "shares": shares}

    def to_json(self, root: str, roots: int) -> dict[str, Any]:
        """The row as in the JSON report; roots: how many there are in all."""
        tally = self.tally
        rest = tally.residuals
        return {
            "rule": self.rule.name,
            "parameter": [str(value) for value in self.rule.parameters],
            "root": root,
            "layer": self.layer,
            "total": tally.total,
            "places": dict(tally.places),
            **{name: getattr(tally, name) for name in COUNTS},
            **({name: None for name in COUNTS if name.startswith("inputs_")} if self.sampled else {}),
            "open_facts": dict(tally.open),
            "sample": self._sample(roots),
            "smallest_margin": None if math.isinf(tally.margin) else tally.margin,
            "taylor_residual": {
                "max": None if rest.measured > rest.maximum else text(rest.maximum),
                "max_float": rest.largest,
                "max_input": rest.input,
                "max_neuron": rest.neuron,
                "median": rest.median,
            },
            "decided_by": dict(tally.decided_by),
            "seconds": tally.seconds,
        }

    @property
    def violations(self) -> int:
        """Roots where the Taylor identity does not reach, or that do not exist. Nearest ones it reaches on the edge."""
        reached = ("boundary",) if isinstance(self.rule, Nearest) else ()
        return sum(self.tally.places[name] for name in VIOLATIONS if name not in reached)


@dataclass(frozen=True)
class ApartRow:
    """How far a rule's train-free explanations are from those of nearest admissible roots."""

    rule: Rule | Composite
    tally: Apart

    def to_json(self) -> dict[str, Any]:
        """The row as in the JSON report."""
        tally = self.tally
        return {
            "rule": self.rule.name,
            "parameter": [str(value) for value in self.rule.parameters],
            "inputs": tally.count,
            "open": tally.open,
            "losing": tally.losing,
            "median": tally.median,
            "max": tally.maximum,
            "max_input": tally.input,
        }


@dataclass
class CertificateCounts:
    """Claims written to a certificate file; `without`: decided, but the evidence cost more than the budget;
    `foreign`: decided, but of a rule that a checker does not derive again. network:
    the hash by which they name it, which a checker is to expect."""

    file: str
    network: str
    written: int = 0
    without: int = 0
    foreign: int = 0

    def merge(self, chunk: Mapping[str, Any]) -> None:
        """Add a chunk's."""
        self.written += chunk["written"]
        self.without += chunk["without"]
        self.foreign += chunk["foreign"]


@dataclass
class Findings:
    """Everything that an audit counted. source, seed: where the inputs came from. ledgers: of the first inputs.
    compared: what an explanation made elsewhere was found to be. decided: claims, input by input. apart: the rules
    beside nearest admissible roots, if these were asked for. signs: of ReLUs at the audited inputs, how many each stage
    decided. in_box: claims on all inputs of a box. tool: what the tool does whose rules were audited. given: the inputs
    themselves, for drawings of the first ones. seconds: wall-clock time."""

    network: Network
    settings: Settings
    source: str
    seed: int | None
    rows: list[RootRow]
    inputs: InputCounts = field(default_factory=InputCounts)
    seconds: float = 0.0
    ledgers: list[InputLedger] = field(default_factory=list)
    compared: Identification | None = None
    certificates: CertificateCounts | None = None
    decided: list[dict[str, Any]] = field(default_factory=list)
    apart: list[ApartRow] = field(default_factory=list)
    signs: dict[str, int] = field(default_factory=dict)
    in_box: list[dict[str, Any]] = field(default_factory=list)
    tool: ToolRules | None = None
    given: GivenInputs | SampledInputs | None = None

    @property
    def violated(self) -> bool:
        """Whether roots or claims are violated."""
        return self.roots_violated or self.bad_news

    @property
    def roots_violated(self) -> bool:
        """Whether a root lies where the Taylor identity does not reach, or does not exist. What floats alone say is no
        finding."""
        return any(row.violations for row in self.rows) and not self.settings.numeric

    @property
    def bad_news(self) -> bool:
        """Whether a claim that was decided is bad news."""
        return any(claim["bad_news"] for claim in (*self.decided, *self.in_box))

    @property
    def undecided(self) -> bool:
        """Whether something was left without a proof: a budget ran out, the network is too large, or only floats were
        asked."""
        roots = self.settings.numeric or any(
            row.tally.places["undecided"] or row.tally.inputs_unresolved for row in self.rows
        )
        return roots or any(claim["verdict"] == "undecided" for claim in (*self.decided, *self.in_box))

    @property
    def undecided_roots(self) -> bool:
        """Whether some root has no place."""
        return any(row.tally.places["undecided"] for row in self.rows)

    @property
    def roots(self) -> list[dict[str, Any]]:
        """The root table, one row a rule and layer."""
        kind = self.settings.root
        name, audited = kind.name if isinstance(kind, Nearest) else kind, self.inputs.audited
        return [row.to_json(name, neurons_of(self.network, row.layer) * audited) for row in self.rows]

    @property
    def claims(self) -> list[dict[str, Any]]:
        """Verdicts on the paper's claims: c5 and c6 on all audited inputs, others on each; those about a box."""
        certified = self.certificates is not None and not self.certificates.without
        return [*table_claims(self.settings, self.rows, certified), *self.decided, *self.in_box]

    def to_json(self) -> dict[str, Any]:
        """The whole report, "format": "dtdsym-report/1": counts exact, rationals as "p/q" beside a float."""
        settings = self.settings
        return {
            "format": "dtdsym-report/1",
            "network": {
                "source": self.network.source,
                "sha256": self.network.file_sha256 or self.network.sha256,
                "function_sha256": self.network.sha256,
                "input_shape": list(self.network.input_shape),
                "layers": [{"name": layer.name, "kind": layer.kind} for layer in self.network.layers],
                "widths": list(self.network.widths),
                "parameters": self.network.parameters,
            },
            "inputs": {
                **asdict(self.inputs),
                "source": self.source,
                "seed": self.seed,
                "domain": settings.domain.name,
                "min_logit": settings.min_logit,
            },
            "logit": "argmax" if settings.logit is None else settings.logit,
            "engine": settings.engine,
            "signs": self.signs,
            "roots": self.roots,
            "claims": self.claims,
            "apart": [row.to_json() for row in self.apart],
            "ledger": [found.to_json() for found in self.ledgers],
            "compare": None if self.compared is None else self.compared.to_json(),
            "tool": None if self.tool is None else self.tool.to_json(),
            "certificates": None if self.certificates is None else asdict(self.certificates),
            "seconds": self.seconds,
        }
