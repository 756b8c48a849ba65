"""Random torch modules: sequences of convolutions, batch normalisation, pools and linear layers that torch can run."""

from __future__ import annotations

import math
from typing import Any

import torch
from hypothesis import strategies as st
from torch import nn

CONVS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
NORMS = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
POOLS = {
    1: (nn.MaxPool1d, nn.AvgPool1d, nn.AdaptiveAvgPool1d, nn.AdaptiveMaxPool1d, nn.ZeroPad1d),
    2: (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.ZeroPad2d),
    3: (nn.MaxPool3d, nn.AvgPool3d, nn.AdaptiveAvgPool3d, nn.AdaptiveMaxPool3d, nn.ZeroPad3d),
}


def one_or_each(draw: Any, spatial: int, low: int, high: int) -> int | tuple[int, ...]:
    """One number, or one for each dimension."""
    numbers = st.integers(low, high)
    return draw(st.one_of(numbers, st.tuples(*[numbers] * spatial)))


def convolution(draw: Any, spatial: int, channels: int) -> nn.Module:
    groups = draw(st.sampled_from([g for g in (1, 2, 3) if channels % g == 0]))
    word = draw(st.sampled_from([None, "same", "valid"]))
    return CONVS[spatial](
        channels,
        groups * draw(st.integers(1, 2)),
        one_or_each(draw, spatial, 1, 3),
        stride=1 if word == "same" else one_or_each(draw, spatial, 1, 3),
        padding=word or one_or_each(draw, spatial, 0, 2),
        dilation=one_or_each(draw, spatial, 1, 2),
        groups=groups,
        bias=draw(st.booleans()),
    )


def pool(draw: Any, spatial: int, channels: int) -> nn.Module:
    kind = draw(st.sampled_from(POOLS[spatial]))
    name = kind.__name__
    if "Adaptive" in name:
        return kind(one_or_each(draw, spatial, 1, 3))
    if "Zero" in name:
        return kind(tuple(draw(st.integers(-1, 2)) for _ in range(2 * spatial)))
    kernel = one_or_each(draw, spatial, 1, 3)
    options = {"stride": draw(st.none() | st.integers(1, 3)), "padding": draw(st.integers(0, 1))}
    options["ceil_mode"] = draw(st.booleans())
    if "Max" in name:
        return kind(kernel, dilation=one_or_each(draw, spatial, 1, 2), **options)
    if spatial > 1:
        options["divisor_override"] = draw(st.none() | st.integers(1, 5))
    kernel = kernel if spatial > 1 or isinstance(kernel, int) else kernel[0]
    return kind(kernel, count_include_pad=draw(st.booleans()), **options)


def norm(draw: Any, spatial: int, channels: int) -> nn.Module:
    layer = NORMS[spatial](channels, eps=draw(st.sampled_from([1e-5, 0.5])), affine=draw(st.booleans()))
    layer.running_mean.uniform_(-1, 1)
    layer.running_var.uniform_(0.1, 2)
    if layer.affine:
        layer.weight.data.uniform_(-2, 2)
        layer.bias.data.uniform_(-1, 1)
    return layer


LAYERS = {
    "conv": convolution,
    "another conv": convolution,
    "norm": norm,
    "pool": pool,
    "relu": lambda draw, spatial, channels: nn.ReLU(inplace=draw(st.booleans())),
    "dropout": lambda draw, spatial, channels: nn.Dropout(0.3),
}


@st.composite
def convolutional(draw: Any) -> tuple[nn.Sequential, tuple[int, ...]]:
    """A module in evaluation mode, float32, and the shape of one input."""
    torch.manual_seed(draw(st.integers(0, 2**16)))
    spatial = draw(st.sampled_from([1, 2, 2, 2, 3]))
    shape = (draw(st.integers(1, 3)), *draw(st.tuples(*[st.integers(3, 6)] * spatial)))
    layers: list[nn.Module] = []
    current = shape
    for kind in draw(st.lists(st.sampled_from(list(LAYERS)), min_size=1, max_size=6)):
        layer = LAYERS[kind](draw, spatial, current[0])
        after = output_shape(layer.eval(), current)
        if after is not None:
            layers.append(layer)
            current = after
    if draw(st.booleans()) or not any(isinstance(layer, tuple(CONVS.values())) for layer in layers):
        layers += [nn.Flatten(), nn.Linear(math.prod(current), draw(st.integers(1, 3)))]
    cut = draw(st.integers(0, len(layers)))
    return nn.Sequential(nn.Sequential(*layers[:cut]), *layers[cut:]).eval(), shape


def output_shape(layer: nn.Module, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Of one sample, or None where torch does not take the input, or takes it for something empty, too large or
    infinite: the maximum of a window that lies wholly in its padding."""
    try:
        with torch.no_grad():
            out = layer(torch.zeros(2, *shape))
    except (RuntimeError, ValueError):
        return None
    after = tuple(out.shape[1:])
    return after if 0 < math.prod(after) <= 400 and bool(out.isfinite().all()) else None
