"""`python -m dtdsym.checker FILE`: check certificates, one line each, trusting nothing but this folder."""

from __future__ import annotations

import argparse
import gzip
import os
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import IO, Any, cast

from dtdsym.checker import assumption_1, c1, c4, c7, claims, place, recursion, roots
from dtdsym.checker.network import Network, read_network
from dtdsym.checker.options import parser
from dtdsym.checker.processes import in_parallel
from dtdsym.checker.reading import CUT_OFF, Refused, parse, shown, text
from dtdsym.checker.subject import Subject, View, is_input, is_network, read_input

ACCEPTED, REFUSED, UNREADABLE = 0, 1, 2
LONGEST_LINE = 1 << 30
KINDS = (place, claims, assumption_1, c1, recursion, c4, c7, roots)
CLAIMS: dict[str, Callable[[dict[str, Any], View], str]] = {
    name: check for kind in KINDS for name, check in kind.CLAIMS.items()
}
"""What checks the claims of each kind."""
Answer = tuple[int, bool, str]
"""(number of the line, whether it was accepted, what to say of it)"""


class Checker:
    """Reads line after line; holds no more than the last network and input.

    networks, inputs: hashes of those that were asked about, none if any will do. met: of those that claims name."""

    def __init__(self, networks: Sequence[str] = (), inputs: Sequence[str] = ()) -> None:
        self.networks, self.inputs = networks, inputs
        self.network: Network | None = None
        self.subject: Subject | None = None
        self.met: set[str] = set()

    def answers(self, lines: Iterable[tuple[int, str]]) -> Iterator[Answer]:
        """What is said of numbered lines, in order: of claims, and of whatever is refused."""
        for number, content in lines:
            try:
                told = self.line(content)
            except Refused as refused:
                yield number, False, f"line {number}: refused: {refused}"
            except Exception as err:  # whatever a line makes of this checker, the next one is read
                what = f"{type(err).__name__} {shown(str(err))}"
                yield number, False, f"line {number}: refused: it cannot be checked: {what}"
            else:
                if told is not None:
                    yield number, True, f"line {number}: accepted: {told}"

    def line(self, content: str) -> str | None:
        """What was accepted: of a claim in words, None of a network or an input. Raises Refused."""
        line = parse(content)
        if is_network(line):
            self.network = self.subject = None
            self.network = read_network(line)
            if self.networks and self.network.hash not in self.networks:
                self.network = None
                raise Refused("this is not the network that was asked about")
            return None
        if self.network is None:
            raise Refused("no network stands above it, or that was refused")
        if is_input(line):
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
        self.met |= {subject.network.hash, subject.hash}
        kind = text(line["claim"], "claim")
        if kind not in CLAIMS:
            raise Refused(f"claim {shown(kind)} is unknown")
        return CLAIMS[kind](line, subject.view(line["logit"]))


def read_lines(file: IO[bytes]) -> Iterator[tuple[int, str]]:
    """(number, line); a line that was cut off, is no UTF-8 or is huge becomes what no parser takes."""
    for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE), b""), start=1):
        whole = line.endswith(b"\n")
        yield number, line.decode("utf-8", errors="replace").rstrip("\n") if whole else CUT_OFF


@contextmanager
def opened(path: str) -> Iterator[IO[bytes]]:
    """The file, compressed or not; - is standard input, which stays open."""
    with open(0 if path == "-" else path, "rb", closefd=path != "-") as file:
        compressed = file.peek(1)[:1] == b"\x1f"  # of gzip's two: a pipe may have no more yet, and no line begins so
        with gzip.GzipFile(fileobj=file) if compressed else nullcontext(file) as content:
            yield cast(IO[bytes], content)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit status."""
    try:
        return _run(parser().parse_args(argv))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREADABLE


def _run(options: argparse.Namespace) -> int:
    if options.jobs < 1:
        return _unreadable(f"--jobs {options.jobs}: give at least 1")
    if options.files.count("-") > 1:
        return _unreadable("-: standard input can be read once; give it once")
    accepted = refused = 0
    left = [("network", name) for name in options.expect] + [("input", name) for name in options.expect_input]
    for path in options.files:
        checker = Checker(options.expect, options.expect_input)
        try:
            with opened(path) as file:
                lines = read_lines(file)
                answers = in_parallel(lines, checker, options.jobs) if options.jobs > 1 else checker.answers(lines)
                for _, good, told in answers:
                    accepted, refused = accepted + good, refused + (not good)
                    if not good or not options.quiet:
                        print(told)
        except BrokenPipeError:
            raise
        except ChildProcessError as err:
            return _unreadable(f"{path}: not checked to the end: {err}")
        except (OSError, EOFError, zlib.error) as err:
            return _unreadable(f"{path}: cannot be read ({err})")
        left = [(what, name) for what, name in left if name not in checker.met]
    for what, name in left:
        print(f"refused: no claim is about {what} {shown(name)}, which was asked about")
    print(f"{accepted} accepted, {refused + len(left)} refused")
    return ACCEPTED if accepted and not refused and not left else REFUSED


def _unreadable(why: str) -> int:
    print(f"dtdsym.checker: {why}", file=sys.stderr)
    return UNREADABLE


if __name__ == "__main__":
    sys.exit(main())
