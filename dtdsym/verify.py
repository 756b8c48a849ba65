"""`python -m dtdsym.verify NET`: audit the Taylor root points behind explanations of a network, exactly."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from dtdsym.claims.decide import CLAIMS
from dtdsym.command import (
    UNDECIDED,
    budget_of,
    check_apart,
    check_writable,
    command_line,
    ended,
    fail,
    network_of,
    progress_of,
    whole_number,
    workers,
    workers_asked,
)
from dtdsym.errors import InputError
from dtdsym.network.network import Network
from dtdsym.relevance.composite import PRESETS
from dtdsym.relevance.identify import Identification, identify
from dtdsym.relevance.rule import families
from dtdsym.report.audit import Report
from dtdsym.report.heatmap import LARGEST, heatmap
from dtdsym.survey.boxes import check_box, claims_in_box
from dtdsym.survey.chunk import largest_outputs
from dtdsym.survey.inputs import GivenInputs, SampledInputs, read_inputs
from dtdsym.survey.run import conduct
from dtdsym.survey.settings import DEFAULT_RULES, DEFAULT_SAMPLE, Settings

VIOLATED = 1
SAMPLES = 100
MOST_COMPARED = 64  # rows of an explanation that are looked at to name it

_EPILOG = """examples:
  python -m dtdsym.verify net.pt                                    100 sampled inputs, four rules, first layer
  python -m dtdsym.verify net.pt --input images.npy --rule zplus    your inputs, one rule
  python -m dtdsym.verify net.pt --layer all --json report.json     every layer; the report as JSON too
  python -m dtdsym.verify net.pt --input images.npy --html report.html             one page to show to others
  python -m dtdsym.verify net.onnx --input images.npy --rule first=zbox:0:1,conv=zplus,linear=epsilon:1e-6
  python -m dtdsym.verify net.pt2 --input images.npy --compare relevance.npy       what did my tool compute?
  python -m dtdsym.verify net.pt --claim c1 --certificates run.jsonl.gz            evidence for python -m dtdsym.checker
  python -m dtdsym.verify vgg.pt2 --input photos.npy --layer all --sample-roots 500 --rule epsilon_plus --jobs 2
  python -m dtdsym.verify net.pt --logit 0 --rule w2 --for-all box:0:1             claims for all inputs of a box
  python -m dtdsym.verify weights.pt --layers relu-mlp              a state_dict: linear layers, ReLU between them
  python -m dtdsym.verify net.pt --samples 100000 --jobs 8 --resume run.jsonl     long: killed, it goes on from there
  python -m dtdsym.verify net.pt --samples 100000 --dask tcp://10.0.0.1:8786 --resume run.jsonl    on many machines

