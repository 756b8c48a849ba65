"""Labels of rules, as they fit into columns and titles."""

from __future__ import annotations

LONGEST = 24


def over_lines(label: str) -> str:
    """A long composite's label, one selector a line."""
    return label.replace(",", ",\n") if len(label) > LONGEST else label
