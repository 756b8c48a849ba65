"""Steps: a sequence of layers in words, for state dicts.

    linear:PREFIX           PREFIX.weight and, if there is one, PREFIX.bias
    conv:PREFIX             the same of a convolution [:stride=1:padding=0:dilation=1:groups=1]; padding=same as torch's
    batchnorm:PREFIX        PREFIX.running_mean, .running_var and, if they are there, .weight and .bias [:eps=1e-5]
    maxpool:KERNEL          [:stride=KERNEL:padding=0:dilation=1:ceil=0]
    avgpool:KERNEL          [:stride=KERNEL:padding=0:ceil=0:count_include_pad=1]
    adaptiveavgpool:SIZE    the mean over windows that cut each dimension into SIZE parts
    flatten, relu

KERNEL, SIZE, stride, padding and dilation are one number, or one for each dimension with commas, as in 2,3. PREFIX is
what torch's state_dict writes before .weight, without what DataParallel (module.) or torch.compile put before all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dtdsym.errors import LoadError, UnsupportedLayer
from dtdsym.network.builder import Builder, Value
from dtdsym.network.files.inert import shown
from dtdsym.network.files.sequence import Step

EXPECTED = 'expected a list such as ["linear:fc1", "relu", "linear:fc2"]'
_SUPPORTED = (
    "supported are relu, flatten, linear:PREFIX, conv:PREFIX[:stride=2:padding=1:dilation=1:groups=1], "
    "batchnorm:PREFIX[:eps=1e-5], maxpool:2, avgpool:2[:stride=2:padding=0] and adaptiveavgpool:1"
)
_NUMBERS = re.compile(r"[0-9]{1,9}(,[0-9]{1,9}){0,2}")
_FLOAT = re.compile(r"[0-9]{0,9}\.?[0-9]{1,18}([eE][-+]?[0-9]{1,3})?")


class Named:
    """A file's arrays by the names of its layers; remembers which were used."""

    def __init__(self, names: Sequence[str], read: Callable[[str, str], np.ndarray], wrapper: str) -> None:
        """wrapper: what stands before all names and may be left out."""
        self._names, self._read, self._wrapper = names, read, wrapper
        self.used: set[str] = set()

    def array(self, prefix: str, part: str) -> np.ndarray:
        """PREFIX.part. Raises LoadError if there is none."""
        found = self.optional(prefix, part)
        if found is None:
            key = f"{prefix}.{part}" if prefix else part
            known = shown(", ".join(self._names))
            raise LoadError(f"layer {_shown(prefix)!r}: the state_dict has no {shown(key)!r}; it has {known}")
        return found

    def optional(self, prefix: str, part: str) -> np.ndarray | None:
        """PREFIX.part, if there is one."""
        key = self.key(prefix, part)
        return None if key is None else self._read(key, f"layer {_shown(prefix)!r}: its {part}")

    def key(self, prefix: str, part: str) -> str | None:
        """Its full name, now used."""
        stated = f"{prefix}.{part}" if prefix else part
        key = next((key for key in (stated, self._wrapper + stated) if key in self._names), None)
        if key is not None:
            self.used.add(key)
        return key


def step_of(text: str, position: int, named: Named) -> Step:
    """The step that these words name, at this position from 1. Raises UnsupportedLayer for others, LoadError where
    weights are missing."""
    kind, colon, rest = text.partition(":")
    if text in ("relu", "flatten"):
        apply = _relu if kind == "relu" else _flatten
        return Step(f"{kind} {position}", kind, lambda builder, value: apply(builder, value, f"{kind} {position}"),
                    any_shape=True)  # fmt: skip
    if kind == "linear" and colon:
        weight, bias = named.array(rest, "weight"), named.optional(rest, "bias")
        name = _shown(rest)
        takes = weight.shape[1] if weight.ndim == 2 else None
        return Step(name, kind, lambda builder, value: builder.linear(value, weight, bias, name), takes=takes)
    if kind not in _KINDS or not colon:
        raise UnsupportedLayer(f"layer {position} is {shown(text)!r}; {_SUPPORTED}; {EXPECTED}")
    first, *given = rest.split(":")
    make, options = _KINDS[kind]
    return make(first, _Options(text, position, given, options), named)


