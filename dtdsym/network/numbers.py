"""Which layers are meant."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dtdsym.network.network import Network


def layer_numbers(network: Network, layers: str | int | Iterable[int]) -> list[int]:
    """The numbers of the layers that were asked for: "all", one, or several. Raises InputError if one is not there."""
    if layers == "all":
        return list(range(1, len(network.layers) + 1))
    asked: list[Any] = [layers] if isinstance(layers, int | str) else list(layers)
    found = [network.layer(number).number for number in asked]
    return [number for number in found if number is not None]
