"""Whole numbers, whosever integers they are: Python's, numpy's, torch's."""

from __future__ import annotations

import operator
from typing import Any


def whole_number(value: Any) -> int | None:
    """The integer that the value is; None if it is none."""
    try:
        return operator.index(value)
    except TypeError:
        return None