class _Options:
    """The options of one step."""

    def __init__(self, text: str, position: int, given: Sequence[str], known: Sequence[str]) -> None:
        self._where = f"layer {position} is {shown(text)!r}"
        self.name = shown(text.partition(":")[0]) + f" {position}"
        self._given = dict(option.partition("=")[::2] for option in given)
        if len(self._given) < len(given) or not self._given.keys() <= set(known):
            raise UnsupportedLayer(f"{self._where}; its options are {', '.join(known)}, each once; {_SUPPORTED}")

    def numbers(self, key: str, default: Any) -> Any:
        """One whole number a dimension, as a tuple; a tuple of one is for all dimensions."""
        return self.parsed(key, self._given[key]) if key in self._given else default

    def parsed(self, key: str, text: str) -> tuple[int, ...]:
        if not _NUMBERS.fullmatch(text):
            raise UnsupportedLayer(f"{self._where}; {key} is whole numbers with commas between, as in 2 or 2,3")
        return tuple(int(number) for number in text.split(","))

    def number(self, key: str, default: int) -> int:
        """One whole number."""
        numbers = self.numbers(key, (default,))
        if len(numbers) != 1:
            raise UnsupportedLayer(f"{self._where}; {key} is one whole number")
        return int(numbers[0])

    def word(self, key: str) -> str:
        """As it was given; '' if it was not."""
        return self._given.get(key, "")

    def real(self, key: str, default: float) -> float:
        """A positive float."""
        if key not in self._given:
            return default
        if not _FLOAT.fullmatch(self._given[key]):
            raise UnsupportedLayer(f"{self._where}; {key} is a number such as 1e-5")
        return float(self._given[key])


def _relu(builder: Builder, value: Value, name: str) -> Value:
    return builder.relu(value, name)


def _flatten(builder: Builder, value: Value, name: str) -> Value:
    return builder.flatten(value)


def _convolution(prefix: str, options: _Options, named: Named) -> Step:
    weight, bias, name = named.array(prefix, "weight"), named.optional(prefix, "bias"), _shown(prefix)
    stride, dilation = options.numbers("stride", 1), options.numbers("dilation", 1)
    groups = options.number("groups", 1)
    if options.word("padding") == "same":
        sides = (dilation if isinstance(dilation, tuple) else (dilation,)) * weight.ndim
        totals = [d * (k - 1) for k, d in zip(weight.shape[2:], sides, strict=False)]
        padding: Any = tuple((total // 2, total - total // 2) for total in totals)
    else:
        padding = options.numbers("padding", 0)

    def apply(builder: Builder, value: Value) -> Value:
        return builder.convolve(
            value, weight, bias, stride=stride, padding=padding, dilation=dilation, groups=groups, name=name
        )

    example = (weight.shape[1] * groups, *(28,) * (weight.ndim - 2)) if weight.ndim > 2 else (1, 28, 28)
    return Step(name, "conv", apply, example=example)


def _batch_norm(prefix: str, options: _Options, named: Named) -> Step:
    mean, variance = named.array(prefix, "running_mean"), named.array(prefix, "running_var")
    weight, bias, name = named.optional(prefix, "weight"), named.optional(prefix, "bias"), _shown(prefix)
    named.key(prefix, "num_batches_tracked")
    epsilon = options.real("eps", 1e-5)
    return Step(name, "batchnorm", lambda b, value: b.batch_norm(value, weight, bias, mean, variance, epsilon, name))


def _max_pool(size: str, options: _Options, named: Named) -> Step:
    kernel, stride = options.parsed("the kernel", size), options.numbers("stride", None)
    padding, dilation = options.numbers("padding", 0), options.numbers("dilation", 1)
    ceil = options.number("ceil", 0) != 0
    name = options.name
    return Step(name, "maxpool", lambda b, value: b.max_pool(value, kernel, stride, padding, dilation, ceil, name))


def _average_pool(size: str, options: _Options, named: Named) -> Step:
    kernel, stride = options.parsed("the kernel", size), options.numbers("stride", None)
    padding, ceil = options.numbers("padding", 0), options.number("ceil", 0) != 0
    count = options.number("count_include_pad", 1) != 0
    name = options.name
    return Step(
        name, "avgpool", lambda b, value: b.average_pool(value, kernel, stride, padding, ceil, count, None, name)
    )


def _adaptive_average_pool(size: str, options: _Options, named: Named) -> Step:
    outputs, name = options.parsed("the size", size), options.name

    def apply(builder: Builder, value: Value) -> Value:
        sides = outputs * (len(value.shape) - 1) if len(outputs) == 1 else outputs
        return builder.adaptive_average_pool(value, sides, name)

    return Step(name, "adaptiveavgpool", apply)


_Make = Callable[[str, _Options, Named], Step]
_KINDS: dict[str, tuple[_Make, tuple[str, ...]]] = {
    "conv": (_convolution, ("stride", "padding", "dilation", "groups")),
    "batchnorm": (_batch_norm, ("eps",)),
    "maxpool": (_max_pool, ("stride", "padding", "dilation", "ceil")),
    "avgpool": (_average_pool, ("stride", "padding", "ceil", "count_include_pad")),
    "adaptiveavgpool": (_adaptive_average_pool, ()),
}


def _shown(prefix: str) -> str:
    return shown(prefix) or "linear"
