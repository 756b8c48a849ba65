"""Arrays as small PNG pictures inside a page: inputs in grey or colour, relevances on a scale centred at zero.

The scale runs in equal perceived steps from blue over white to red, and negative pixels are striped, so that their sign
is seen without colour."""

from __future__ import annotations

import base64
import struct
import zlib
from functools import cache

import numpy as np

SIDE = 192  # pixels of a picture's longer side, at least
MOST = 128  # entries of an array's longer side; of larger ones blocks are averaged
LEVELS = 80  # on each side of zero
STRIPE, THICK = 12, 3  # pixels from stripe to stripe, and of one
FAINT = 0.04  # of the largest: none is drawn below
NEGATIVE, ZERO, POSITIVE = (0.43, -0.03, -0.16), (0.98, 0.0, 0.0), (0.43, 0.15, 0.07)
"""In OKLab (Ottosson 2020): lightness, green to red, blue to yellow."""


def signed_png(values: np.ndarray) -> str:
    """Relevances (height, width) as a data URI; the largest in size has the strongest colour."""
    small, most = np.asarray(averaged(values), dtype=np.float64), float(np.abs(values).max()) or 1.0
    large = _enlarged(np.rint(small / most * LEVELS).astype(np.int64) + LEVELS)
    row, column = np.indices(large.shape)
    striped = (large < LEVELS * (1 - FAINT)) & ((row + column) % STRIPE < THICK)
    return _uri(np.where(striped, large + 2 * LEVELS + 1, large).astype(np.uint8), _scale())


def plain_png(values: np.ndarray) -> str:
    """An input (height, width), or with colours (height, width, 3), as a data URI; its least value is black."""
    small = np.asarray(averaged(values), dtype=np.float64)
    low, high = float(values.min()), float(values.max())
    levels = np.rint((small - low) / ((high - low) or 1.0) * 255).astype(np.uint8)
    return _uri(_enlarged(levels), np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1))


def block(shape: tuple[int, ...]) -> int:
    """How many entries of an array, in each direction, one pixel stands for."""
    return -(-max(shape[:2]) // MOST)


def averaged(values: np.ndarray) -> np.ndarray:
    """The means of blocks, at the edge of smaller ones."""
    size = block(values.shape)
    if size == 1:
        return values
    for axis in (0, 1):
        starts = np.arange(0, values.shape[axis], size)
        counts = np.diff([*starts, values.shape[axis]])
        shape = [-1 if place == axis else 1 for place in range(values.ndim)]
        values = np.add.reduceat(values, starts, axis=axis) / counts.reshape(shape)
    return values


def _enlarged(levels: np.ndarray) -> np.ndarray:
    times = max(1, SIDE // max(levels.shape[:2]))
    return levels.repeat(times, axis=0).repeat(times, axis=1)


@cache
def _scale() -> np.ndarray:
    """Colours of the levels from -LEVELS to LEVELS, then those of stripes on the negative ones (n, 3), uint8."""
    share = np.linspace(-1, 1, 2 * LEVELS + 1)[:, None]
    ends = np.where(share < 0, np.array(NEGATIVE), np.array(POSITIVE))
    colours = _srgb(np.array(ZERO) + np.abs(share) * (ends - np.array(ZERO)))
    light = np.abs(share[:LEVELS]) > 0.5
    stripes = np.where(light, np.array([255, 255, 255]), np.array([30, 40, 90]))
    return np.concatenate([colours, stripes]).astype(np.uint8)


def _srgb(lab: np.ndarray) -> np.ndarray:
    """Colours (n, 3) of OKLab in sRGB, 0 to 255, by its definition."""
    to_cones = np.array(
        [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.2914855480]]
    )
    to_linear = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    linear = np.clip((lab @ to_cones.T) ** 3 @ to_linear.T, 0, 1)
    curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(255 * curved))


def _uri(pixels: np.ndarray, palette: np.ndarray) -> str:
    """A PNG of palette indices (height, width), or of colours (height, width, 3), uint8."""
    height, width = pixels.shape[:2]
    coloured = pixels.ndim == 3
    rows = np.zeros((height, 1 + width * (3 if coloured else 1)), dtype=np.uint8)  # each begins with filter 0
    rows[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2 if coloured else 3, 0, 0, 0)
    chunks = [
        (b"IHDR", header),
        (b"PLTE", palette.tobytes()),
        (b"IDAT", zlib.compress(rows.tobytes(), 9)),
        (b"IEND", b""),
    ]
    if coloured:
        del chunks[1]
    parts = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(parts)).decode()
