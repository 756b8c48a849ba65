"""`python -m dtdsym.regions NET`: list, count and draw the linear regions of a network, exactly."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from rich.console import Console

from dtdsym.command import (
    UNDECIDED,
    budget_of,
    check_apart,
    check_writable,
    command_line,
    ended,
    fail,
    network_of,
    progress_of,
    whole_number,
    workers,
    workers_asked,
)
from dtdsym.errors import BudgetSpent, InputError, NoRoot
from dtdsym.geometry.arrangement import arrangement
from dtdsym.geometry.placement import place
from dtdsym.network.network import Network
from dtdsym.relevance.root import KINDS, roots
from dtdsym.report.region_plot import region_plot
from dtdsym.report.regions import header, render, to_json, written
from dtdsym.survey.cells import count_cells
from dtdsym.survey.chunk import largest_outputs
from dtdsym.survey.inputs import read_inputs

WHOLE_LINE, WHOLE_PLANE = (Fraction(0), Fraction(1)), (Fraction(-1, 4), Fraction(5, 4))
"""Bounds of t where none are given: from the first input to the second; all three inputs, with a margin."""

_EPILOG = """examples:
  python -m dtdsym.regions net.pt --box=-1:1                          a network of few inputs, each from -1 to 1
  python -m dtdsym.regions net.pt --box=-1:1,0:2 --plot regions.svg   exact polygons
  python -m dtdsym.regions net.pt --box=-2:2 --plot out.png --input x.csv --rule zplus --rule w2    with root points
  python -m dtdsym.regions net.pt2 --plane three.npy --plot slice.svg   the plane through three inputs (rows)
  python -m dtdsym.regions net.pt2 --line two.npy --json pieces.json    the segment between two inputs
  python -m dtdsym.regions net.pt --box all --count --jobs 2 --resume count.jsonl     only count, in any dimension

