"""Which roots are audited where a layer has too many: for each layer as many independent draws as were asked for.

A draw is an input and a neuron, each root as likely as any other, with replacement; draws at inputs that turn out not
to be audited are dropped. So the number of drawn roots that have a property is binomial, given how many were drawn, and
an exact interval for its share follows (Clopper and Pearson, Biometrika 26, 1934). All rules of a layer are asked about
the same roots. A layer with no more roots than that is audited whole, with the first part of each input's draws. The
strata are the rows of the report.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dtdsym.network.network import Network
from dtdsym.survey.settings import Settings

EACH = 64
"""Draws of a layer at one input that one worker does at a time."""


@dataclass(frozen=True)
class Drawn:
    """Neurons (n,) of a layer in order, some perhaps more than once. whole: they are all that it has, each once."""

    neurons: np.ndarray
    whole: bool


def parts(network: Network, settings: Settings, inputs: int) -> int:
    """In how many parts the draws at one input are done; one where all layers are audited whole."""
    if settings.sample_roots is None or all(is_whole(network, settings, layer, inputs) for layer in settings.layers):
        return 1
    return max(1, -(-settings.sample_roots // (EACH * inputs)))


def drawn(network: Network, settings: Settings, layer: int, inputs: int, number: int, part: int) -> Drawn:
    """The draws of input `number` of so many that belong to a part, whoever does it and when."""
    size, times = neurons_of(network, layer), settings.sample_roots
    if times is None or size * inputs <= times:
        return Drawn(np.arange(size if part == 0 else 0), part == 0)
    rng = np.random.default_rng([settings.seed, layer])
    where, neurons = rng.integers(inputs, size=times), rng.integers(size, size=times)
    return Drawn(np.sort(neurons[where == number])[part :: parts(network, settings, inputs)], False)


def is_whole(network: Network, settings: Settings, layer: int, inputs: int) -> bool:
    """Whether all roots of a layer are audited."""
    times = settings.sample_roots
    return times is None or neurons_of(network, layer) * inputs <= times


def neurons_of(network: Network, layer: int) -> int:
    """How many neurons of a layer have roots: of the last one that of the explained logit, whichever that is."""
    return network.logit(0).layer(layer).size
