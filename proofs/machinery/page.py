"""The table of all statements as Markdown, and their derivations as a LaTeX document."""

from __future__ import annotations

from collections.abc import Iterable

import sympy

from machinery.derivation import Derivation, Step
from machinery.identity import Side
from machinery.script import told
from machinery.statement import CORRECTED, TRUE, Statement

HEAD = """# What holds of what the paper prints

The numbered statements of Sixt and Landgraf, "A Rigorous Study Of The Deep Taylor Decomposition" (TMLR 2022), each
derived, corrected or refuted by a script of this folder, step by step. `python -m proofs ID` shows how;
`python -m proofs` decides them all again and writes this page.

*true*: it holds as printed. *corrected*: it does not, and what it means holds as corrected. *refuted*: it does not
hold.
"""
NAMED = {"~": "asciitilde", "^": "asciicircum", "\\": "backslash", "|": "bar", "<": "less", ">": "greater"}
SYMBOLS = str.maketrans({c: rf"\{c}" for c in "&%$#_{}"} | {c: rf"\text{name}{{}}" for c, name in NAMED.items()})
LONGEST = 400
"""Characters of a formula that LaTeX is to set on one line."""


def markdown(statements: Iterable[Statement]) -> str:
    """The page proofs/ERRATA.md."""
    known = list(statements)
    rows = [f"| [`{s.id}`]({s.module}.py) | {_cell(s.title)} | {s.verdict} | {_cell(s.reason)} |" for s in known]
    lines = [HEAD, "| statement | | as printed | why |", "| --- | --- | --- | --- |", *rows, ""]
    for s in known:
        if s.verdict != TRUE:
            lines += [f"## {s.id}: {s.title}", "", f"{s.place}. Printed: {_code(s.printed)}", "", f"{s.reason}."]
            lines += ["", f"**Corrected:** {s.corrected}"] if s.verdict == CORRECTED else []
            lines += ["", f"Scope: {s.scope}", ""]
    return "\n".join(lines).rstrip() + "\n"


def latex(derivations: Iterable[Derivation]) -> str:
    """A LaTeX document of all derivations."""
    lines = [
        r"\documentclass{article}",
        r"\usepackage{amsmath,amssymb}",
        r"\usepackage[margin=2.5cm]{geometry}",
        r"\setlength{\parindent}{0pt}",
        r"\setlength{\parskip}{4pt}",
        r"\allowdisplaybreaks",
        r"\begin{document}",
        r"\title{What holds of what the paper prints}",
        r"\maketitle",
    ]
    for made in derivations:
        s = made.statement
        lines += [
            rf"\section*{{{_text(f'{s.id}: {s.title}')}}}",
            rf"\emph{{{_text(s.place)}.}} Printed: {_text(s.printed)}",
        ]
        lines += ["", rf"\textbf{{{s.verdict}}}: {_text(s.reason)}. Scope: {_text(s.scope)}."]
        lines += ["", rf"Corrected: {_text(s.corrected)}"] if s.corrected else []
        for step in made.steps:
            lines += ["", _text(step.text), *_formula(step)]
    return "\n".join([*lines, r"\end{document}", ""])


def _formula(step: Step) -> list[str]:
    note = [rf"\quad({_text(step.note)})"] if step.note else []
    if step.left is None:
        return note
    relation = "=" if step.kind == "equal" else r"\neq"
    sides = f"{_side(step.left)} {relation} {_side(step.right)}"
    if len(sides) <= LONGEST:
        return [rf"\[ {sides} \]", *note]
    return [
        rf"\begin{{quote}}\small\raggedright {_text(f'{told(step.left)} {relation} {told(step.right)}')}\end{{quote}}",
        *note,
    ]


def _side(side: Side) -> str:
    return str(sympy.latex(sympy.sympify(side) if not isinstance(side, list | tuple) else sympy.Tuple(*side)))


def _text(text: str) -> str:
    return text.translate(SYMBOLS)


def _code(text: str) -> str:
    """Words as they were printed, which Markdown leaves alone."""
    return f"`{text}`"


def _cell(text: str) -> str:
    return text.replace("|", r"\|")
