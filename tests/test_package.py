"""What is published: an sdist that is complete, and a wheel with every file that the package needs, of one version."""

from __future__ import annotations

import email
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import dtdsym

BESIDE_THE_PACKAGE = ("examples/", "proofs/", "tests/")


def tracked(repository: Path) -> list[str]:
    """Every file that git tracks or would track."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True).stdout.split("\0")
    return [name for name in listed if name and (repository / name).is_file()]


@pytest.fixture(scope="module")
def built(repository, tmp_path_factory) -> Path:
    """The folder with an sdist, and the wheel that is made of it, as `python -m build` makes them without network."""
    pytest.importorskip("build", reason="the package `build` is not installed")
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in tracked(repository):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(repository / name, source / name)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)]
    done = subprocess.run(command, cwd=out, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.fixture(scope="module")
def wheel(built, tmp_path_factory) -> Path:
    """The wheel, unpacked: what pip would lay into site-packages."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(next(built.glob("*.whl"))) as file:
        file.extractall(folder)
    return folder


def test_the_sdist_holds_the_package_and_what_its_tests_need(built, repository):
    with tarfile.open(next(built.glob("*.tar.gz"))) as file:
        held = {name.partition("/")[2] for name in file.getnames()}
    wanted = {name for name in tracked(repository) if not name.startswith(".")}
    assert wanted - held == set()
    assert any(name.startswith(BESIDE_THE_PACKAGE) for name in held)


def test_the_wheel_holds_every_file_of_the_package_and_nothing_beside_it(wheel, repository):
    held = {path.relative_to(wheel).as_posix() for path in wheel.rglob("*") if path.is_file()}
    assert {name for name in held if ".dist-info/" not in name} == {
        name for name in tracked(repository) if name.startswith("dtdsym/")
    }


def test_the_version_stands_in_one_place(wheel, built, repository):
    told = email.message_from_string(next(wheel.glob("*.dist-info/METADATA")).read_text())
    assert told["Version"] == dtdsym.__version__
    assert next(built.glob("*.whl")).name.startswith(f"dtdsym-{dtdsym.__version__}-")
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    assert "version" in project["dynamic"]
    mentions = [
        name
        for name in tracked(repository)
        if name.endswith((".py", ".toml")) and f'"{dtdsym.__version__}"' in (repository / name).read_text()
    ]
    assert mentions == ["dtdsym/_version.py"]


def test_the_wheel_says_what_it_is(wheel):
    told = email.message_from_string(next(wheel.glob("*.dist-info/METADATA")).read_text())
    assert told["License-Expression"] == "MIT"
    assert told["Description-Content-Type"] == "text/markdown"
    assert str(told.get_payload()).lstrip().startswith("# dtdsym")
    assert (next(wheel.glob("*.dist-info")) / "entry_points.txt").read_text().split() == [
        "[console_scripts]", "dtdsym", "=", "dtdsym.__main__:main",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["-m", "dtdsym", "--version"], f"dtdsym {dtdsym.__version__}\n"),
        (["-m", "dtdsym.checker", "-", "--quiet"], "0 accepted, 0 refused\n"),
    ],
)
def test_the_wheels_files_run_on_their_own(wheel, words, told):
    """From the unpacked wheel, not from the repository; without site-packages, which neither command needs."""
    isolated = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    command = [sys.executable, "-S", *words]
    done = subprocess.run(
        command, cwd=wheel, env=isolated | {"PYTHONPATH": str(wheel)}, input="", capture_output=True, text=True
    )
    assert done.stdout == told, done.stderr
