"""What an explanation could be: rules, composites, and what captum, zennit and autoLRP compute on this network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from dtdsym.network.layers import Add, Affine, AveragePool, Convolution, MaxPool, Relu, Scale
from dtdsym.network.network import Network

Ways = dict[str, str]
"""Composite entries by selector."""


@dataclass(frozen=True)
class Candidate:
    """text: a rule or composite as `parse` reads it. tool: whose computation it is, "" for the plain rule.

    batchnorm: "fold"ed into the layer before, a layer of its "own", or "merged" as zennit's canonizer does it. flaws:
    names of FLAWS that it has. hint: what else to know. scales: whether it is proportional to what it starts from.
    """

    text: str
    tool: str = ""
    batchnorm: str = "fold"
    flaws: tuple[str, ...] = ()
    hint: str = ""
    scales: bool = True

    @property
    def described(self) -> str:
        """For people."""
        whose = f"{self.tool}: " if self.tool else ""
        return f"{whose}{self.text}{BATCHNORM[self.batchnorm]}"


FLAWS = {
    "add=both": "both summands of an addition received all of the relevance, because it is not the tool's own module; "
    "use captum's Addition_Module or zennit's Sum",
    "add=captum": "the skip of an addition received its relevance times its value, or none, because it is not "
    "captum's module; use its Addition_Module",
    "relu=gradient": "relevance of inactive neurons was stopped, because a ReLU is called as a function; use nn.ReLU",
    "reuse=last": "a layer that is used more than once passed relevance on at the values of its last use, every time; "
    "give every use a module of its own",
    "avgpool=gradient": "an average pool spread relevance evenly, because it is called as a function; use a module for "
    "it, such as nn.AvgPool2d",
    "batchnorm=merged": "zennit's canonizer merged batch normalisation but left its eps behind, so that the network it "
    "explained divides by sqrt(1 + eps) once more; merge yourself, with torch.nn.utils.fuse_conv_bn_eval",
}
"""What goes wrong without a word in a tool, by the composite entry that computes the same."""
DROPPED = (
    "If you had given captum other rules, they were dropped: captum forgets custom rules after the first call of "
    "attribute (its issue 1059) and uses epsilon:1e-9 at every layer; set them again before each call."
)
BATCHNORM = {
    "fold": "",
    "own": " (batch normalisation as a layer of its own)",
    "merged": " (batch normalisation merged by zennit's canonizer)",
}
GRADIENT = "This is the gradient alone, not multiplied by the input."
GRADIENT_X_INPUT = Candidate("lrp0")
PURE_GRADIENT = "*=gradient,relu=gradient,add=both"
EPSILONS = ("1e-9", "1e-6", "1e-4", "1e-2", "0.1", "0.25", "1")
GAMMAS = ("0.1", "0.25", "0.5", "1")
PLAIN = (
    "zplus",
    "w2",
    *(f"gamma:{gamma}" for gamma in GAMMAS),
    *(f"epsilon:{epsilon}" for epsilon in EPSILONS),
    "alpha_beta:1:0",
    "alpha_beta:2:1",
    "x",
    "flat",
)
CAPTUM_DEFAULT = "epsilon:1e-9"
FOR_CAPTUM = (
    *(f"epsilon:{epsilon}" for epsilon in EPSILONS[1:]),
    *(f"captum.gamma{bias}:{gamma}" for gamma in GAMMAS for bias in ("", "_nobias")),
    "captum.alpha1_beta0",
    "captum.alpha1_beta0_nobias",
)
FOR_ZENNIT = (
    *(f"epsilon:{epsilon}" for epsilon in EPSILONS),
    "zennit.epsilon_nobias:1e-6",
    *(f"zennit.zplus{bias}" for bias in ("", "_nobias")),
    *(f"zennit.gamma{bias}:{gamma}" for gamma in GAMMAS for bias in ("", "_nobias")),
    *(f"zennit.alpha_beta{bias}:{numbers}" for numbers in ("2:1", "1:0") for bias in ("", "_nobias")),
    *(f"zennit.wsquare{bias}" for bias in ("", "_nobias")),
    "zennit.flat",
)
FOR_AUTOLRP = (
    "autolrp.lrp0",
    "autolrp.zplus",
    "autolrp.alpha_beta:2:1",
    *(f"autolrp.{rule}:{gamma}" for rule in ("gamma", "gamma_montavon") for gamma in GAMMAS),
)
ZENNIT_PRESETS: dict[str, Ways] = {
    "EpsilonPlus": {"conv": "zennit.zplus", "linear": "epsilon:1e-6"},
    "EpsilonPlusFlat": {"first": "zennit.flat", "conv": "zennit.zplus", "linear": "epsilon:1e-6"},
    "EpsilonAlpha2Beta1": {"conv": "zennit.alpha_beta:2:1", "linear": "epsilon:1e-6"},
    "EpsilonAlpha2Beta1Flat": {"first": "zennit.flat", "conv": "zennit.alpha_beta:2:1", "linear": "epsilon:1e-6"},
    "EpsilonGammaBox": {"first": "zennit.zbox:{box}", "conv": "zennit.gamma:0.25", "linear": "epsilon:1e-6"},
}
EXCITATION: Ways = {"*": "zennit.zplus", "batchnorm": "gradient", "relu": "gradient"}


def candidates(network: Network, boxes: Sequence[str]) -> Iterator[Candidate]:
    """All of them, those without a flaw first and the simplest of these first; a candidate may not fit the network.

    boxes: LOW:HIGH for rules that ask for the bounds of the inputs."""
    authors = ("authors.lrp0", "authors.pinv") if _small(network) else ("authors.lrp0",)
    tried = [
        *_plain(network, boxes),
        *_captum(network),
        *_zennit(network, boxes),
        *_autolrp(network, boxes),
        *(Candidate(rule, "the code of the paper's authors", scales=False) for rule in authors),
    ]
    yield from sorted(tried, key=lambda candidate: len(candidate.flaws))


def _plain(network: Network, boxes: Sequence[str]) -> Iterator[Candidate]:
    """This package's own rules and composites of them, with batch normalisation folded and as a layer."""
    yield GRADIENT_X_INPUT
    for batchnorm in ("fold", "own") if normed(network) else ("fold",):
        for rule in (*PLAIN, *(f"zbox:{box}" for box in boxes), *_composites(network, boxes)):
            yield Candidate(rule, batchnorm=batchnorm)
    yield Candidate(PURE_GRADIENT, hint=GRADIENT)


