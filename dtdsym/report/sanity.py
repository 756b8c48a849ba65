"""Sanity checks of explanations, as a user calls them, and their findings, which display and draw themselves.

They ask what an explanation depends on: the explained logit, and the layers of the network (Adebayo et al. 2018,
arXiv:1810.03292; Sixt and Landgraf 2022, Section 5.2). Everything is measured in float64, and nothing proved.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypedDict, Unpack

import numpy as np
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from dtdsym.network.network import Network
from dtdsym.network.randomise import checked_law
from dtdsym.report.sanity_plot import plot
from dtdsym.report.sanity_words import sentences, table, to_json
from dtdsym.survey.changes import any_other, cascading, checked_seed, independent, same_category
from dtdsym.survey.sanity import Asked, Change, Measurement, Progress, measure


class How(TypedDict, total=False):
    """How maps are made, the same for all checks.

    logit: the explained output, one for all inputs or one each, or "argmax", each input's largest in float64 (the
    default). start: relevance starts from 1 at that output ("one", the default: shares of the output), or from its
    value ("output", what `explain` gives: it turns the whole map where the output is negative). absolute: maps without
    their signs, as in the code of the paper's authors (no): with them, scaling a map to [0, 1] moves pixels without
    relevance whenever the map's least or largest one moves. channels: added up to one number a pixel ("sum", the
    default), or pixels of their own ("each"). device: where tensors are computed ("cpu").
    """

    logit: int | Sequence[int] | str
    start: str
    absolute: bool
    channels: str
    device: str


class SanityCheck(Measurement):
    """A measurement that shows itself: print it, `.plot(path)`, `.to_json()`, `.sentences()`, `.rows`."""

    def plot(self, path: str) -> None:
        """Draw it: .png, .svg or .pdf. Raises InputError."""
        plot(self, path)

    def sentences(self) -> Iterator[str]:
        """The finding in plain words."""
        yield from sentences(self)

    def to_json(self) -> dict[str, Any]:
        """Everything but the maps, as JSON has it; null where a map is flat, so that nothing was measured."""
        return to_json(self)

    def __str__(self) -> str:
        return "\n".join(self.sentences())

    def __rich__(self) -> RenderableType:
        lines = [Padding(sentence, (0, 0, 0, 2)) for sentence in self.sentences()]
        return Group(Text(f"Sanity check: {self.check}", style="bold"), *lines, Text(), table(self))


def other_class(
    network: Network, inputs: Any, rule: Any = "zplus", *, other: Any = "random", seed: int = 0, **how: Unpack[How]
) -> SanityCheck:
    """How far maps move when another output is explained.

    inputs: as `audit` takes them. rule: a name, composite or rule, or several of them; gradient x input is measured
    beside, as the control. other: the output explained instead, one for all inputs or one each, or "random": drawn for
    each input, by seed and the input's number. how: see How. Raises InputError, RuleError.
    """
    asked = Asked.of(network, inputs, rule, **how)
    others = any_other(asked, other, checked_seed(seed))
    return _other(asked, "other class", others, seed if isinstance(other, str) else None)


def other_logit(
    network: Network,
    inputs: Any,
    rule: Any = "zplus",
    *,
    categories: Sequence[Sequence[int]],
    seed: int = 0,
    **how: Unpack[How],
) -> SanityCheck:
    """How far maps move when another output of the same category is explained, as in Section 5.2 of the paper: another
    colour, but no number.

    categories: lists of outputs that answer the same question; the explained output must be in one. All else as in
    `other_class`. Raises InputError, RuleError.
    """
    asked = Asked.of(network, inputs, rule, **how)
    return _other(asked, "other logit of the same category", same_category(asked, categories, checked_seed(seed)), seed)


def cascading_randomisation(
    network: Network,
    inputs: Any,
    rule: Any = "zplus",
    *,
    seed: int = 0,
    weights: str = "normal",
    progress: Progress | None = None,
    **how: Unpack[How],
) -> SanityCheck:
    """How far maps move when layers are drawn anew from the output down, each together with all above it.

    The explained output stays the one of the network as it is. weights: "normal" (a normal law of mean 0, as large as
    the layer's weights by root mean square) or "permuted" (the layer's own weights in another order); batch
    normalisation has its channels permuted either way. Layers with the same weights are one layer. progress: told how
    many steps of all are done. All else as in `other_class`. Raises InputError, RuleError.
    """
    asked = Asked.of(network, inputs, rule, **how)
    changes = cascading(asked, checked_seed(seed), checked_law(weights))
    return _drawn_anew(asked, "cascading randomisation", changes, seed, weights, progress)


def independent_randomisation(
    network: Network,
    inputs: Any,
    rule: Any = "zplus",
    *,
    seed: int = 0,
    weights: str = "normal",
    progress: Progress | None = None,
    **how: Unpack[How],
) -> SanityCheck:
    """How far maps move when one layer is drawn anew and all others stay. All else as in `cascading_randomisation`,
    which draws the same weights for a layer. Raises InputError, RuleError."""
    asked = Asked.of(network, inputs, rule, **how)
    changes = independent(asked, checked_seed(seed), checked_law(weights))
    return _drawn_anew(asked, "independent randomisation", changes, seed, weights, progress)


def _other(asked: Asked, check: str, others: np.ndarray, seed: int | None) -> SanityCheck:
    change = Change("the other output", asked.network, others)
    return SanityCheck(**vars(measure(asked, check, [change], others=tuple(others.tolist()), seed=seed)))


def _drawn_anew(
    asked: Asked, check: str, changes: Iterator[Change], seed: int, weights: str, progress: Progress | None
) -> SanityCheck:
    return SanityCheck(**vars(measure(asked, check, changes, progress=progress, seed=seed, law=weights)))
