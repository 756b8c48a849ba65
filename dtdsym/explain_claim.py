"""`dtdsym explain-claim NAME`: what a claim of the paper says, what holds of it, and how to ask it of a network."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from dtdsym.claims.decide import CLAIMS, OF_A_LAYER, OF_A_RULE
from dtdsym.claims.told import Told, told
from dtdsym.command import Parser, ended

_EPILOG = """examples:
  dtdsym explain-claim         every claim, in a line
  dtdsym explain-claim c1      one of them: what is printed, what holds, how to ask it, what a certificate shows

exit status: 0; 2 there is no such claim
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit status. One line on standard error where there is no such claim."""
    options = _parser().parse_args(argv)
    return ended(lambda: _run(options.claim))


def _parser() -> argparse.ArgumentParser:
    made = Parser(
        prog="dtdsym explain-claim",
        description="What a claim of the paper says, what holds of it, and how to ask it of your network.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("claim", metavar="NAME", nargs="?", help=f"one of {', '.join(CLAIMS)}; without it: a list")
    return made


def _run(claim: str | None) -> int:
    console = Console(highlight=False)
    for part in _list() if claim is None else _one(told(claim.lower())):
        console.print(part, soft_wrap=isinstance(part, Text))
    return 0


def _list() -> Iterator[RenderableType]:
    yield Text("Claims that are decided, and what is so where one is proved:", style="bold")
    yield _grid(CLAIMS.items())
    yield Text("dtdsym explain-claim NAME says more of one.")


def _one(claim: Told) -> Iterator[RenderableType]:
    yield Text(claim.title, style="bold")
    yield Text()
    rows = {label: text for label, text in claim.parts.items() if label != "Proof"}
    if claim.for_all:
        rows["In a box"] = claim.for_all
    yield _grid(rows.items())
    yield Text()
    yield Text("Ask it")
    yield from map(_command, asked(claim))
    if claim.proofs:
        yield Text()
        yield Text("Derive what holds, step by step (in a clone of the repository)")
        yield _command(f"python -m proofs {' '.join(claim.proofs)}")


def _command(line: str) -> Text:
    """On one line, however narrow the terminal is, to be copied."""
    return Text(f"  {line}")


def asked(claim: Told) -> list[str]:
    """How to ask a claim: on the command line, with certificates and their checker, and in Python."""
    about = {"layer": "1"} if claim.name in OF_A_LAYER else {}
    about |= {"rule": "zplus"} if claim.name in OF_A_RULE else {}
    about |= {"target": "target.npy"} if claim.name == "c3" else {}
    options = "".join(f" --{name} {value}" for name, value in about.items())
    ask = f"python -m dtdsym.verify net.pt --input images.npy --claim {claim.name}{options}"
    lines = [f"{ask} --certificates run.jsonl", "python -m dtdsym.checker run.jsonl"]
    if claim.for_all:
        rule = " --rule zplus" if claim.name in OF_A_RULE else ""
        lines.append(f"python -m dtdsym.verify net.pt --logit 0 --for-all box:0:1{rule}")
    written = {"layer": "1", "rule": '"zplus"', "target": "target"}
    arguments = "".join(f", {name}={written[name]}" for name in about)
    return [*lines, f'dtdsym.decide("{claim.name}", dtdsym.load("net.pt"), x, logit=0{arguments})']


def _grid(rows: Iterable[tuple[str, str]]) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column()
    for name, text in rows:
        grid.add_row(Text(name, style="bold"), Text(text))
    return Padding(grid, (0, 0, 0, 2))


if __name__ == "__main__":
    sys.exit(main())
