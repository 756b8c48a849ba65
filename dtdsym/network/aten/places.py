"""Which part of a module runs now, and at which line of its code."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import torch


class Places:
    """Tells people where in a module an operation was met, from the frames of Python that run."""

    def __init__(self, module: torch.nn.Module) -> None:
        self._modules = {id(part): name for name, part in module.named_modules()}

    def caller(self) -> tuple[str, str]:
        """Place and class of the innermost module whose code is running."""
        for frame in _frames():
            owner = frame.f_locals.get("self")
            if id(owner) in self._modules:
                return self._modules[id(owner)], f"{type(owner).__module__}.{type(owner).__name__}"
        return "", ""

    def name(self, kind: str) -> str:
        """A name for a node: the place of the layer that computes it, or of the module that does beside its `kind`."""
        place, layer = self.caller()
        if layer.startswith("torch.nn.modules.") and place:
            return place
        return f"{place}.{kind}" if place else kind

    def where(self) -> str:
        """The module and the line of its code that run now."""
        place, layer = self.caller()
        lines = (frame for frame in _frames() if _package(frame) not in ("torch", "dtdsym"))
        line = next((f" at {Path(frame.f_code.co_filename).name}:{frame.f_lineno}" for frame in lines), "")
        where = f"layer {place!r} ({layer.rpartition('.')[2]})" if place else layer.rpartition(".")[2] or "the module"
        return f"{where}{line}"


def _frames() -> Iterator[FrameType]:
    """The frames that run now, innermost first, up to from_module's."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__") != "dtdsym.network.from_module":
        yield frame
        frame = frame.f_back


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