def usual_boxes(low: float, high: float) -> list[str]:
    """Boxes that people use and the inputs lie in; [low, high] of the inputs; and this as zennit rounds it."""
    usual = {"0:1": (0, 1), "-1:1": (-1, 1), "0:255": (0, 255)}
    held = [box for box, (lowest, highest) in usual.items() if lowest <= low and high <= highest]
    rounded = [float(np.float32(bound)) for bound in (low, high)]
    own = [f"{least!r}:{most!r}" for least, most in ((low, high), rounded) if least < most]
    return list(dict.fromkeys([*held, *own]))


def _composites(network: Network, boxes: Sequence[str]) -> Iterator[str]:
    """By first layer, convolutions and dense layers, as far as the network has them."""
    convolutional = _has(network, Convolution)
    for first, conv, linear in product(
        ("", "flat", "w2", *(f"zbox:{box}" for box in boxes)) if len(network.layers) > 1 else ("",),
        ("zplus", "gamma:0.25", "alpha_beta:2:1") if convolutional else ("",),
        ("lrp0", "epsilon:1e-6", "zplus", *(() if convolutional else ("gamma:0.25", "alpha_beta:2:1"))),
    ):
        named = [("first", first), ("conv", conv), ("linear", linear)]
        if first or (convolutional and conv != linear):
            yield ",".join(f"{selector}={rule}" for selector, rule in named if rule)


def _captum(network: Network) -> Iterator[Candidate]:
    base = _scales(network) | ({"maxpool": "winner:1e-9"} if _has(network, MaxPool) else {})
    choices = [
        ("relu", ("pass", "gradient") if _has(network, Relu) else ()),
        ("batchnorm", ("epsilon:1e-9", "even") if normed(network) else ()),
        ("add", ("proportional:1e-9", "captum", "both") if _has(network, Add) else ()),
        ("avgpool", ("epsilon:1e-9", "gradient") if _has(network, AveragePool) else ()),
    ]
    mixed = [{"conv": rule, "linear": CAPTUM_DEFAULT} for rule in FOR_CAPTUM] if _has(network, Convolution) else []
    batchnorm = "own" if normed(network) else "fold"
    for ways in _chosen(choices):
        yield _candidate({"*": CAPTUM_DEFAULT} | base | ways, "captum", batchnorm, DROPPED)
        for rules in (*({"*": rule} for rule in FOR_CAPTUM), *mixed):
            yield _candidate(rules | base | ways, "captum", batchnorm)


