"""Layers one after another, as torch.nn.Sequential and lists of layer names state them, made into a Network."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dtdsym.errors import LoadError, ShapeMismatch
from dtdsym.network.builder import MOST_ENTRIES, Builder, Value
from dtdsym.network.files.inert import shown
from dtdsym.network.network import Network

Shape = Sequence[int]


@dataclass(frozen=True)
class Step:
    """One layer: `apply` appends it to a Builder.

    takes: the size of the vector that it takes, for a linear layer; any_shape: it takes whatever there is. Any other
    layer leaves its input's size open; `example` is a shape that it could take.
    """

    name: str
    kind: str
    apply: Callable[[Builder, Value], Value]
    takes: int | None = None
    any_shape: bool = False
    example: tuple[int, ...] = (1, 28, 28)


def sequence(steps: Sequence[Step], input_shape: Shape | None) -> Network:
    """The network of these layers. input_shape: of one input; not needed where the first layer is linear.

    Raises ShapeMismatch where layers or the shape do not chain, LoadError where the shape is missing or no layer is
    linear."""
    if input_shape is None:
        return _chained(steps, _stated(steps))
    shape = _checked(input_shape)
    try:
        return _chained(steps, shape)
    except ShapeMismatch as err:
        raise ShapeMismatch(f"with inputs of shape {_listed(shape)} (--input-shape): {err}") from err


def agrees(network: Network, input_shape: Shape | None) -> Network:
    """The network of a file that states its input's shape. Raises ShapeMismatch if another one was given."""
    if input_shape is not None and _checked(input_shape) != network.input_shape:
        raise ShapeMismatch(
            f"its inputs have shape {_listed(network.input_shape)}, which the file states; leave --input-shape "
            "(input_shape=...) away"
        )
    return network


def _chained(steps: Sequence[Step], shape: tuple[int, ...]) -> Network:
    builder = Builder(shape)
    value = builder.input
    for step in steps:
        value = step.apply(builder, value)
    return builder.network(value)


def _stated(steps: Sequence[Step]) -> tuple[int, ...]:
    """The input's shape as the first layer that is not indifferent states it."""
    first = next((step for step in steps if not step.any_shape), None)
    if first is None:
        raise LoadError("it holds no linear layer; expected a network with at least one linear layer or convolution")
    if first.takes is None:
        listed = _listed(first.example)
        raise LoadError(
            f"its first layer, {first.name!r} ({first.kind}), does not fix the input's size; give --input-shape "
            f"{listed} (input_shape=({listed.replace(',', ', ')})), with the numbers of your inputs"
        )
    return (first.takes,)


def _checked(shape: Shape) -> tuple[int, ...]:
    """The shape as Python integers."""
    try:
        numbers = tuple(operator.index(n) for n in shape)
    except TypeError as err:
        raise ShapeMismatch(
            f"the input shape {shown(shape)} is no list of whole numbers; expected (1, 28, 28)"
        ) from err
    if not numbers or min(numbers) < 1 or math.prod(numbers) > MOST_ENTRIES:
        raise ShapeMismatch(
            f"the input shape is {_listed(numbers)}; expected positive numbers, at most {MOST_ENTRIES} in all"
        )
    return numbers


def _listed(shape: Sequence[int]) -> str:
    return shown(",".join(map(str, shape)))
