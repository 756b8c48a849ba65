"""Running statements: one script from its own file, or all of them."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from textwrap import fill

import sympy

from machinery.derivation import Derivation, Step, StepFailed
from machinery.identity import Side, entries
from machinery.statement import KNOWN, Statement, rank

FOLDER = Path(__file__).parent.parent
WIDTH = 110
SHOWN = 300
"""Characters of a side that are printed."""


def scripts() -> list[str]:
    """The names of all scripts."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in ("__main__", "conftest"))


def statements() -> dict[str, Statement]:
    """All statements by their id, in the order of the paper's numbers."""
    for name in scripts():
        import_module(name)
    return {id: KNOWN[id] for id in sorted(KNOWN, key=rank)}


def derive(one: Statement, *, quiet: bool = False) -> Derivation:
    """The derivation, all its steps decided, printed as it goes. Raises StepFailed, whatever it is that fails: one
    statement's error is no reason to leave the others undecided."""
    if not quiet:
        print(f"{one.id}: {one.title} ({one.place})")
        for label, text in (("printed", one.printed), ("scope", one.scope)):
            print(_folded(f"{label}: {text}"))
    made = Derivation(one, show=(lambda step: None) if quiet else _print)
    try:
        one.derive(made)
    except StepFailed as err:
        raise StepFailed(f"{made.case}{err}") from err
    except Exception as err:
        raise StepFailed(f"{made.case}{type(err).__name__}: {err}") from err
    made.close()
    if not quiet:
        print(_folded(f"{one.verdict.upper()}: {one.reason}"))
        print(_folded(f"corrected: {one.corrected}") + "\n" if one.corrected else "")
    return made


def main() -> None:
    """Derive the statements of the script that is being run, and exit with 1 if a step fails."""
    failed = 0
    for one in [one for one in KNOWN.values() if one.module == "__main__"]:
        try:
            derive(one)
        except StepFailed as err:
            print(f"{one.id} FAILED: {err}", file=sys.stderr)
            failed = 1
    sys.exit(failed)


def told(side: Side) -> str:
    """One side of a step, for reading."""
    text = f"({', '.join(map(str, entries(side)))})" if not isinstance(side, sympy.Basic) else str(side)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} ..."


def _print(step: Step) -> None:
    print(_folded(step.text if step.kind in ("say", "case") else f"[{step.kind}] {step.text}"))
    if step.left is not None:
        sign = "=" if step.kind == "equal" else "is printed, and it is"
        print(_folded(f"{told(step.left)} {sign} {told(step.right)}", 6))
    if step.note:
        print(_folded(step.note, 6))


def _folded(text: str, indent: int = 2) -> str:
    return fill(text, WIDTH, initial_indent=" " * indent, subsequent_indent=" " * (indent + 2))