def _zennit(network: Network, boxes: Sequence[str]) -> Iterator[Candidate]:
    choices = [
        ("relu", ("pass", "gradient") if _has(network, Relu) else ()),
        ("reuse", ("own", "last") if _reuses(network) else ()),
        ("add", ("proportional:1e-6", "both") if _has(network, Add) else ()),
        ("avgpool", ("epsilon:1e-6", "gradient") if _has(network, AveragePool) else ()),
    ]
    named = [("zennit", {"*": rule}) for rule in (*FOR_ZENNIT, *(f"zennit.zbox:{box}" for box in boxes))]
    for name, preset in ZENNIT_PRESETS.items():
        for box in boxes if name == "EpsilonGammaBox" else [""]:
            named.append((f"zennit {name}", {key: rule.format(box=box) for key, rule in preset.items()}))
    treated: list[tuple[str, Ways]] = [("fold", {})]
    if normed(network):
        treated = [("own", {"batchnorm": "even"}), ("merged", {})]
    for (batchnorm, norm), ways in product(treated, _chosen(choices)):
        for tool, rules in named:
            yield _candidate(rules | _scales(network) | norm | ways, tool, batchnorm)
        if "relu" not in ways and batchnorm != "merged":
            keeps = EXCITATION if normed(network) else {"*": EXCITATION["*"], "relu": "gradient"}
            made = _candidate(keeps | _scales(network) | ways, "zennit ExcitationBackprop", batchnorm)
            yield replace(made, flaws=tuple(flaw for flaw in made.flaws if flaw != "relu=gradient"))


def _autolrp(network: Network, boxes: Sequence[str]) -> Iterator[Candidate]:
    base = {"batchnorm": "even"} if normed(network) else {}
    base |= {"avgpool": "gradient"} if _has(network, AveragePool) else {}
    base |= {"add": "magnitude:1e-11"} if _has(network, Add) else {}
    base |= {"scale": "even"} if _scales(network) else {}
    for rule in (*FOR_AUTOLRP, *(f"autolrp.zbox:{box}" for box in boxes)):
        made = _candidate({"*": rule} | base, "autoLRP", "own" if normed(network) else "fold")
        yield replace(made, flaws=())


def _chosen(choices: Sequence[tuple[str, tuple[str, ...]]]) -> Iterator[Ways]:
    """Every way to choose one value for each selector that has any; what is the default anyway is left out."""
    named = [[(key, value) for value in values] for key, values in choices if values]
    for picked in product(*named):
        yield {key: value for key, value in picked if value not in ("pass", "own")}


def _candidate(ways: Mapping[str, str], tool: str, batchnorm: str, hint: str = "") -> Candidate:
    text = ",".join(f"{selector}={rule}" for selector, rule in ways.items())
    entries = [*(f"{key}={value}" for key, value in ways.items()), f"batchnorm={batchnorm}"]
    flaws = tuple(entry for entry in entries if entry in FLAWS)
    return Candidate(ways["*"] if ways.keys() == {"*"} else text, tool, batchnorm, flaws, hint)


def _scales(network: Network) -> Ways:
    """captum and zennit multiply the relevance of a constant multiple by its factor, as a gradient does."""
    constants = any(isinstance(node, Scale) and node.norm is None for node in network.nodes)
    return {"scale": "gradient"} if constants else {}


def _has(network: Network, kind: type) -> bool:
    return any(isinstance(node, kind) for node in network.nodes)


def normed(network: Network) -> bool:
    """Whether it has batch normalisation."""
    return any(isinstance(node, Scale) and node.norm is not None for node in network.nodes)


def _reuses(network: Network) -> bool:
    weights = [id(node.weight) for node in network.nodes if isinstance(node, Affine | Convolution)]
    return len(set(weights)) < len(weights)


def _small(network: Network) -> bool:
    """Whether exact pseudo-inverses of all layers take no time."""
    return all(layer.kind == "linear" and layer.size * layer.width <= 400 for layer in network.layers)
