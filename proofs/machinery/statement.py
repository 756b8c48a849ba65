"""Statements of the paper, each with the script that derives, corrects or refutes it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from machinery.derivation import Derivation

TRUE, CORRECTED, REFUTED = "true", "corrected", "refuted"
VERDICTS = (TRUE, CORRECTED, REFUTED)
"""As printed it holds; as printed it does not, but what it means does, as corrected; it does not hold."""


@dataclass(frozen=True)
class Statement:
    """id: eq01, def1, prop1, alg1, remark1, rule_zplus, ... title: a few words. place: where the paper prints it.
    printed: what it says there. verdict: of VERDICTS, about what is printed. reason: one line for the table. corrected:
    what holds instead. scope: for which networks the derivation is a proof. parts: what the derivation has to take up,
    by name; none may be missing. module: the script."""

    id: str
    title: str
    place: str
    printed: str
    verdict: str
    reason: str
    scope: str
    derive: Callable[[Derivation], None]
    corrected: str = ""
    parts: tuple[str, ...] = ()

    @property
    def module(self) -> str:
        """The script's name."""
        return self.derive.__module__

    def __post_init__(self) -> None:
        if self.verdict not in VERDICTS:
            raise ValueError(f"{self.id}: verdict {self.verdict!r} is none of {', '.join(VERDICTS)}")
        if bool(self.corrected) != (self.verdict == CORRECTED):
            raise ValueError(f"{self.id}: what is corrected says how, and nothing else does")


KNOWN: dict[str, Statement] = {}
"""All statements of the scripts that were imported."""


def statement(
    id: str,
    title: str,
    *,
    place: str,
    printed: str,
    verdict: str,
    reason: str,
    scope: str,
    corrected: str = "",
    parts: tuple[str, ...] = (),
) -> Callable[[Callable[[Derivation], None]], Callable[[Derivation], None]]:
    """Makes a function of a derivation the proof of a statement."""

    def register(derive: Callable[[Derivation], None]) -> Callable[[Derivation], None]:
        known = KNOWN.get(id)
        if known is not None and known.module != derive.__module__:
            raise ValueError(f"{id} is stated by {known.module} and {derive.__module__}")
        KNOWN[id] = Statement(id, title, place, printed, verdict, reason, scope, derive, corrected, parts)
        return derive

    return register


KINDS = ("eq", "def", "thm", "assumption", "prop", "alg", "remark", "rule")


def rank(id: str) -> tuple[int, int, str]:
    """Sorts ids: equations, definitions, theorems, assumptions, propositions, algorithms, remarks by number; rules;
    then all others by name."""
    kind, digits = re.match(r"([a-z]+)(\d*)", id).groups()
    return (KINDS.index(kind) if kind in KINDS else len(KINDS)), int(digits or 0), id
