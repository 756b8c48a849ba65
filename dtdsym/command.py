"""What all command lines share: the options that say which network is meant, workers, and how a command ends."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import NoReturn

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from dtdsym._version import __version__
from dtdsym.errors import DtdsymError, InputError
from dtdsym.geometry.budget import Budget
from dtdsym.network.load import load
from dtdsym.network.network import Network
from dtdsym.survey.cluster import Lost, cluster_at
from dtdsym.survey.processes import processes

COULD_NOT_RUN, UNDECIDED, INTERRUPTED = 2, 3, 130


class Parser(argparse.ArgumentParser):
    """Says in one line what is wrong with the words it was given."""

    def error(self, message: str) -> NoReturn:
        """One line, as for all that cannot run."""
        sys.exit(fail(f"{message}; see --help"))


def command_line(name: str, description: str, epilog: str, files: str = "NET") -> argparse.ArgumentParser:
    """The parser of `python -m dtdsym.NAME`, with the options that say which network is meant. files: what it is given
    without an option."""
    parser = Parser(
        prog=f"python -m dtdsym.{name}",
        usage=f"%(prog)s {files} [option ...]",
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument_group("the network").add_argument
    add("network", metavar="NET", help=".pt2 (torch.export), .onnx, .safetensors or .pt (nn.Sequential, state_dict)")
    add("--layers", metavar="NAME|FILE", help="layers of a state_dict: relu-mlp, relu-mlp-final, or a JSON file")
    add("--input-shape", metavar="C,H,W", help="shape of one input, where a .pt of convolutions does not fix it")
    parser.add_argument("--version", action="version", version=f"dtdsym {__version__}")
    return parser


def workers_asked(add: Callable[..., object], when: str) -> None:
    """The options that say who does the work, added by `add`; `when` they can be given."""
    add("--jobs", metavar="N", type=int, help=f"{when}worker processes on this machine (1)")
    add("--dask", metavar="ADDRESS", help=f"{when}the workers of a Dask cluster, by its scheduler's HOST:PORT (none)")


def network_of(options: argparse.Namespace) -> Network:
    """The network that the options name. Raises DtdsymError."""
    text = options.input_shape
    try:
        shape = None if text is None else tuple(int(number) for number in text.split(","))
    except ValueError as err:
        raise InputError(f"--input-shape {text!r}: give whole numbers with commas between, as in 1,28,28") from err
    return load(options.network, layers=options.layers, input_shape=shape)


def whole_number(text: str, option: str, word: str) -> int | str:
    """A number, or the word that may stand for it."""
    if text == word:
        return text
    try:
        return int(text)
    except ValueError as err:
        raise InputError(f"{option} {text!r}: give a whole number, or {word}") from err


def check_apart(options: argparse.Namespace, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """Raises InputError where a file that is written is also read, or written twice.

    inputs, outputs: names of options that hold files; NET and --layers are always read."""
    seen: dict[Path, str] = {}
    for own, names in ((False, ("network", "layers", *inputs)), (True, outputs)):
        for name in names:
            path = getattr(options, name)
            if path is None or path == "-":
                continue
            place, option = Path(path).resolve(), "NET" if name == "network" else f"--{name}"
            if own and place in seen:
                raise InputError(
                    f"{path}: given for {seen[place]} and for {option}, which would overwrite it; name another"
                )
            seen[place] = option


def budget_of(options: argparse.Namespace) -> Budget:
    """What --budget allows. Raises InputError."""
    seconds = options.budget
    if seconds is not None and not seconds > 0:
        raise InputError(f"--budget {seconds:g}: give a number of seconds above 0")
    return Budget(seconds=seconds)


def check_writable(path: str | None) -> None:
    """Find out before the work, not after it, that its result cannot be written. Leaves no empty file behind."""
    if path is not None and path != "-":
        new = not Path(path).exists()
        with Path(path).open("a"):
            pass
        if new:
            Path(path).unlink()


def ended(work: Callable[[], int], kept: str | None = None) -> int:
    """The exit status of the work; one line on standard error where it cannot run. kept: where finished work is."""
    try:
        return work()
    except DtdsymError as err:
        return fail(str(err))
    except OSError as err:
        return fail(f"{err.filename or 'the system'}: {err.strerror or err}")
    except BrokenExecutor as err:
        what = err if isinstance(err, Lost) else "a worker process was ended (for want of memory?); use fewer --jobs"
        where = f"finished work is in {kept}" if kept else "--resume FILE would have kept finished work"
        return fail(f"{what}; {where}")
    except KeyboardInterrupt:
        print("dtdsym: interrupted" + (f"; {kept} is kept" if kept else ""), file=sys.stderr)
        return INTERRUPTED


def fail(line: str) -> int:
    """Say in one line why it could not run."""
    print(f"dtdsym: {' '.join(line.split())}", file=sys.stderr)
    return COULD_NOT_RUN


@contextmanager
def workers(jobs: int | None, dask: str | None = None) -> Iterator[Executor | None]:
    """What --jobs and --dask ask for: worker processes here, a cluster's workers, or None: this process alone.

    All, this process too, compute with one of torch's threads: --jobs is the way to use more cores.
    Raises InputError."""
    if jobs is not None and dask is not None:
        raise InputError("--jobs and --dask: work is done here or by the cluster; leave out one of the two")
    if jobs is not None and jobs < 1:
        raise InputError(f"--jobs {jobs}: give at least 1")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with _executor(jobs or 1, dask) as executor:
            yield executor
    finally:
        torch.set_num_threads(threads)


def _executor(jobs: int, dask: str | None) -> AbstractContextManager[Executor | None]:
    if dask is not None:
        return cluster_at(dask)
    return nullcontext() if jobs == 1 else processes(jobs)


@contextmanager
def progress_of(quiet: bool, what: str) -> Iterator[Callable[[int, int | None], None] | None]:
    """Tells a terminal how many parts are done, and of how many where that is known."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield None
        return
    columns = (TextColumn("{task.completed:,} {task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
