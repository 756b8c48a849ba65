"""What a claim says, in the words of its module's docstring: the only place where they stand.

The first paragraph is the claim. Those that follow begin with a label and a colon: Printed (where, and what), True
(what was found to hold), Decided (what is asked on one network and input), Proved, Refuted, Undecided, Bad news (which
verdict is), Proof (ids of proofs/, with commas) and Certificate (what a checker does)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module

from dtdsym.claims.box import IN_A_BOX
from dtdsym.claims.decide import CLAIMS, check_claim

LABELS = (
    "Printed", "True", "Decided", "Proved", "Refuted", "Undecided", "Bad news", "Proof", "Certificate",
)  # fmt: skip


@dataclass(frozen=True)
class Told:
    """name: in CLAIMS. title: the claim in a sentence. parts: by label, in the docstring's order; a paragraph without a
    label goes on with the one before it. for_all: what is decided for all inputs of a box, "" where nothing is."""

    name: str
    title: str
    parts: Mapping[str, str]
    for_all: str

    @property
    def holds(self) -> str:
        """What is proved where the verdict is `proved`, in one line."""
        return CLAIMS[self.name]

    @property
    def proofs(self) -> tuple[str, ...]:
        """Ids of the statements in proofs/ that it rests on."""
        return tuple(filter(None, self.parts.get("Proof", "").split(", ")))


def told(claim: str) -> Told:
    """What the claim's module says. Raises InputError for an unknown claim."""
    check_claim(claim)
    title, *rest = _paragraphs(f"dtdsym.claims.{claim}")
    parts: dict[str, str] = {}
    for paragraph in rest:
        label, colon, text = paragraph.partition(": ")
        if colon and label in LABELS:
            parts[label] = text
        elif parts:
            last = next(reversed(parts))
            parts[last] = f"{parts[last]} {paragraph}"
        else:
            title = f"{title} {paragraph}"
    for_all = " ".join(_paragraphs(f"dtdsym.claims.{claim}_in_box")) if claim in IN_A_BOX else ""
    return Told(claim, title, parts, for_all)


def _paragraphs(module: str) -> list[str]:
    """Of its docstring, each on one line."""
    text = import_module(module).__doc__ or ""
    return [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]
