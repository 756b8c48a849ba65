"""Small audits whose pages are looked at, and a reader of pages."""

from __future__ import annotations

import itertools
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np

from dtdsym.network.network import Network, sequential
from dtdsym.report.audit import Report, audit

HOSTILE = "<script>alert(1)</script>\"'&.pt"
TARGET = [1 if 4 <= pixel < 8 else 0 for pixel in range(16)]
VOID = {"meta", "link", "img", "br", "hr", "input"}


def network(*sizes: int, seed: int = 0, source: str = HOSTILE) -> Network:
    """Layers of small random sixteenths, with biases."""
    rng = np.random.default_rng(seed)
    layers = [
        (rng.integers(-16, 17, (out, size)) / 16, rng.integers(-4, 5, out) / 16)
        for size, out in itertools.pairwise(sizes)
    ]
    return replace(sequential(*layers), source=source)


def inputs(count: int, size: int, seed: int = 1) -> np.ndarray:
    """Non-negative eighths."""
    return np.random.default_rng(seed).integers(0, 17, (count, size)) / 8


def pictured(**asked: object) -> Report:
    """4 x 4 pictures, three layers, three rules; a claim on every input, one of them forged explanations."""
    asked = {"claims": ["conservation", "c3"], "target": TARGET, "rules": ["lrp0", "zplus", "w2"], **asked}
    return audit(network(16, 8, 6, 3), inputs(4, 16), layers="all", ledger=2, **asked)


class Page(HTMLParser):
    """elements: (tag, attributes, text inside) in order; flaws: what is not well nested."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str], list[str]]] = []
        self.open: list[tuple[str, list[str]]] = []
        self.flaws: list[str] = []
        self.feed(text)
        self.close()
        self.flaws += [f"<{tag}> is not closed" for tag, _ in self.open]

    def handle_starttag(self, tag, attrs):
        words: list[str] = []
        self.elements.append((tag, dict(attrs), words))
        if tag not in VOID:
            self.open.append((tag, words))

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs), []))

    def handle_endtag(self, tag):
        if not self.open or self.open[-1][0] != tag:
            self.flaws.append(f"</{tag}> at {self.getpos()} closes {self.open[-1:]}")
        else:
            self.open.pop()

    def handle_data(self, data):
        for _, words in self.open:
            words.append(data)

    def all(self, *tags: str) -> list[tuple[str, dict[str, str], str]]:
        """Elements of these tags with their text."""
        return [(tag, attributes, " ".join("".join(w).split())) for tag, attributes, w in self.elements if tag in tags]
