"""Powers of two, exactly and on any device: scales that round nothing."""

from __future__ import annotations

import torch

LEAST, MOST = -1022, 1022  # exponents whose power and its reciprocal are both normal floats


def power(exponent: torch.Tensor) -> torch.Tensor:
    """2^exponent as float64, for int64 exponents from -1022 to 1023, by its bits: torch.pow and ldexp may round."""
    return ((exponent + 1023) << 52).view(torch.float64)


def exponent(number: torch.Tensor) -> torch.Tensor:
    """The int64 e with 2^e <= |number| < 2^(e+1), kept within LEAST and MOST; LEAST for subnormals and 0."""
    biased = (number.abs().contiguous().view(torch.int64) >> 52) - 1023
    return biased.clamp_(LEAST, MOST)
