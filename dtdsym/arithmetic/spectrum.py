"""Greatest singular values from above: of matrices, and of convolutions through their symbols.

(1) ||A||_2^2 is the greatest eigenvalue of A' A (A' the transpose). With G = fl(A' A), its lower half mirrored,
    ||A' A - G||_2 <= g ||A||_F^2 + k n eta + ||asymmetry||_F, by law 4 of rounding.py and Cauchy and Schwarz.
(2) If T = mu I - G and L is any matrix, T >= -||T - L L'||_2, since L L' has no negative eigenvalue: the greatest one
    of G is at most mu + ||T - L L'||_2. L is what a Cholesky factorisation gives for a mu that power iteration
    proposes; nothing is believed of either, the residual is computed and bounded by law 4.
(3) A convolution without stride, on values without an end, multiplies Fourier coefficients by its symbol
    W(w) = sum_k W_k exp(i w.k): its norm is sup ||W(w)||_2. Ends, padding, strides and dilations only leave out inputs
    or outputs of it, or spread the taps. Along one dimension u* W(w) v is a trigonometric polynomial of degree at most
    d = kernel // 2 once taps are counted from the middle, and one that has its maximum M at w0 is at least
    M cos(d (w - w0)) for |w - w0| <= pi / d (M. Riesz 1914; its real part, turned so that M is real). On 8 d
    equidistant points some w is within pi / (8 d): M <= max over the points / cos(pi / 8). So for each dimension.
(4) With c, s the nearest floats to cosines and sines, the real and imaginary part of W(w) as one real matrix is off by
    less than (kernel + 8) 4 u || sum_k |W_k| ||_F.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product

import numpy as np
import torch
from flint import arb

from dtdsym.arithmetic.powers import exponent
from dtdsym.arithmetic.precision import precision
from dtdsym.arithmetic.rounding import GROW, UNIT

POINTS = 8
BETWEEN = 1.0823922002923941
"""1 / cos(pi / 8), rounded up."""
ITERATIONS = 32
TRIES = 12
DEAREST = 4e12
"""Floating-point operations above which a symbol is not looked at."""
TOGETHER = 2**27
"""Numbers of the matrices that are held at a time: 1 GiB."""


def spectral_norm(blocks: torch.Tensor) -> float:
    """An upper bound of the greatest spectral norm of the matrices (groups, k, n)."""
    if not blocks.any():
        return 0.0
    scale = int(exponent(blocks.abs().amax()))
    current = blocks * 2.0**-scale
    if current.shape[1] < current.shape[2]:
        current = current.transpose(1, 2)
    rows, columns = current.shape[1:]
    gram = current.transpose(1, 2) @ current
    error = (rows + 8) * UNIT * (1 + 2.0**-20) * frobenius(current) ** 2 + rows * columns * 2.0**-1000
    bound = math.sqrt(_greatest(gram) + error) * GROW
    return math.nextafter(min(bound, frobenius(current), _hoelder(current)) * 2.0**scale, math.inf)


def symbol_norm(groups: torch.Tensor) -> float:
    """An upper bound of the norm of a convolution (groups, out, in, *kernel), whatever its stride, dilation, padding;
    inf where that would cost too much."""
    outputs, inputs, *kernel = groups.shape[1:]
    small, large = 2 * min(outputs, inputs), 2 * max(outputs, inputs)
    frequencies = _frequencies(kernel)
    if len(frequencies) * len(groups) * (2 * small**2 * large + 3 * small**3) > DEAREST:
        return math.inf
    flat = groups.flatten(3)
    cosines, sines = (torch.from_numpy(part).to(groups) for part in _waves(kernel, frequencies))
    each = max(1, TOGETHER // (small * (small + large) * len(groups)))
    found = 0.0
    for first in range(0, len(frequencies), each):
        real, imaginary = (flat @ part[:, first : first + each] for part in (cosines, sines))
        found = max(found, spectral_norm(_joined(real, imaginary)))
    taps = flat.shape[-1]
    off = (taps + 8) * 4 * UNIT * frobenius(flat.abs().sum(-1)) * (1 + 2 * taps * UNIT)
    return (found + off) * BETWEEN ** sum(k > 1 for k in kernel) * GROW


def frobenius(blocks: torch.Tensor) -> float:
    """At least the greatest Frobenius norm of matrices (groups, k, n) whose largest entry is about 1 (law 3)."""
    count = blocks.shape[1] * blocks.shape[2]
    return math.sqrt(float((blocks * blocks).sum((1, 2)).max()) * (1 + 2 * (count + 8) * UNIT)) * GROW


def _hoelder(blocks: torch.Tensor) -> float:
    """sqrt(||A||_1 ||A||_inf) >= ||A||_2, all groups together."""
    size = blocks.abs()
    count = size.shape[1] + size.shape[2]
    return math.sqrt(float(size.sum(1).max()) * float(size.sum(2).max())) * GROW * (1 + 2 * count * UNIT)


def _greatest(gram: torch.Tensor) -> float:
    """At least the greatest eigenvalue of what the matrices (groups, n, n) stand for, by (1) and (2)."""
    lower = gram.tril()
    mirrored = lower + gram.tril(-1).transpose(1, 2)
    asymmetry = frobenius(gram - mirrored)
    guess = _iterated(mirrored) * (1 + 2.0**-7)
    for _ in range(TRIES):
        rest = -mirrored
        rest.diagonal(dim1=1, dim2=2).add_(guess)
        factor, failed = torch.linalg.cholesky_ex(rest)
        if not failed.any() and bool(torch.isfinite(factor).all()):
            return (guess + _residual(rest, factor, guess)) * GROW + asymmetry
        guess *= 1 + 2.0**-6
    return frobenius(mirrored) * GROW + asymmetry


def _residual(rest: torch.Tensor, factor: torch.Tensor, guess: float) -> float:
    """At least ||T - L L'||_2, T with its roundings on the diagonal."""
    n = rest.shape[1]
    apart = frobenius(rest - factor @ factor.transpose(1, 2))
    gamma = (n + 8) * UNIT * (1 + 2.0**-20)
    return apart + gamma * frobenius(factor) ** 2 + 4 * UNIT * (guess + frobenius(rest)) + n * n * 2.0**-1000


