"""The relation network as one piecewise linear function of pixels and question embedding, which dtdsym explains.

The LSTM is no part of it: it makes the embedding, which stands beside the pixels as an input held constant. So one
lifted network serves all questions, and what relevance the rules give to the embedding and to the coordinates is seen,
and goes no further: as in the paper, only the image is explained. (With the embedding's part folded into a bias, alpha1
beta0 would give its share to the pixels, since it ignores biases.)
"""

from __future__ import annotations

import torch
from torch import nn

import dtdsym

from .model import RelationNetwork


class Paired(nn.Module):
    """rows (batch, 3 image² + question): pixels in [0, 1], then the embedding. The same function as the network's.

    Here every pair stands there as a whole, [o_i, o_j, q] at place (i, j), and g is 1 x 1 convolutions over the places.
    """

    def __init__(self, model: RelationNetwork) -> None:
        super().__init__()
        sizes = model.sizes
        self.image, self.question, self.pixels = sizes.image, sizes.question, 3 * sizes.image**2
        self.convolutions, self.f = model.convolutions, model.f
        self.g = nn.Sequential(*map(_pointwise, model.g))
        self.share = sizes.scale / model.places[0].numel() ** 2
        self.register_buffer("places", torch.cat([torch.zeros(sizes.channels, sizes.map, sizes.map), model.places]))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Logits."""
        images = rows[:, : self.pixels].reshape(-1, 3, self.image, self.image)
        maps = nn.functional.pad(self.convolutions(images), (0, 0, 0, 0, 0, 2)) + self.places
        things, question, n = maps.flatten(2), rows[:, self.pixels :], self.places[0].numel()
        pairs = torch.cat([
            things[:, :, :, None].expand(-1, -1, -1, n),
            things[:, :, None, :].expand(-1, -1, n, -1),
            question[:, :, None, None].expand(-1, -1, n, n),
        ], 1)  # fmt: skip
        return self.f(self.g(pairs).sum(3).sum(2) * self.share)


def _pointwise(part: nn.Module) -> nn.Module:
    """A linear layer as a 1 x 1 convolution with the same weights."""
    if not isinstance(part, nn.Linear):
        return part
    made = nn.Conv2d(part.in_features, part.out_features, 1, dtype=part.weight.dtype)
    made.weight, made.bias = nn.Parameter(part.weight[:, :, None, None]), part.bias
    return made


def lift(model: RelationNetwork) -> dtdsym.Network:
    """The exact network of `Paired`."""
    rows = torch.rand(1, 3 * model.sizes.image**2 + model.sizes.question, dtype=model.places.dtype)
    return dtdsym.from_module(Paired(model), rows)


def rows_of(model: RelationNetwork, images: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Pixels and embeddings (batch, inputs), for as many questions as images."""
    with torch.no_grad():
        return torch.cat([images.flatten(1), model.embed(tokens)], 1)
