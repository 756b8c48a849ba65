"""Verdicts as canonical JSON lines, which dtdsym/checker/FORMAT.md describes and a stranger can re-check."""
