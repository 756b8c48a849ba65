"""`dtdsym.audit`: the survey, and its findings as a report that displays itself."""

from __future__ import annotations

from functools import wraps
from typing import Any

from rich.console import RenderableType

from dtdsym.report.terminal import render, to_html
from dtdsym.survey.findings import Findings
from dtdsym.survey.run import conduct


class Report(Findings):
    """Findings that show themselves: print it with rich, evaluate it in Jupyter, or take `.to_json()`."""

    def __rich__(self) -> RenderableType:
        return render(self)

    def _repr_html_(self) -> str:
        return to_html(self)


@wraps(conduct, assigned=("__doc__",))
def audit(*args: Any, **kwargs: Any) -> Report:
    return Report(**vars(conduct(*args, **kwargs)))
