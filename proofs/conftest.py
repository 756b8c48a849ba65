"""Every statement of every script here is a test."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

import pytest

from machinery.script import derive, scripts
from machinery.statement import KNOWN, Statement


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Scripts, whatever their names. One that pytest is given by name is a module to it, see below."""
    named = parent.session.isinitpath(file_path)
    return Script.from_parent(parent, path=file_path) if _is_script(file_path) and not named else None


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Its statements in place of a module's tests."""
    return Script.from_parent(parent, path=module_path) if _is_script(module_path) else None


def _is_script(path: Path) -> bool:
    return path.parent == Path(__file__).parent and path.stem in scripts()


class Script(pytest.File):
    """One file of statements."""

    def collect(self) -> Iterable[pytest.Item]:
        """Its statements. A script without one is an error."""
        import_module(self.path.stem)
        found = [one for one in KNOWN.values() if one.module == self.path.stem]
        if not found:
            raise self.CollectError(f"{self.path.name} states nothing")
        return [Proof.from_parent(self, name=one.id, one=one) for one in found]


class Proof(pytest.Item):
    """One statement."""

    def __init__(self, *, one: Statement, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.one = one

    def runtest(self) -> None:
        """Raises StepFailed."""
        derive(self.one, quiet=True)