exit status: 2 it could not run, or no input was audited; else 1 a root lies where its Taylor expansion is not valid, or
does not exist (normal for an honest audit of DTD), or a claim that --claim asked for is bad news for the explanation
(such as c2 proved: with constant roots it is gradient x (input - root)); else 3 something stayed undecided, within the
budget or because no proof of it is known; else 0. c2 that --for-all proves is an identity, and no bad news
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit status. One line on standard error where it cannot run."""
    options = _parser().parse_args(argv)
    options.command = shlex.join(["python", "-m", "dtdsym.verify", *(sys.argv[1:] if argv is None else argv)])
    return ended(lambda: _status(_run(options)), options.resume)


def _status(report: Report) -> int:
    if not report.inputs.audited:
        return fail(
            "no input was audited: give inputs off the hinges whose explained logit is above --min-logit, or lower that"
        )
    return VIOLATED if report.violated else UNDECIDED if report.undecided else 0


def _parser() -> argparse.ArgumentParser:
    parser = command_line(
        "verify",
        "Place every Taylor root point of propagation rules exactly: inside the input's linear region, on its edge, or "
        "outside.",
        _EPILOG,
    )
    add = parser.add_argument_group("how it is read, and its inputs").add_argument
    add("--batchnorm", choices=("fold", "own"), default="fold", help="part of the layer before it, or a layer (fold)")
    add("--input", metavar="FILE", help=".npy, .npz, .csv or .pt; one input a row, as the network receives them")
    add("--samples", metavar="N", type=int, help="inputs to sample where no file is given (100)")
    add("--seed", metavar="S", type=int, default=0, help="of the samples, of inputs and of roots (0)")
    add(
        "--domain",
        default="nonnegative",
        help="nonnegative (sampled as |N(0,1)|), real (N(0,1)) or box:LO:HI (uniform) (nonnegative)",
    )
    add(
        "--min-logit",
        metavar="T",
        type=float,
        help="audit inputs whose explained logit is above T (0.1 sampled, else 0)",
    )
    add = parser.add_argument_group("what is explained, and which roots are placed").add_argument
    add("--logit", metavar="K|argmax", default="argmax", help="the explained output (argmax: each input's largest)")
    add(
        "--rule",
        metavar="NAME[:PARAM[:PARAM]]",
        action="append",
        help=(
            f"repeatable ({' '.join(DEFAULT_RULES)}); known: {' '.join(families())}; or a composite, "
            f"first=zbox:0:1,conv=zplus,linear=epsilon:1e-6, or one of {' '.join(PRESETS)}"
        ),
    )
    add(
        "--root",
        default="relevance",
        help="relevance (what implementations use), hinge (the theory's), or nearest[:l1|l2|linf[:nonnegative]]: the "
        "nearest admissible roots instead of the rules', and how far the rules' explanations are from theirs "
        "(relevance)",
    )
    add("--layer", metavar="L|all", default="1", help="number from 1, several with commas, or all (1)")
    add = parser.add_argument_group("what else is asked").add_argument
    add(
        "--claim",
        metavar="NAME",
        action="append",
        help=f"repeatable: a claim of the paper, decided on every input ({', '.join(CLAIMS)}; c5 and c6 always "
        "are); dtdsym explain-claim NAME says what it is",
    )
    add(
        "--for-all",
        metavar="BOX",
        action="append",
        help="repeatable, box:LO:HI: decide c2, and c5 of every rule's hinge roots at layer 1, for all inputs of the "
        "box (c5: those with the logit above --min-logit), on small networks; with --logit K where there are several "
        "outputs",
    )
    add("--target", metavar="FILE", help="c3: the relevance to forge, one row")
    add("--compare", metavar="FILE", help="relevances made by any tool, one row an input: name the rule that they are")
    add = parser.add_argument_group("how it is decided").add_argument
    add(
        "--engine",
        default="auto",
        help="auto (certified floats, exact fallback), exact (rationals only), or numeric[:float32] (floats alone, "
        "which prove nothing, with the margin of each place) (auto)",
    )
    add(
        "--sample-roots",
        metavar="N|all",
        help="audit N roots of each layer, drawn at random, with 95 %% intervals for all "
        f"(all; {DEFAULT_SAMPLE} of large networks)",
    )
    add("--device", default="cpu", help="where tensors are computed: cpu, cuda, cuda:1 (cpu)")
    add("--budget", metavar="SECONDS", type=float, help="for each decision; beyond it, undecided (no limit)")
    workers_asked(add, "")
    add("--resume", metavar="FILE", help="keep finished work in FILE, and go on from what it holds")
    add = parser.add_argument_group("what comes out").add_argument
    add("--json", metavar="FILE|-", help="write the report as JSON; -: to standard output, and nothing else there")
    add(
        "--certificates", metavar="FILE.jsonl[.gz]", help="write evidence for every place, for python -m dtdsym.checker"
    )
    add("--ledger", metavar="N", type=int, default=1, help="say for the first N inputs where relevance was lost (1)")
    add("--html", metavar="FILE", help="write the report as one page to show to others: charts, pictures, evidence")
    add("--heatmap", metavar="FILE", help=f"picture of the first {LARGEST} inputs with their explanations")
    add("--quiet", action="store_true", help="no report on standard output, no progress")
    return parser


def _run(options: argparse.Namespace) -> Report:
    if options.ledger < 0:
        raise InputError(f"--ledger {options.ledger}: give 0 or more")
    check_apart(options, ("input", "target", "compare"), ("json", "certificates", "resume", "heatmap", "html"))
    for option in ("certificates", "html"):
        if getattr(options, option) == "-":
            raise InputError(f"--{option} -: standard output is the report's; name a file")
    network = network_of(options)
    network = network.unfolded() if options.batchnorm == "own" else network
    settings = _settings(options, network)
    boxes = list(dict.fromkeys(options.for_all or ()))
    for box in boxes:
        check_box(network, settings, box)
    inputs = _inputs(options, network, settings)
    relevance = _relevance(options, network, inputs)
    for path in (options.json, options.heatmap, options.certificates, options.html):
        check_writable(path)
    compared = None if relevance is None else _compared(network, inputs, relevance, settings)
    if options.heatmap:  # before the audit, which may be long: a killed run has drawn it
        _draw(network, inputs, settings, options.heatmap)
    with workers(options.jobs, options.dask) as executor, progress_of(options.quiet, "inputs") as progress:
        found = conduct(
            network,
            inputs,
            settings,
            ledger=options.ledger,
            executor=executor,
            journal=options.resume,
            certificates=options.certificates,
            progress=progress,
        )
    report = Report(**vars(found))
    report.compared = compared
    report.in_box = [claim for box in boxes for claim in claims_in_box(network, settings, box)]
    _show(report, options)
    return report


def _settings(options: argparse.Namespace, network: Network) -> Settings:
    least, layer, sample = options.min_logit, options.layer, options.sample_roots
    asked: dict[str, Any] = {
        "rules": list(dict.fromkeys(options.rule or DEFAULT_RULES)),
        "logit": whole_number(options.logit, "--logit", "argmax"),
        "layers": "all" if layer == "all" else [whole_number(n, "--layer", "all") for n in layer.split(",")],
        "root": options.root,
        "domain": options.domain,
        "min_logit": (0.0 if options.input else 0.1) if least is None else least,
        "budget": budget_of(options),
        "engine": options.engine,
        "sample_roots": sample and whole_number(sample, "--sample-roots", "all"),
        "seed": options.seed,
        "device": options.device,
        "claims": options.claim or (),
        "target": _target(options, network),
    }
    return Settings.of(network, **asked)


def _target(options: argparse.Namespace, network: Network) -> list[float] | None:
    """The relevance that c3 is to forge."""
    if ("c3" in (options.claim or ())) != (options.target is not None):
        raise InputError("--claim c3 and --target FILE belong together: the relevance to forge, one row")
    if options.target is None:
        return None
    given = read_inputs(options.target, network, "target")
    if given.count != 1:
        raise InputError(f"{options.target}: {given.count} rows; give one, the relevance to forge")
    row: list[float] = given.batch(0, 1).points[0].tolist()
    return row


def _inputs(options: argparse.Namespace, network: Network, settings: Settings) -> GivenInputs | SampledInputs:
    if options.input:
        if options.samples is not None:
            raise InputError("--samples draws inputs, and --input gives them: leave out one of the two")
        return read_inputs(options.input, network)
    if options.seed < 0:
        raise InputError(f"--seed {options.seed}: give a whole number from 0")
    samples = SAMPLES if options.samples is None else options.samples
    return SampledInputs(network, settings.domain, settings.logit, settings.min_logit, samples, options.seed)


def _relevance(
    options: argparse.Namespace, network: Network, inputs: GivenInputs | SampledInputs
) -> GivenInputs | None:
    """The explanation that is to be named."""
    if options.compare is None:
        return None
    if not options.input:
        raise InputError("--compare needs --input: the inputs that were explained, in the same order")
    relevance = read_inputs(options.compare, network, "relevance")
    if relevance.count != inputs.count:
        raise InputError(
            f"{options.compare}: {relevance.count} rows of relevance for {inputs.count} inputs; give one an input"
        )
    return relevance


def _compared(
    network: Network, inputs: GivenInputs | SampledInputs, relevance: GivenInputs, settings: Settings
) -> Identification:
    points = inputs.batch(0, MOST_COMPARED).points
    rows = relevance.batch(0, MOST_COMPARED).points.astype(relevance.rows.dtype)  # which says how they were rounded
    chosen = largest_outputs(network, points).tolist() if settings.logit is None else settings.logit
    named = [rule.label for rule in settings.rules]
    return identify(network, points, rows, chosen, rules=named)


def _draw(network: Network, inputs: GivenInputs | SampledInputs, settings: Settings, path: str) -> None:
    points = inputs.batch(0, min(LARGEST, inputs.count)).points
    chosen = largest_outputs(network, points).tolist()
    logits = chosen if settings.logit is None else [settings.logit] * len(points)
    heatmap(network, points, logits, settings.rules, path)


def _show(report: Report, options: argparse.Namespace) -> None:
    text = json.dumps(report.to_json(), indent=2)
    if options.json not in (None, "-"):
        Path(options.json).write_text(text + "\n", encoding="utf-8")
    if options.html:
        report.write_html(options.html, options.command)
    try:
        if options.json == "-":
            print(text)
        elif not options.quiet:
            Console(highlight=False).print(report)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
