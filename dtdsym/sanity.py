"""`python -m dtdsym.sanity NET --input FILE`: does an explanation depend on the class, and on the layers? Measured."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from dtdsym.command import (
    check_apart,
    check_writable,
    command_line,
    ended,
    network_of,
    progress_of,
    whole_number,
)
from dtdsym.errors import InputError
from dtdsym.network.network import Network
from dtdsym.network.randomise import LAWS
from dtdsym.relevance.maps import CHANNELS
from dtdsym.report.sanity import (
    SanityCheck,
    cascading_randomisation,
    independent_randomisation,
    other_class,
    other_logit,
)
from dtdsym.report.sanity_words import FORMAT
from dtdsym.survey.inputs import read_inputs
from dtdsym.survey.sanity import STARTS

CHECKS: dict[str, Callable[..., SanityCheck]] = {
    "other-class": other_class,
    "other-logit": other_logit,
    "cascading": cascading_randomisation,
    "independent": independent_randomisation,
}
_RANDOMISE = ("cascading", "independent")
_EPILOG = """examples:
  python -m dtdsym.sanity net.pt --input images.npy                            every check that fits, of the z+ rule
  python -m dtdsym.sanity net.pt2 --input images.npy --rule zplus --rule epsilon:0.1 --plot checks.png
  python -m dtdsym.sanity net.pt --input images.npy --check cascading --weights permuted --json -
  python -m dtdsym.sanity net.pt --input images.npy --category 0,1,2 --category 3,4    other logits of a category

exit status: 0; 2 it could not run. Nothing is proved here, so nothing is a violation
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit status. One line on standard error where it cannot run."""
    options = _parser().parse_args(argv)
    return ended(lambda: _run(options))


def _parser() -> argparse.ArgumentParser:
    parser = command_line(
        "sanity",
        "How far explanations move when another output is explained, or layers are drawn anew; gradient x input is the "
        "control. Measured in floats.",
        _EPILOG,
    )
    add = parser.add_argument_group("what is measured").add_argument
    add("--batchnorm", choices=("fold", "own"), default="fold", help="in the layer before it, or a layer (fold)")
    add("--input", metavar="FILE", required=True, help=".npy, .npz, .csv or .pt; one input a row")
    add("--rule", metavar="NAME[:PARAM...]", action="append", help="repeatable, also composites (zplus)")
    add("--check", choices=tuple(CHECKS), action="append", help="repeatable (all that fit)")
    add("--logit", metavar="K|argmax", default="argmax", help="the explained output (argmax: each input's largest)")
    add("--category", metavar="K,K,...", action="append", help="repeatable, of other-logit: outputs of one category")
    add("--seed", metavar="S", type=int, default=0, help="of outputs and weights that are drawn (0)")
    add("--weights", choices=LAWS, default=LAWS[0], help="as large as the old ones, or these permuted (normal)")
    add = parser.add_argument_group("how maps are made").add_argument
    add("--start", choices=STARTS, default=STARTS[0], help="relevance starts from 1, or from the output's value (one)")
    add("--absolute", action="store_true", help="maps without their signs")
    add("--channels", choices=CHANNELS, default=CHANNELS[0], help="are added up, or are pixels of their own (sum)")
    add("--device", default="cpu", help="where tensors are computed: cpu, cuda, cuda:1 (cpu)")
    add = parser.add_argument_group("what comes out").add_argument
    add("--json", metavar="FILE|-", help="write all numbers as JSON; -: to standard output, and nothing else there")
    add("--plot", metavar="FILE", help="draw it: .png, .svg or .pdf; of several checks FILE-CHECK, one each")
    add("--quiet", action="store_true", help="nothing on standard output, no progress")
    return parser


def _run(options: argparse.Namespace) -> int:
    check_apart(options, ("input",), ("json", "plot"))
    network = network_of(options)
    network = network.unfolded() if options.batchnorm == "own" else network
    checks = _checks(options, network)
    pictures = {name: _picture(options.plot, name, len(checks)) for name in checks}
    for path in (options.json, *pictures.values()):
        check_writable(path)
    inputs = read_inputs(options.input, network)
    found = {}
    for name in checks:
        with progress_of(options.quiet, "steps") as progress:
            more: dict[str, Any] = {"progress": progress} if name in _RANDOMISE else {}
            found[name] = _check(name, options)(network, inputs, options.rule or ["zplus"], **more)
        if (picture := pictures[name]) is not None:
            found[name].plot(picture)
    _show(options, list(found.values()))
    return 0


def _checks(options: argparse.Namespace, network: Network) -> list[str]:
    """What is asked for, or else all that the network and the options allow."""
    several, categories = network.sizes[-1] > 1, options.category is not None
    fits = {"other-class": several, "other-logit": categories}
    asked = list(dict.fromkeys(options.check or [name for name in CHECKS if fits.get(name, True)]))
    if categories != ("other-logit" in asked):
        raise InputError("--check other-logit and --category belong together: give the outputs of each category")
    return asked


def _check(name: str, options: argparse.Namespace) -> Callable[..., SanityCheck]:
    """The function of one check, with its options."""
    how: dict[str, Any] = {
        "logit": whole_number(options.logit, "--logit", "argmax"),
        "seed": options.seed,
        "start": options.start,
        "absolute": options.absolute,
        "channels": options.channels,
        "device": options.device,
    }
    if name in _RANDOMISE:
        how["weights"] = options.weights
    if name == "other-logit":
        how["categories"] = [_category(text) for text in options.category]
    return partial(CHECKS[name], **how)


def _category(text: str) -> list[int]:
    try:
        return [int(number) for number in text.split(",")]
    except ValueError as err:
        raise InputError(f"--category {text!r}: give outputs by their numbers, as in 0,1,2") from err


def _picture(path: str | None, check: str, checks: int) -> str | None:
    if path is None or checks == 1:
        return path
    file = Path(path)
    return str(file.with_name(f"{file.stem}-{check}{file.suffix}"))


def _show(options: argparse.Namespace, found: list[SanityCheck]) -> None:
    text = json.dumps({"format": FORMAT, "checks": [one.to_json() for one in found]}, indent=1)
    if options.json not in (None, "-"):
        Path(options.json).write_text(text + "\n", encoding="utf-8")
    if options.json == "-":
        print(text)
    elif not options.quiet:
        console = Console(highlight=False)
        for one in found:
            console.print(one, "")


if __name__ == "__main__":
    sys.exit(main())
