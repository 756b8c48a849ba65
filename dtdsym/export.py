"""`python -m dtdsym.export NET OUT`: write a network in another format, and check that it is the same function."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from dtdsym.command import command_line, ended, network_of
from dtdsym.errors import InputError, LoadError
from dtdsym.network.files.save import save_pt, save_safetensors
from dtdsym.network.load import load
from dtdsym.network.network import Network

_EPILOG = """examples:
  python -m dtdsym.export net.pt2 net.onnx                          an ONNX file of the same function
  python -m dtdsym.export weights.pt net.pt --layers relu-mlp       a state_dict that says what it computes
  python -m dtdsym.export net.pt net.safetensors --input-shape 3,32,32

What was written is read again and must be the same exact function, by its hash. exit status: 0, or 2 where it is not
or could not be written
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit status. One line on standard error where it cannot run."""
    options = _parser().parse_args(argv)
    return ended(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    network = network_of(options)
    export(network, Path(options.out), force=options.force)
    print(
        f"{options.out}: function {network.sha256}, {len(network.layers)} layers, {network.parameters} parameters, "
        "read back and equal"
    )
    return 0


def export(network: Network, out: Path, *, force: bool = False) -> None:
    """Write the network to `out`, in the format of its suffix: .onnx, .pt or .safetensors.

    `out` appears once it was read back as the same function. Raises InputError for another suffix, or where `out` is
    there and not `force`; LoadError where it reads back as another function; OSError where it cannot be written."""
    write = _WRITERS.get(out.suffix.lower())
    if write is None:
        raise InputError(f"{out}: the name must end in {', '.join(_WRITERS)}, which chooses the format")
    if out.is_dir() or not out.parent.is_dir():
        raise InputError(f"{out}: no place for a file; give a name in a folder that is there")
    if out.exists() and not force:
        raise InputError(f"{out}: is there already; give another name, or --force to replace it")
    with TemporaryDirectory(prefix=".dtdsym-", dir=out.parent) as folder:
        part = Path(folder) / out.name
        write(network, part)
        if load(part).sha256 != network.sha256:
            raise LoadError(f"{out}: what was written reads back as another function; it was deleted; report this")
        part.replace(out)


def _write_onnx(network: Network, path: Path) -> None:
    try:
        from dtdsym.network.onnx.write import write_onnx

        path.write_bytes(write_onnx(network))
    except ModuleNotFoundError as err:
        raise InputError(f"ONNX files need Python's package {err.name}; install onnx") from err


_WRITERS: dict[str, Callable[[Network, Path], None]] = {
    ".onnx": _write_onnx,
    ".pt": save_pt,
    ".safetensors": save_safetensors,
}


def _parser() -> argparse.ArgumentParser:
    parser = command_line(
        "export",
        "Write the exact network that a file holds in another format; read it back and compare the hashes.",
        _EPILOG,
        files="NET OUT",
    )
    add = parser.add_argument_group("what is written").add_argument
    add("out", metavar="OUT", help="the file to write: .onnx, .pt or .safetensors")
    add("--force", action="store_true", help="replace OUT if it is there (it is kept)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