exit status: 0; 2 it could not run; 3 the budget ran out
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit status. One line on standard error where it cannot run."""
    options = _parser().parse_args(argv)
    return ended(lambda: _run(options), options.resume)


def _parser() -> argparse.ArgumentParser:
    parser = command_line(
        "regions", "Every open cell and linear region of a network, exactly: listed, counted, drawn.", _EPILOG
    )
    add = parser.add_argument_group("which cells").add_argument
    add("--box", metavar="LO:HI[,LO:HI...]|all", help="bounds of every input, or of each (all: none)")
    add("--logit", metavar="K|all", default="all", help="regions of one output, or of all together (all)")
    flats = parser.add_argument_group("a plane or line through inputs, of any network").add_mutually_exclusive_group()
    flats.add_argument("--plane", metavar="FILE", help="three inputs, one a row: list the plane through them")
    flats.add_argument("--line", metavar="FILE", help="two inputs, one a row: list the line through them")
    add = parser.add_argument_group("the picture").add_argument
    add("--plot", metavar="FILE", help="draw it: .svg, .pdf or .png (one and two dimensions)")
    add("--input", metavar="FILE", help="mark the first input (row) of a file, and its linear region")
    add("--rule", metavar="NAME[:PARAM...]", action="append", help="repeatable: draw this rule's first-layer roots")
    add("--root", metavar="KIND", help="of --rule: relevance (what tools use) or hinge (the theory's) (relevance)")
    add = parser.add_argument_group("work, and what comes out").add_argument
    add("--json", metavar="FILE|-", help="write every cell as JSON, exactly; -: to standard output, and nothing else")
    add("--count", action="store_true", help="only count cells, in bounded memory and any dimension")
    workers_asked(add, "with --count: ")
    add("--resume", metavar="FILE", help="with --count: keep finished work in FILE, and go on from what it holds")
    add(
        "--budget",
        metavar="SECONDS",
        type=float,
        help="for the whole list; with --count for each 64th of it (no limit)",
    )
    add("--quiet", action="store_true", help="nothing on standard output, no progress")
    return parser


def _run(options: argparse.Namespace) -> int:
    check_apart(options, ("plane", "line", "input"), ("json", "plot", "resume"))
    _check(options)
    network = network_of(options)
    points = _points(options, network)
    if options.plot and points is None and network.sizes[0] > 2:
        size = network.sizes[0]
        raise InputError(
            f"--plot draws one and two dimensions, and the network has {size} inputs; give --plane or --line"
        )
    asked = {
        "box": _box(options, network.sizes[0] if points is None else len(points) - 1, points is not None),
        "points": points,
        "logit": _logit(options, network),
        "budget": budget_of(options),
    }
    for path in (options.json, options.plot):
        check_writable(path)
    try:
        return _count(options, network, asked) if options.count else _list(options, network, asked)
    except BudgetSpent as spent:
        fail(str(spent))
        return UNDECIDED


def _check(options: argparse.Namespace) -> None:
    """Refuse options that would do nothing."""
    if options.root not in (None, *KINDS):
        raise InputError(f"--root {options.root!r}: expected {' or '.join(KINDS)}")
    needs = {
        "--resume": (options.resume and not options.count, "--count"),
        "--jobs": (options.jobs not in (None, 1) and not options.count, "--count"),
        "--dask": (options.dask is not None and not options.count, "--count"),
        "--input": (options.input and not options.plot, "--plot"),
        "--rule": (options.rule and not options.input, "--input and --plot"),
        "--root": (options.root and not options.rule, "--rule"),
        "--plot": (options.plot and options.count, "a list of cells; leave out --count"),
        "--input with --plane or --line": (options.input and (options.plane or options.line), "the whole input space"),
    }
    for option, (wrong, what) in needs.items():
        if wrong:
            raise InputError(f"{option} needs {what}")


def _points(options: argparse.Namespace, network: Network) -> list[list[float]] | None:
    path, needed = (options.plane, 3) if options.plane else (options.line, 2)
    if path is None:
        return None
    given = read_inputs(path, network)
    if given.count != needed:
        kind = "plane" if needed == 3 else "line"
        raise InputError(f"{path}: {given.count} inputs; a {kind} needs {needed}, one a row")
    rows: list[list[float]] = given.batch(0, needed).points.tolist()
    return rows


def _box(options: argparse.Namespace, dimension: int, flat: bool) -> list[tuple[Any, Any]] | None:
    text = options.box
    if text == "all":
        return None
    if text is None:
        if flat:
            return [WHOLE_LINE if dimension == 1 else WHOLE_PLANE] * dimension
        if options.plot:
            raise InputError("--plot needs bounds: give --box LO:HI, or --plane or --line")
        return None
    sides = [tuple(side.split(":")) for side in text.split(",")]
    if any(len(side) != 2 for side in sides):
        raise InputError(f"--box {text!r}: give LO:HI, or LO:HI,LO:HI,... one for each of {dimension}, or all")
    return sides * dimension if len(sides) == 1 else sides


def _logit(options: argparse.Namespace, network: Network) -> int | None:
    found = whole_number(options.logit, "--logit", "all")
    if isinstance(found, int):
        network.logit(found)
        return found
    return None


def _count(options: argparse.Namespace, network: Network, asked: dict[str, Any]) -> int:
    with workers(options.jobs, options.dask) as executor, progress_of(options.quiet, "parts") as progress:
        cells = count_cells(network, **asked, executor=executor, journal=options.resume, progress=progress)
    document = {**header(network, asked["box"], asked["points"], asked["logit"]), "counts": {"cells": cells}}
    _show(options, document, f"{cells:,} open cells")
    return 0


def _list(options: argparse.Namespace, network: Network, asked: dict[str, Any]) -> int:
    x = _input(options, network)
    if x is not None and asked["logit"] is None:
        asked["logit"] = int(largest_outputs(network, x[None])[0])
    with progress_of(options.quiet, "cells") as progress:
        listed = None if progress is None else lambda cells: progress(cells, None)
        found = arrangement(network, **asked, progress=listed)
    if options.plot:
        marks = {} if x is None else {"x": x.tolist(), "roots": _roots(options, network, x, asked["logit"])}
        region_plot(found, options.plot, **marks)
    _show(options, to_json(found) if options.json else {}, render(found))
    return 0


def _input(options: argparse.Namespace, network: Network) -> Any:
    return read_inputs(options.input, network).batch(0, 1).points[0] if options.input else None


def _roots(
    options: argparse.Namespace, network: Network, x: Any, logit: int
) -> list[tuple[str, str, tuple[Fraction, ...]]]:
    """(rule, place, root) of every rule's roots that exist."""
    budget = budget_of(options)
    found = []
    for rule in options.rule or ():
        for root in roots(network, x, rule=rule, logit=logit, root=options.root or KINDS[0]):
            if not isinstance(root, NoRoot):
                found.append((rule, place(network, x, root, logit=logit, budget=budget).name, tuple(root)))
    return found


def _show(options: argparse.Namespace, document: dict[str, Any], told: Any) -> None:
    if options.json not in (None, "-"):
        with Path(options.json).open("w", encoding="utf-8") as file:
            file.writelines(written(document))
    if options.json == "-":
        sys.stdout.writelines(written(document))
    elif not options.quiet:
        Console(highlight=False).print(told)


if __name__ == "__main__":
    sys.exit(main())
