"""zennit's rules, which are closures, as rules of this package: read from the modifiers that each was made with."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import torch

from dtdsym.errors import RuleError
from dtdsym.tools.answer import imported
from dtdsym.tools.reading import epsilon, number

STABILISER = 1e-6
SUPPORTED = (
    "supported are Epsilon, ZPlus, AlphaBeta, Gamma, ZBox, WSquare and Flat at linear layers and convolutions; Epsilon "
    "and Norm at pools, sums and batch normalisation; Pass at ReLUs and batch normalisation; no rule"
)


def translate(hook: Any, kind: str, place: str, dtype: torch.dtype) -> str:
    """A zennit rule at a node of some kind, as a composite's value. dtype: of the model's numbers.

    Raises RuleError, with name and place, for what has no exact form here."""
    rules = imported("zennit.rules", "zennit")
    name = type(hook).__name__
    if type(hook) is not getattr(rules, name, None):
        raise _refusal(place, f"{name}, which is not zennit's own")
    if name == "Pass" and kind in ("relu", "batchnorm"):
        return "pass" if kind == "relu" else "even"
    if name in ("Epsilon", "Norm") and kind != "relu":
        return _epsilon(hook, kind, place)
    if name not in _WEIGHTED or kind not in ("linear", "conv"):
        raise _refusal(place, f"{name}, which is no rule for {kind}")
    if _stabiliser(hook, place) != STABILISER:
        raise _refusal(place, f"{name} with the stabiliser {_stabiliser(hook, place)}, not {STABILISER}")
    biased = _biased(hook, place)
    return _WEIGHTED[name](hook, place, dtype, "" if biased else "_nobias")


def _epsilon(hook: Any, kind: str, place: str) -> str:
    size = number(_stabiliser(hook, place), f"epsilon of {place}")
    if type(hook).__name__ == "Norm" or _biased(hook, place):
        return epsilon(kind, size)
    if kind not in ("linear", "conv"):
        raise _refusal(place, f"Epsilon with zero_params at {kind}")
    return f"zennit.epsilon_nobias:{size}"


def _gamma(hook: Any, place: str, _: torch.dtype, nobias: str) -> str:
    size = number(_closed(hook.param_modifiers[0].modifier, "gamma", place), f"gamma of {place}")
    return f"zennit.gamma{nobias}:{size}"


def _alpha_beta(hook: Any, place: str, _: torch.dtype, nobias: str) -> str:
    sizes = (number(_closed(hook.reducer, name, place), f"{name} of {place}") for name in ("alpha", "beta"))
    return f"zennit.alpha_beta{nobias}:{':'.join(sizes)}"


def _zbox(hook: Any, place: str, dtype: torch.dtype, _: str) -> str:
    """Biases cancel in its denominator, so that it makes no difference whether they are kept."""
    low, high = (
        _bound(_closed(hook.input_modifiers[at], name, place), f"{name} of {place}", dtype)
        for at, name in ((1, "low"), (2, "high"))
    )
    return f"zennit.zbox:{low}:{high}"


_WEIGHTED: dict[str, Callable[[Any, str, torch.dtype, str], str]] = {
    "ZPlus": lambda hook, place, dtype, nobias: f"zennit.zplus{nobias}",
    "WSquare": lambda hook, place, dtype, nobias: f"zennit.wsquare{nobias}",
    "Flat": lambda hook, place, dtype, nobias: "zennit.flat",
    "Gamma": _gamma,
    "AlphaBeta": _alpha_beta,
    "ZBox": _zbox,
}


def _stabiliser(hook: Any, place: str) -> float:
    """epsilon of a plain stabiliser, d + epsilon sign(d). Raises RuleError for any other function."""
    function = _closed(hook.gradient_mapper, "stabilizer_fn", place)
    plain = imported("zennit.core", "zennit").Stabilizer
    if type(function) is not plain or function.clip or function.norm_scale:
        raise _refusal(place, f"{type(hook).__name__} with a stabiliser that clips, scales or is a function")
    return float(function.epsilon)


def _biased(hook: Any, place: str) -> bool:
    """Whether the rule sees the bias. Raises RuleError where it does not see the weights (zero_params)."""
    zeroed = hook.param_modifiers[0].zero_params or ()
    if "weight" in zeroed:
        raise _refusal(place, f"{type(hook).__name__} with zero_params={zeroed!r}")
    return "bias" not in zeroed


def _bound(value: Any, what: str, dtype: torch.dtype) -> str:
    """The one number that zennit makes of a bound: a float32 of a float, then of the input's type."""
    numbers = (value if isinstance(value, torch.Tensor) else torch.tensor(value)).detach().to(dtype).unique()
    if len(numbers) != 1:
        raise RuleError(f"zennit: {what} has {len(numbers)} values, such as one a channel; supported is one for all")
    return str(Fraction(numbers.double().item()))


def _closed(function: Any, name: str, place: str) -> Any:
    """A variable that a rule's function closes over."""
    try:
        return inspect.getclosurevars(function).nonlocals[name]
    except (TypeError, ValueError, KeyError) as err:
        raise _refusal(place, f"modifiers without {name}, so that they are not zennit's own") from err


def _refusal(place: str, met: str) -> RuleError:
    return RuleError(f"zennit: module {place} has {met}; {SUPPORTED}")
