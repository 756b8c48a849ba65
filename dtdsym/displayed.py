"""What shows itself where it is the last thing of a notebook's cell."""

from __future__ import annotations

from collections.abc import Container
from importlib import import_module
from typing import Any

FORMATTERS = "dtdsym.report.notebook"


class Displayed:
    """Shows itself in Jupyter as HTML, and as text where HTML is not shown.

    Imports go upwards only, so a region or a verdict cannot import what draws it: the module that does is named here,
    and loaded when something is shown, as the public names of dtdsym load on first use."""

    def _repr_html_(self) -> str:
        html: str = import_module(FORMATTERS).to_html(self)
        return html

    def _repr_mimebundle_(
        self, include: Container[str] | None = None, exclude: Container[str] | None = None
    ) -> dict[str, str]:
        """Asked by IPython, which takes of it what it wants."""
        bundle: dict[str, Any] = import_module(FORMATTERS).to_bundle(self)
        return bundle
