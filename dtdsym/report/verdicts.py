"""Claims for the page: alike ones together, with their source and how a stranger checks them again."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dtdsym.certificate.claims import rederived
from dtdsym.certificate.network import network_hash
from dtdsym.claims.box import IN_A_BOX
from dtdsym.claims.told import told
from dtdsym.report.labels import claim_order
from dtdsym.report.witnesses import parts
from dtdsym.survey.findings import Findings
from dtdsym.survey.sizes import is_large

MOST_GROUPS, MOST_SHOWN = 100, 3
EVIDENCE = "evidence.jsonl"
Claim = Mapping[str, Any]
"""As in the JSON report."""


@dataclass(frozen=True)
class Group:
    """A claim about one rule, layer and box, decided for some inputs. bad: verdicts that are bad news. shown: the worst
    first; left: how many are not. recheck: a sentence, and commands."""

    about: str
    verdicts: Mapping[str, int]
    bad: int
    shown: Sequence[Claim]
    left: int
    recheck: tuple[str, Sequence[str]]


@dataclass(frozen=True)
class Family:
    """All that was decided about one claim. title: the claim; source: where it is printed, and what; meaning: the rest
    of what is said of it, by label."""

    name: str
    title: str
    source: str
    meaning: Mapping[str, str]
    groups: Sequence[Group]


def families(found: Findings, claims: Sequence[Claim], command: str) -> Iterator[Family]:
    """Claims of the JSON report, at most MOST_GROUPS of alike ones. command: that made the audit; empty if it was made
    from Python."""
    kept: dict[tuple[str, bool], list[Group]] = {}
    groups = list(alike(claims).items())[:MOST_GROUPS]
    for (name, about, in_box), members in sorted(groups, key=lambda group: claim_order(found, group[1][0])):
        kept.setdefault((name, in_box), []).append(_group(found, about, members, command))
    for (name, in_box), made in kept.items():
        said = told(name)
        meaning = {label: text for label, text in said.parts.items() if label != "Printed"}
        title = f"{name.upper()} for all inputs of a box: {IN_A_BOX[name]}." if in_box else said.title
        yield Family(name, title, said.parts["Printed"], {"Decided": said.for_all} if in_box else meaning, made)


def alike(claims: Sequence[Claim]) -> dict[tuple[str, str, bool], list[Claim]]:
    """Claims by name, by what they are about, and by whether that is a box."""
    found: dict[tuple[str, str, bool], list[Claim]] = {}
    for claim in claims:
        parts = (claim["rule"], f"layer {claim['layer']}" if claim["layer"] else "", claim.get("box"))
        about = ", ".join(part for part in parts if part) or "the network"
        found.setdefault((claim["claim"], about, bool(claim.get("box"))), []).append(claim)
    return found


def _group(found: Findings, about: str, members: Sequence[Claim], command: str) -> Group:
    # Stable, so that of alike ones the first inputs come first; what is undecided comes last.
    worst = sorted(members, key=lambda claim: (not claim["bad_news"], claim["verdict"] == "undecided"))
    verdicts = dict(sorted(Counter(claim["verdict"] for claim in members).items()))
    bad = sum(bool(claim["bad_news"]) for claim in members)
    left = len(members[MOST_SHOWN:])
    return Group(about, verdicts, bad, worst[:MOST_SHOWN], left, _recheck(found, worst[0], command))


def witness(claim: Claim) -> list[tuple[str, str]]:
    """What shows it, (what, value): of what it speaks, and each part of the witness."""
    about = [(name, str(claim[name])) for name in ("input", "layer", "rule") if claim[name] is not None]
    return [*about, *parts(claim["claim"], claim["witness"])]


def _recheck(found: Findings, claim: Claim, command: str) -> tuple[str, Sequence[str]]:
    """In a sentence, and by commands."""
    made, settings = found.certificates, found.settings
    if made is not None and claim["certificate"]:
        return "A stranger checks its certificate with:", [_check(made.file, made.network)]
    if claim["verdict"] == "undecided":
        return "It is undecided: there is nothing to certify.", []
    if claim.get("box"):
        return "Claims about a box have no certificate; the same command decides them again.", [command] * bool(command)
    if settings.numeric or is_large(found.network) or any(row.sampled for row in found.rows):
        return "There are no certificates of sampled roots, of networks of this size, or of what floats say.", []
    known = {rule.label for rule in settings.rules if rederived(rule)}
    if claim["rule"] is not None and claim["rule"] not in known:
        return "It has no certificate: the checker does not derive this rule again.", []
    if made is not None:
        return "It has no certificate: the evidence cost more than the budget.", []
    again = f"{command} --certificates {EVIDENCE}" if command else f'dtdsym.audit(..., certificates="{EVIDENCE}")'
    how = "No certificates were written. The first of these writes them, the second, which a stranger can run, checks:"
    return how, [again, _check(EVIDENCE, network_hash(found.network))]


def _check(file: str, network: str) -> str:
    return f"python -m dtdsym.checker {shlex.quote(file)} --expect {network}"
