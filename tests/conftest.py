"""What every test shares: none may fail because a machine is slow."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

if "PYTEST_XDIST_WORKER" in os.environ:
    # Test workers share the cores: torch's threads would only wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("unhurried", settings(deadline=None, suppress_health_check=[HealthCheck.too_slow]))
settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The folder that commands of the README are run in."""
    return Path(__file__).parent.parent
