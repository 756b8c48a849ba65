"""`python -m dtdsym.checker FILE`: check certificates, one line each, trusting nothing but this folder."""

from __future__ import annotations

import argparse
import gzip
import os
import sys
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, cast

from dtdsym.checker import c1, c4, claims, place, recursion, roots
from dtdsym.checker.network import Network, read_network
from dtdsym.checker.reading import CUT_OFF, Refused, parse, shown, text
from dtdsym.checker.subject import Subject, View, read_input

ACCEPTED, REFUSED, UNREADABLE = 0, 1, 2
LONGEST_LINE = 1 << 30
CLAIMS: dict[str, Callable[[dict[str, Any], View], str]] = {
    "place": place.check,
    **c1.CLAIMS,
    **c4.CLAIMS,
    **claims.CLAIMS,
    **recursion.CLAIMS,
    **roots.CLAIMS,
}
"""What checks the claims of each kind."""
Answer = tuple[int, bool, str]
"""(number of the line, whether it was accepted, what to say of it)"""


class Checker:
    """Reads line after line; holds no more than the last network and input."""

    def __init__(self, networks: Sequence[str], inputs: Sequence[str]) -> None:
        self.networks, self.inputs = networks, inputs
        self.network: Network | None = None
        self.subject: Subject | None = None

    def line(self, content: str) -> str | None:
        """What was accepted: of a claim in words, None of a network or an input. Raises Refused."""
        line = parse(content)
        if "nodes" in line or "format" in line:
            self.network = self.subject = None
            self.network = read_network(line)
            if self.networks and self.network.hash not in self.networks:
                self.network = None
                raise Refused("this is not the network that was asked about")
            return None
        if self.network is None:
            raise Refused("no network stands above it, or that was refused")
        if "claim" not in line:
            self.subject = None
            self.subject = read_input(line, self.network)
            if self.inputs and self.subject.hash not in self.inputs:
                self.subject = None
                raise Refused("this is not an input that was asked about")
            return None
        if self.subject is None:
            raise Refused("no input stands above it, or that was refused")
        return self._claim(line, self.subject)

    def _claim(self, line: dict[str, Any], subject: Subject) -> str:
        for name in ("network", "input", "logit", "layer"):
            if name not in line:
                raise Refused(f"key {name!r} is missing")
        for name, own in (("network", subject.network.hash), ("input", subject.hash)):
            if line.get(name) != own:
                raise Refused(f"the claim names another {name} than stands above it")
        kind = text(line["claim"], "claim")
        if kind not in CLAIMS:
            raise Refused(f"claim {shown(kind)} is unknown")
        return CLAIMS[kind](line, subject.view(line["logit"]))


def answer(checker: Checker, number: int, content: str) -> Answer | None:
    """What is said of a line; None where nothing is."""
    try:
        told = checker.line(content)
    except Refused as refused:
        return number, False, f"line {number}: refused: {refused}"
    return None if told is None else (number, True, f"line {number}: accepted: {told}")


def answers(lines: Iterator[tuple[int, str]], checker: Checker) -> Iterator[Answer]:
    """In order."""
    for number, content in lines:
        said = answer(checker, number, content)
        if said is not None:
            yield said


def in_parallel(lines: Iterator[tuple[int, str]], checker: Checker, jobs: int) -> Iterator[Answer]:
    """The same on several processes: each gets the network's line, and an input's lines as a whole."""
    with ProcessPoolExecutor(jobs) as pool:
        waiting: deque[Future[list[Answer]]] = deque()
        for part in _parts(lines):
            waiting.append(pool.submit(_on_worker, part, checker.networks, checker.inputs))
            if len(waiting) > 4 * jobs:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


BLOCK = 500  # lines


def _parts(lines: Iterator[tuple[int, str]]) -> Iterator[tuple[tuple[int, str] | None, bool, list[tuple[int, str]]]]:
    """(the network's line, whether it is to be spoken of, the lines below it): cut before an input's line."""
    network: tuple[int, str] | None = None
    new = False
    block: list[tuple[int, str]] = []
    for number, content in lines:
        head = '"claim"' not in content
        starts = head and '"nodes"' in content
        if starts or (head and len(block) >= BLOCK):
            if block or new:
                yield network, new, block
            new, block = starts, []
        if starts:
            network = number, content
        else:
            block.append((number, content))
    if block or new:
        yield network, new, block


_KEPT: dict[tuple[int, str] | None, Checker] = {}


def _on_worker(
    part: tuple[tuple[int, str] | None, bool, list[tuple[int, str]]], networks: Sequence[str], inputs: Sequence[str]
) -> list[Answer]:
    head, new, block = part
    said = None
    if new or head not in _KEPT:
        _KEPT.clear()
        _KEPT[head] = Checker(networks, inputs)
        said = None if head is None else answer(_KEPT[head], *head)
    _KEPT[head].subject = None
    return [*([said] if new and said is not None else []), *answers(iter(block), _KEPT[head])]


def read_lines(file: IO[bytes]) -> Iterator[tuple[int, str]]:
    """(number, line); a line that was cut off, is no UTF-8 or is huge becomes what no parser takes."""
    number = 0
    while line := file.readline(LONGEST_LINE):
        number += 1
        if not line.endswith(b"\n"):
            yield number, CUT_OFF
            continue
        yield number, line.decode("utf-8", errors="replace").rstrip("\n")


def opened(path: str) -> IO[bytes]:
    """The file, compressed or not; - is standard input."""
    if path == "-":
        return sys.stdin.buffer
    with Path(path).open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    return cast(IO[bytes], gzip.GzipFile(path)) if compressed else Path(path).open("rb")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit status."""
    try:
        return _run(_parser().parse_args(argv))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREADABLE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dtdsym.checker", description=__doc__)
    parser.add_argument("files", metavar="FILE", nargs="+", help=".jsonl or .jsonl.gz; - is standard input")
    parser.add_argument(
        "--expect", metavar="HASH", action="append", default=[], help="the network that was asked about"
    )
    parser.add_argument(
        "--expect-input", metavar="HASH", action="append", default=[], help="an input that was asked about"
    )
    parser.add_argument("--jobs", metavar="N", type=int, default=1, help="processes (1)")
    parser.add_argument("--quiet", action="store_true", help="say only what was refused, and the counts")
    return parser


def _run(options: argparse.Namespace) -> int:
    if options.jobs < 1:
        print(f"dtdsym.checker: --jobs {options.jobs}: give at least 1", file=sys.stderr)
        return UNREADABLE
    accepted = refused = 0
    for path in options.files:
        checker = Checker(options.expect, options.expect_input)
        try:
            with ExitStack() as stack:
                lines = read_lines(stack.enter_context(opened(path)))
                many = options.jobs > 1
                for _, good, told in in_parallel(lines, checker, options.jobs) if many else answers(lines, checker):
                    accepted, refused = accepted + good, refused + (not good)
                    if not good or not options.quiet:
                        print(told)
        except BrokenPipeError:
            raise
        except (OSError, EOFError, zlib.error) as err:
            print(f"dtdsym.checker: {path}: cannot be read ({err})", file=sys.stderr)
            return UNREADABLE
    print(f"{accepted} accepted, {refused} refused")
    return ACCEPTED if accepted and not refused else REFUSED


if __name__ == "__main__":
    sys.exit(main())
