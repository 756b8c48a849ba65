"""The README and the guide: every command runs, every block of code too, and what they are said to print they print."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
GUIDE = (ROOT / "examples" / "GUIDE.md").read_text()
TEST_COMMAND = re.search(r"^<!-- test command -->\n```bash\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def blocks(text: str, language: str) -> list[str]:
    """Fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def shown(text: str) -> list[tuple[str, str, str, str]]:
    """(marker, language, block, what it is said to print) of all code of the README but the test command."""
    fences = re.findall(
        r"(?:^<!-- ([^\n]*) -->\n)?^```(bash|python)\n(.*?)^```$(?:\n+^```text\n(.*?)^```$)?",
        text,
        re.DOTALL | re.MULTILINE,
    )
    return [fence for fence in fences if fence[0] != "test command"]


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A folder that looks like a clone, with nothing that could be overwritten."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("examples", "proofs", "constraints.txt"):
        (folder / name).symlink_to(ROOT / name)
    return folder


def run(folder: Path, language: str, block: str) -> tuple[int, str]:
    """Exit status and standard output. The environment of a reader is this one, so that it is not made again."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    made = block.replace("python3 -m venv .venv && .venv/bin/pip install -q -c constraints.txt '.[plots]' && ", "")
    script = made.replace(".venv/bin/python", shlex.quote(sys.executable))
    command = ["bash", "-ec", script] if language == "bash" else [sys.executable, "-c", block]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout


def statuses(marker: str, count: int) -> list[int]:
    """Exit statuses that a marker tells: "exits 1, 0"."""
    if marker.startswith("exits "):
        return [int(status) for status in marker.removeprefix("exits ").split(", ")]
    return [1] if marker == "audit command" else [0] * count


@pytest.mark.parametrize(
    ("marker", "language", "block", "said"), shown(README), ids=lambda part: part.split("\n")[0][-40:] or "none"
)
def test_what_the_readme_shows_is_what_happens(clone, marker, language, block, said):
    lines = [line for line in block.splitlines() if line] if language == "bash" else [block]
    runs = [run(clone, language, line) for line in lines]
    assert [status for status, _ in runs] == statuses(marker, len(lines))
    printed = " ".join(" ".join(out for _, out in runs).split())
    for passage in " ".join(said.split()).split(" ... "):
        assert passage in printed


@pytest.mark.parametrize("marker", ["audit command", "test command"])
def test_readme_holds_each_command_once_on_one_line(marker):
    commands = re.findall(rf"^<!-- {marker} -->\n```bash\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    assert [len(command.splitlines()) for command in commands] == [1]


@pytest.mark.parametrize("block", [*blocks(README, "bash"), *blocks(GUIDE, "bash")])
def test_shell_block_parses(block):
    subprocess.run(["bash", "-n", "-c", block], check=True)


@pytest.mark.parametrize("block", [*blocks(README, "bash"), *blocks(GUIDE, "bash")])
def test_files_that_are_named_exist(block):
    named = [word for word in shlex.split(block, comments=True) if word.startswith(("examples/", "constraints"))]
    assert [word for word in named if not (ROOT / word).is_file()] == []


@pytest.mark.parametrize(("text", "folder"), [(README, ROOT), (GUIDE, ROOT / "examples")], ids=["README", "GUIDE"])
def test_links_lead_somewhere(text, folder):
    links = re.findall(r"\]\(([^)#]+)\)", text)
    assert links
    assert [link for link in links if "://" not in link and not (folder / link).exists()] == []


def test_python_blocks_of_the_guide_run_in_order(clone):
    assert blocks(GUIDE, "python")
    assert run(clone, "python", "\n".join(blocks(GUIDE, "python")))[0] == 0


def test_ci_runs_the_test_command_of_the_readme():
    script = (ROOT / ".ci" / "run").read_text()
    extraction = next(line for line in script.splitlines() if line.startswith("test_command="))
    done = subprocess.run(
        ["bash", "-c", f'{extraction}; printf %s "$test_command"'], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert TEST_COMMAND is not None
    assert done.stdout + "\n" == TEST_COMMAND[1]
    assert "pytest" in done.stdout
