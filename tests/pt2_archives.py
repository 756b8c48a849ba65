"""Archives of torch.export: modules and what torch writes of them, and the same with entries changed by hand."""

from __future__ import annotations

import copy
import json
import warnings
import zipfile
from collections.abc import Callable
from io import BytesIO
from typing import Any

import torch
from torch import nn
from torch.nn import functional

MODEL = "models/model.json"
WEIGHTS = "data/weights/model_weights_config.json"
SAMPLES = "data/sample_inputs/model.pt"


class Lambda(nn.Module):
    """forward(x) = code(self, x), with these parts; tensors are parameters."""

    def __init__(self, code: Callable[[Any, torch.Tensor], Any], **parts: Any) -> None:
        super().__init__()
        self.code = code
        for name, part in parts.items():
            setattr(self, name, nn.Parameter(part) if isinstance(part, torch.Tensor) else part)

    def forward(self, x: torch.Tensor) -> Any:
        return self.code(self, x)


class Block(nn.Module):
    """A residual block as people write them, with functions, in place and reused."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = trained_norm(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.conv2(out)
        out += x
        return self.relu(out)


def trained_norm(channels: int) -> nn.BatchNorm2d:
    """Batch normalisation with statistics as after training."""
    norm = nn.BatchNorm2d(channels)
    for tensor in (norm.running_mean, norm.running_var, norm.weight.data, norm.bias.data):
        tensor.uniform_(0.25, 2)
    return norm


def export(
    module: nn.Module, *examples: torch.Tensor, dynamic: bool = False, strict: bool = False, decompose: bool = False
) -> bytes:
    """What torch.export.save writes."""
    shapes = {"dynamic_shapes": ({0: torch.export.Dim("batch", min=2, max=7)},)} if dynamic else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exported = torch.export.export(module, examples, strict=strict, **shapes)
        stream = BytesIO()
        torch.export.save(exported.run_decompositions() if decompose else exported, stream)
    return stream.getvalue()


def entries_of(data: bytes) -> dict[str, bytes]:
    """Entries without their folder."""
    with zipfile.ZipFile(BytesIO(data)) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def archive_of(entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """An archive with these entries."""
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(f"archive/{name}", content)
    return stream.getvalue()


def with_entries(data: bytes, changes: dict[str, bytes | None]) -> bytes:
    """The archive with some entries replaced; None takes one out."""
    entries = {**entries_of(data), **changes}
    return archive_of({name: content for name, content in entries.items() if content is not None})


def with_json(data: bytes, change: Callable[[Any], Any], entry: str = MODEL) -> bytes:
    """The archive with the JSON of one entry changed in place."""
    made = json.loads(entries_of(data)[entry])
    change(made)
    return with_entries(data, {entry: json.dumps(made).encode()})


def json_places(made: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths to everything in JSON."""
    parts = made.items() if isinstance(made, dict) else enumerate(made) if isinstance(made, list) else ()
    return [place for key, part in parts for place in [(*path, key), *json_places(part, (*path, key))]]


def replaced(made: Any, path: tuple[Any, ...], new: Any) -> Any:
    """The JSON with another thing at a path; a dictionary or list without it where new is ..."""
    changed = copy.deepcopy(made)
    holder = changed
    for key in path[:-1]:
        holder = holder[key]
    if new is ...:
        del holder[path[-1]]
    else:
        holder[path[-1]] = new
    return changed


def relu_twice(self: Any, x: torch.Tensor) -> torch.Tensor:
    return self.b(functional.relu(self.a(functional.relu(self.a(x)))))
