"""Networks written to files of torch.save and safetensors; `load` reads the same function back, by its hash."""

from __future__ import annotations

import json
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
import torch

from dtdsym.network.files.checkpoint import HEADER
from dtdsym.network.files.safetensors import written
from dtdsym.network.files.written import to_data
from dtdsym.network.network import Network


def save_pt(network: Network, path: Path) -> None:
    """torch.save of {"dtdsym": header, "state_dict": {name: tensor}}. Raises OSError where it cannot be written."""
    header, arrays = to_data(network)
    tensors = {name: torch.from_numpy(array) for name, array in _narrowed(arrays).items()}
    stream = BytesIO()
    torch.save({HEADER: header, "state_dict": tensors}, stream)
    path.write_bytes(stream.getvalue())


def save_safetensors(network: Network, path: Path) -> None:
    """safetensors, with the header as JSON among its metadata. Raises OSError where it cannot be written."""
    header, arrays = to_data(network)
    path.write_bytes(written(_narrowed(arrays), {HEADER: json.dumps(header, separators=(",", ":"))}))


def _narrowed(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Each as float32 where this is exact."""
    return {name: _narrow(array) for name, array in arrays.items()}


def _narrow(array: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # what overflows is not exact, and stays float64
        single = array.astype(np.float32)
    return single if np.array_equal(single.astype(np.float64), array) else array.copy()
