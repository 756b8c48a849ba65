"""What the repository promises before any mathematics: its commands, its names, its dependencies, its text."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from pkgutil import iter_modules

import pytest
from packaging.requirements import Requirement

import dtdsym

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# Letters in brackets, so that this file does not hold what it looks for.
UNFINISHED = re.compile(rb"\b(TO[D]O|FIX[M]E)\b")
SOMEBODYS_PATH = re.compile(rb"(?<![\w.:/~$})-])/(home|root|work|tmp|opt|Users|mnt|private)/\w")


def run(*command: str) -> str:
    """Standard output of a command in the repository's root; a failure shows its standard error."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    return done.stdout


def repository_files() -> list[Path]:
    """Every file that git tracks or would track."""
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    return [ROOT / name for name in listed if name and (ROOT / name).is_file()]


def found(pattern: re.Pattern[bytes]) -> list[str]:
    """Where in the repository a pattern occurs: path and the bytes met."""
    return [
        f"{path.relative_to(ROOT)}: {m[0]!r}"
        for path in repository_files()
        for m in pattern.finditer(path.read_bytes())
    ]


def test_importing_dtdsym_loads_nothing_but_the_standard_library():
    code = "import sys; before = set(sys.modules); import dtdsym; print(*(set(sys.modules) - before))"
    loaded = {name.partition(".")[0] for name in run(sys.executable, "-c", code).split()}
    assert loaded - sys.stdlib_module_names == {"dtdsym"}


@pytest.mark.parametrize("name", dir(dtdsym))
def test_public_name_is_defined_in_its_module(name):
    value = getattr(dtdsym, name)
    assert name == "__version__" or value.__module__ == dtdsym._HOMES[name]


def test_no_public_name_hides_a_room_or_a_command_line():
    assert {module.name for module in iter_modules(dtdsym.__path__)} & set(dir(dtdsym)) == set()


def test_every_error_is_public():
    tree = ast.parse((ROOT / "dtdsym" / "errors.py").read_text())
    assert {node.name for node in tree.body if isinstance(node, ast.ClassDef)} <= set(dir(dtdsym))


def test_unknown_name_is_an_attribute_error_that_lists_the_known_ones():
    with pytest.raises(AttributeError, match=r"'lode'.*\bload\b"):
        _ = dtdsym.lode


def test_every_dependency_is_pinned_inside_its_range():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    extras = PROJECT["optional-dependencies"].values()
    wanted = [Requirement(text) for group in [PROJECT["dependencies"], *extras] for text in group]
    assert [str(want) for want in wanted if not want.specifier.contains(pins[want.name])] == []


CHECKER = {path.name: len(path.read_text().splitlines()) for path in (ROOT / "dtdsym" / "checker").glob("*.py")}
CORE = ("reading.py", "network.py", "__main__.py")


def test_the_core_of_the_checker_is_under_500_lines():
    """What reads a file, evaluates its network and hands each claim to what checks its kind."""
    assert sum(CHECKER[name] for name in CORE) < 500


@pytest.mark.parametrize("name", sorted(set(CHECKER) - set(CORE)))
def test_every_other_module_of_the_checker_is_under_200_lines(name):
    assert CHECKER[name] < 200


def test_the_checker_is_standard_library_only():
    trees = [ast.parse((ROOT / "dtdsym" / "checker" / name).read_text()) for name in CHECKER]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    others = {name for name in names if name.partition(".")[0] not in sys.stdlib_module_names}
    assert {name for name in others if not f"{name}.".startswith("dtdsym.checker.")} == set()


def test_nothing_is_left_unfinished():
    assert found(UNFINISHED) == []


def test_no_path_of_somebodys_machine():
    assert found(SOMEBODYS_PATH) == []
