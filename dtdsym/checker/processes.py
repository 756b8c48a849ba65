"""The same answers from several processes: each gets the network's line, and an input's lines as a whole."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any

from dtdsym.checker.reading import Refused, parse
from dtdsym.checker.subject import is_input, is_network

if TYPE_CHECKING:
    from dtdsym.checker.__main__ import Answer, Checker

BLOCK = 500  # lines
SIGNS = ('"nodes"', '"format"', "\\")
"""One of them stands in every line with such a key: a key may be written with escapes."""
Line = tuple[int, str]
Part = tuple[Line | None, bool, list[Line]]
"""(the network's line, whether it is to be spoken of, the lines below it)"""


def in_parallel(lines: Iterator[Line], checker: Checker, jobs: int) -> Iterator[Answer]:
    """What `checker.answers` would say, in order; each process has its own copy of the checker.

    Raises ChildProcessError if one of them is ended from outside."""
    try:
        yield from _answers(lines, checker, jobs)
    except BrokenExecutor as err:
        raise ChildProcessError("one of its processes was ended, by a lack of memory or by hand") from err


def _answers(lines: Iterator[Line], checker: Checker, jobs: int) -> Iterator[Answer]:
    with ProcessPoolExecutor(jobs) as pool:
        parts = _parts(lines)
        waiting: deque[Future[tuple[list[Answer], set[str]]]] = deque()
        while True:
            waiting.extend(pool.submit(_on_worker, part, checker) for part in islice(parts, 4 * jobs - len(waiting)))
            if not waiting:
                return
            answers, met = waiting.popleft().result()
            checker.met |= met
            yield from answers


def _parts(lines: Iterator[Line]) -> Iterator[Part]:
    """Cut before every network's line, and before an input's where there is enough above it."""
    network: Line | None = None
    new = False
    block: list[Line] = []
    for number, content in lines:
        starts = any(sign in content for sign in SIGNS) and _holds(content, is_network)
        if starts or (len(block) >= BLOCK and '"claim"' not in content and _holds(content, is_input)):
            if block or new:
                yield network, new, block
            new, block = starts, []
        if starts:
            network = number, content
        else:
            block.append((number, content))
    if block or new:
        yield network, new, block


def _holds(content: str, asked: Callable[[dict[str, Any]], bool]) -> bool:
    """What `Checker.line` would find; a line that it cannot read changes nothing there."""
    try:
        return asked(parse(content))
    except Refused:
        return False


_KEPT: dict[Line | None, Checker] = {}


def _on_worker(part: Part, fresh: Checker) -> tuple[list[Answer], set[str]]:
    head, new, block = part
    said: list[Answer] = []
    if new or head not in _KEPT:
        _KEPT.clear()
        _KEPT[head] = fresh
        said = [] if head is None else list(fresh.answers([head]))
    checker = _KEPT[head]
    checker.subject = None
    return [*(said if new else []), *checker.answers(block)], checker.met