def _iterated(matrices: torch.Tensor) -> float:
    """The greatest eigenvalue, as power iteration finds it: a proposal."""
    n = matrices.shape[1]
    start = torch.linspace(0.5, 1.5, n, dtype=matrices.dtype, device=matrices.device)
    start[1::3] *= -1
    value = vector = start[:, None].expand(len(matrices), n, 1)
    for _ in range(ITERATIONS):
        value = matrices @ vector
        vector = value / torch.linalg.vector_norm(value, dim=1, keepdim=True).clamp_min(2.0**-500)
    return float(torch.linalg.vector_norm(value, dim=1).max())


def _frequencies(kernel: list[int]) -> np.ndarray:
    """(f, dimensions): points of the grid, numbers in units of 1 / (8 d), one of each pair w, -w."""
    counts = [max(1, POINTS * (k // 2)) for k in kernel]
    half = [
        point for point in product(*(range(count) for count in counts))
        if point <= tuple(-n % count for n, count in zip(point, counts, strict=True))
    ]  # fmt: skip
    return np.array(half, dtype=np.int64)


def _waves(kernel: list[int], frequencies: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cosines and sines (taps, f) of 2 pi w.k, taps counted from the middle, to the nearest float."""
    counts = [max(1, POINTS * (k // 2)) for k in kernel]
    whole = math.lcm(*counts)
    taps = np.array(list(product(*(range(-(k // 2), k - k // 2) for k in kernel))), dtype=np.int64)
    steps = np.array([whole // count for count in counts])
    phases = (taps * steps) @ frequencies.T % whole
    table = np.array(list(_unit_circle(whole)))
    return table[phases, 0], table[phases, 1]


def _unit_circle(points: int) -> Iterator[tuple[float, float]]:
    with precision(128):
        for n in range(points):
            angle = arb(2 * n) / points
            yield float(angle.cos_pi().mid()), float(angle.sin_pi().mid())


def _joined(real: torch.Tensor, imaginary: torch.Tensor) -> torch.Tensor:
    """(groups, out, in, f) to (groups f, 2 out, 2 in): complex matrices as real ones."""
    real, imaginary = (part.permute(0, 3, 1, 2).flatten(0, 1) for part in (real, imaginary))
    return torch.cat([torch.cat([real, -imaginary], 2), torch.cat([imaginary, real], 2)], 1)
