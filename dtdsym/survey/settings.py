"""What an audit was asked, as data: it goes into the report, and names a run that is to be resumed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import torch

from dtdsym.arithmetic.rational import fractions, vector
from dtdsym.arithmetic.whole import whole_number
from dtdsym.claims.decide import OF_ANY_SIZE, check_claim
from dtdsym.errors import InputError
from dtdsym.geometry.budget import Budget
from dtdsym.network.network import Network
from dtdsym.relevance.composite import Composite, composite, parse
from dtdsym.relevance.nearest_root import Nearest
from dtdsym.relevance.root import check_kind
from dtdsym.relevance.rule import Rule
from dtdsym.survey.sizes import is_large, work
from dtdsym.survey.tally import PROVED_BY

ENGINES = ("auto", "exact", "numeric", "numeric:float32")
DEFAULT_SAMPLE = 1000
"""Roots that are drawn of each layer of a large network, where nobody said how many."""
DEFAULT_RULES = ("lrp0", "gamma:1", "w2", "zplus")


@dataclass(frozen=True)
class Domain:
    """Where inputs are allowed to lie: `low` <= x <= `high` in every coordinate; None: no bound on that side."""

    name: str
    low: Fraction | None
    high: Fraction | None

    @staticmethod
    def parse(text: str) -> Domain:
        """nonnegative, real, or box:LO:HI. Raises InputError."""
        match text.split(":"):
            case ["nonnegative"]:
                return Domain(text, Fraction(0), None)
            case ["real"]:
                return Domain(text, None, None)
            case ["box", low, high]:
                return Domain(text, *_bounds(text, low, high))
        raise InputError(f"domain {text!r}: expected nonnegative, real, or box:LO:HI, for example box:0:1")

    def outside(self, points: np.ndarray) -> int:
        """How many inputs (n, in), exact floats, lie outside."""
        wrong = np.zeros(points.shape, dtype=bool)
        if self.low is not None:
            wrong |= points < _up(self.low)
        if self.high is not None:
            wrong |= points > -_up(-self.high)
        return int(wrong.any(axis=1).sum())


def _up(bound: Fraction) -> float:
    """The least float that is not below the bound."""
    near = float(bound)
    return math.nextafter(near, math.inf) if Fraction(near) < bound else near


def _bounds(text: str, low: str, high: str) -> tuple[Fraction, Fraction]:
    try:
        bounds = Fraction(low), Fraction(high)
    except (ValueError, ZeroDivisionError) as err:
        raise InputError(f"domain {text!r}: LO and HI must be numbers, for example box:0:1") from err
    if max(abs(bound) for bound in bounds) > 2**1000:
        raise InputError(f"domain {text!r}: LO and HI must lie within 2^1000, so that inputs are floats")
    if bounds[0] >= bounds[1]:
        raise InputError(f"domain {text!r}: LO must be below HI")
    return bounds


@dataclass(frozen=True)
class Settings:
    """rules and layers to audit, the explained logit (None: each input's largest output), and how. root: relevance or
    hinge, of the rules; or the nearest admissible ones instead, beside which the rules' explanations are set. claims:
    those that are decided input by input, besides c5 and c6, which the root table decides; target: c3's. sample_roots:
    how many roots of each layer are drawn, by `seed` (None: all are audited)."""

    rules: tuple[Rule | Composite, ...]
    layers: tuple[int, ...]
    logit: int | None
    root: str | Nearest
    domain: Domain
    min_logit: float
    budget: Budget
    engine: str = "auto"
    claims: tuple[str, ...] = ()
    target: tuple[Fraction, ...] | None = None
    sample_roots: int | None = None
    seed: int = 0
    device: str = "cpu"

    @property
    def numeric(self) -> bool:
        """Whether floats alone decide, which proves nothing."""
        return self.engine.startswith("numeric")

    @property
    def dtype(self) -> torch.dtype:
        """What the numeric engine computes in."""
        return torch.float32 if self.engine == "numeric:float32" else torch.float64

    @property
    def audited(self) -> tuple[Rule | Composite | Nearest, ...]:
        """What the audited roots are roots of."""
        return (self.root,) if isinstance(self.root, Nearest) else self.rules

    @property
    def kind(self) -> str:
        """Which roots of rules are meant where a rule's are asked for."""
        return "relevance" if isinstance(self.root, Nearest) else self.root

    def bounds(self, network: Network, start: int) -> tuple[Fraction | None, Fraction | None]:
        """Where the value of node `start` may lie: the domain for the network's input, [0, inf) where only outputs of
        ReLUs and what is made of them arrive, else anywhere."""
        if start == 0:
            return self.domain.low, self.domain.high
        return (Fraction(0), None) if start in network.nonnegative else (None, None)

    def lowest(self, network: Network) -> int:
        """Id of the lowest audited layer's node: relevance is not needed below its output."""
        return network.layer(min(self.layers)).output

    @staticmethod
    def of(
        network: Network,
        *,
        rules: Any = DEFAULT_RULES,
        layers: Any = (1,),
        logit: int | str = "argmax",
        root: str = "relevance",
        domain: str = "nonnegative",
        min_logit: float = 0.0,
        budget: Budget | None = None,
        engine: str = "auto",
        claims: Sequence[str] = (),
        target: Sequence[Any] | None = None,
        sample_roots: int | str | None = None,
        seed: int = 0,
        device: str = "cpu",
    ) -> Settings:
        """Settings read from what a person writes, as `dtdsym.audit` describes it. Raises RuleError and InputError."""
        wanted_root = Nearest.parse(root) if root.split(":")[0] == Nearest.name else root
        if wanted_root not in ("relevance", "hinge") and not isinstance(wanted_root, Nearest):
            raise InputError(f"root {root!r}: expected relevance, hinge, or nearest[:NORM[:nonnegative]]")
        kind = "relevance" if isinstance(wanted_root, Nearest) else wanted_root
        if engine not in ENGINES:
            raise InputError(f"engine {engine!r}: expected one of {', '.join(ENGINES)}")
        if not math.isfinite(min_logit):
            raise InputError(f"--min-logit {min_logit}: the least logit must be a finite number")
        chosen = _layers(network, layers)
        for layer in chosen:
            network.layer(layer)
        number = whole_number(logit)
        if number is not None:
            network.logit(number)
        elif not (isinstance(logit, str) and logit == "argmax"):
            raise InputError(f"logit {logit!r}: give a whole number, or argmax")
        read = tuple(parse(rule) for rule in ([rules] if isinstance(rules, str | Rule | Composite) else rules))
        for rule in read:
            composite(rule).check(network)
            for layer in chosen:
                check_kind(network, layer, rule, kind)
        for claim in claims:
            check_claim(claim)
            if claim in PROVED_BY and isinstance(wanted_root, Nearest):
                raise InputError(f"claim {claim} speaks of the rules' own roots; ask it without --root {root}")
        if (whole_seed := whole_number(seed)) is None or whole_seed < 0:
            raise InputError(f"--seed {seed}: give a whole number from 0")
        own = tuple(dict.fromkeys(claim for claim in claims if claim not in PROVED_BY))
        allowed = Domain.parse(domain)
        wanted = None if target is None else fractions(vector(target, size=network.sizes[0], name="target"))
        asked = Settings(
            read, chosen, number, wanted_root, allowed, min_logit, Budget.of(budget), engine, own, wanted,
            _sample(network, sample_roots), whole_seed, checked_device(device),
        )  # fmt: skip
        asked.check(network)
        return asked

    def check(self, network: Network) -> None:
        """Raises InputError for what needs more exact work than the network's size allows, or all roots of a layer."""
        large = is_large(network)
        needs = [f"claim {name}" for name in self.claims] + ["nearest roots"] * isinstance(self.root, Nearest)
        needs += ["engine exact"] * (self.engine == "exact")
        if needs and self.numeric:
            raise InputError(f"{needs[0]}: the numeric engine proves nothing; ask it of engine auto")
        searched = [need for need in needs if need not in {f"claim {name}" for name in OF_ANY_SIZE}]
        if searched and large:
            raise InputError(
                f"{searched[0]}: needs exact searches, which are out of reach for a network of {work(network):,} "
                f"multiply-adds and {network.sizes[0]:,} inputs; leave it out"
            )
        if self.sample_roots is not None and isinstance(self.root, Nearest):
            raise InputError("nearest roots are found for all neurons of a layer; leave out --sample-roots")


def _sample(network: Network, asked: int | str | None) -> int | None:
    """How many roots of each layer are drawn; None: all."""
    if asked is None:
        return DEFAULT_SAMPLE if is_large(network) else None
    number = whole_number(asked)
    if asked != "all" and (number is None or number < 1):
        raise InputError(f"--sample-roots {asked}: give a whole number from 1, or all")
    return number


def checked_device(name: str) -> str:
    """A device that there is, and that computes."""
    try:
        if torch.empty(0, device=name).device.type not in ("cpu", "cuda"):
            raise RuntimeError("it computes nothing that was tested")
    except (RuntimeError, AssertionError) as err:
        reason = str(err).splitlines()[0].partition(",")[0]
        raise InputError(
            f"--device {name}: torch cannot use it here ({reason}); give cpu, or cuda where there is one"
        ) from err
    return name


def _layers(network: Network, layers: Any) -> tuple[int, ...]:
    if isinstance(layers, str) and layers == "all":
        return tuple(range(1, len(network.layers) + 1))
    several = isinstance(layers, Iterable) and not isinstance(layers, str) and whole_number(layers) is None
    chosen = []
    for layer in layers if several else [layers]:
        number = whole_number(layer)
        if number is None:
            raise InputError(f"layer {layer!r}: give whole numbers, or all")
        chosen.append(number)
    if not chosen:
        raise InputError("no layer to audit; give numbers from 1, or all")
    return tuple(chosen)
