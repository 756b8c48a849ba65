"""The relation network of Santoro et al. 2017 (arXiv:1706.01427): a convolutional stack whose 8 x 8 positions are
paired, each pair with the question's embedding; g on each pair, their sum, and f on the sum.

    logits = f( sum over positions i, j of g(o_i, o_j, q) )
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import nn

from .vocabulary import ANSWERS


@dataclass(frozen=True)
class Sizes:
    """The defaults are those of Santoro et al. for CLEVR, where images are 128 x 128.

    strides: of the 3 x 3 convolutions, one after another. g, f: widths of their hidden layers; f ends in the answers.
    scale: times the mean over pairs: 4096, the number of pairs, makes it their sum.
    """

    words: tuple[str, ...]
    image: int = 128
    strides: tuple[int, ...] = (2, 2, 2, 2)
    channels: int = 24
    embedding: int = 32
    question: int = 128
    g: tuple[int, ...] = (256, 256, 256, 256)
    f: tuple[int, ...] = (256, 256)
    dropout: float = 0.5
    scale: float = 4096.0
    answers: tuple[str, ...] = field(default=ANSWERS)

    @property
    def map(self) -> int:
        """The side of the map of positions: 8."""
        side = self.image
        for stride in self.strides:
            side = -(-side // stride)
        return side


def coordinates(side: int) -> torch.Tensor:
    """(2, side, side): each position's row and column, in [0, 4], which is about as much as a feature has."""
    line = torch.linspace(0, 4, side)
    return torch.stack([line[:, None].expand(side, side), line[None, :].expand(side, side)])


class RelationNetwork(nn.Module):
    """images (batch, 3, image, image) in [0, 1] and tokens (batch, length), 0 behind the end, to logits."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        channels = [3, *[sizes.channels] * len(sizes.strides)]
        self.convolutions = nn.Sequential(
            *(
                part
                for before, after, stride in zip(channels[:-1], channels[1:], sizes.strides, strict=True)
                for part in (nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU())
            )
        )
        self.words = nn.Embedding(len(sizes.words), sizes.embedding, padding_idx=0)
        self.lstm = nn.LSTM(sizes.embedding, sizes.question, batch_first=True)
        self.features = sizes.channels + 2
        self.g = _perceptron([2 * self.features + sizes.question, *sizes.g])
        self.f = nn.Sequential(
            *_perceptron([sizes.g[-1], *sizes.f]), nn.Dropout(sizes.dropout), nn.Linear(sizes.f[-1], len(sizes.answers))
        )
        self.register_buffer("places", coordinates(sizes.map), persistent=False)

    def embed(self, tokens: torch.Tensor) -> torch.Tensor:
        """The LSTM's state at each question's last word (batch, question)."""
        last = (tokens != 0).sum(1) - 1
        states, _ = self.lstm(self.words(tokens))
        return states[torch.arange(len(tokens)), last]

    def positions(self, maps: torch.Tensor, coarse: int = 1) -> torch.Tensor:
        """What stands at each position of a map, with its coordinates: (batch, positions, channels + 2).

        coarse: the greatest of coarse x coarse positions stand for them."""
        places = self.places
        if coarse > 1:
            maps = nn.functional.max_pool2d(maps, coarse)
            places = nn.functional.avg_pool2d(places, coarse)
        return torch.cat([maps, places.expand(len(maps), -1, -1, -1)], 1).flatten(2).transpose(1, 2)

    def relate(self, positions: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        """Logits. The first layer of g, on [o_i, o_j, q], is the sum of its three parts, found once for each."""
        first, rest = self.g[0], self.g[1:]
        left, right, question = first.weight.split([self.features, self.features, self.sizes.question], 1)
        own, other = positions @ left.T, positions @ right.T + (embedding @ question.T + first.bias)[:, None]
        pairs = rest(own[:, :, None] + other[:, None])
        return self.f(pairs.mean((1, 2)) * self.sizes.scale)

    def answer(self, positions: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """Logits. Questions may be a multiple of the images: as many, one after another, belong to each."""
        return self.relate(positions.repeat_interleave(len(tokens) // len(positions), 0), self.embed(tokens))

    def forward(self, images: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """Logits (questions, answers)."""
        return self.answer(self.positions(self.convolutions(images)), tokens)


def _perceptron(widths: Sequence[int]) -> nn.Sequential:
    return nn.Sequential(
        *(part for before, after in pairwise(widths) for part in (nn.Linear(before, after), nn.ReLU()))
    )


def save(model: RelationNetwork, path: Path) -> None:
    """Sizes and weights, which `load` reads."""
    torch.save({"sizes": asdict(model.sizes), "weights": model.state_dict()}, path)


class CheckpointError(ValueError):
    """A file is not a checkpoint of this network."""


def load(path: Path) -> RelationNetwork:
    """The network of a checkpoint, in evaluation mode. Nothing in the file is run. Raises CheckpointError."""
    try:
        kept: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    except OSError as err:
        raise CheckpointError(
            f"{path}: {err.strerror}; give a checkpoint that examples.relation_network.train wrote"
        ) from err
    except (RuntimeError, UnpicklingError, EOFError) as err:
        raise CheckpointError(f"{path}: no checkpoint; give one that examples.relation_network.train wrote") from err
    if not isinstance(kept, dict) or not {"sizes", "weights"} <= set(kept):
        raise CheckpointError(f"{path}: another checkpoint; give one that examples.relation_network.train wrote")
    lists = {key: tuple(value) if isinstance(value, list) else value for key, value in kept["sizes"].items()}
    model = RelationNetwork(Sizes(**lists))
    model.load_state_dict(kept["weights"])
    return model.eval()
