"""from_module: a network from a live torch module, in evaluation mode."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch.nn.utils.parametrize import is_parametrized

from dtdsym.errors import InputError, LoadError, UnsupportedLayer
from dtdsym.network.aten.refusals import SUPPORTED
from dtdsym.network.aten.trace import EXACT_DTYPES, Recording, Trace
from dtdsym.network.files.inert import shown
from dtdsym.network.network import Network

# The module runs the same operations on recording tensors as on plain ones: a difference beyond this share of the
# largest output means that its code tells them apart. This is no tolerance of any verdict.
GROSS = 2.0**-6
_FICKLE = (
    "the module's forward does something else at another call; remove randomness, counters and tests of a tensor's "
    "type from it"
)


def from_module(module: torch.nn.Module, example_input: torch.Tensor) -> Network:
    """The exact network that `module` is in evaluation mode, whatever its training flags say (they are left alone).

    example_input: a floating tensor (batch, ...) that the module takes; each sample is one input, and the network's
    input_shape is a sample's. Its values do not matter: the module is run on it and on random numbers of its shape, and
    both runs must perform the same operations. Supported, as module, function, method, in place and reused: Linear,
    convolutions, batch normalisation, ReLU, max and average pools, moving, slicing, padding and joining numbers of one
    sample, sums, constants times or plus them, Dropout and Identity.
    A constant is the number that torch computes with: 0.1 in a float32 module is the float32 next to it.
    Raises UnsupportedLayer, with operation, place and line, for anything else; NotExact for weights that are not
    finite floats; LoadError where the module does not run on the input; InputError for an input of another kind."""
    if not isinstance(module, torch.nn.Module):
        raise LoadError(f"from_module takes a torch.nn.Module, not a {type(module).__name__}; wrap it in a module")
    _check_input(example_input)
    _check_plain(module)
    generator = torch.Generator().manual_seed(0)
    # In the example's memory order, on which it depends where reshaping copies.
    other = example_input.detach().clone().copy_(torch.randn(example_input.shape, generator=generator))
    with _evaluating(module), torch.no_grad():
        network, plain = _lift(module, example_input)
        if not torch.isfinite(plain).all():
            raise LoadError(
                "the module gives numbers that are not finite on example_input; give one that it can compute"
            )
        again, _ = _lift(module, other)
    if network.sha256 != again.sha256:
        raise LoadError(_FICKLE)
    return replace(network, source=f"module {type(module).__name__}")


def _check_input(example: Any) -> None:
    if not isinstance(example, torch.Tensor) or example.dtype not in EXACT_DTYPES:
        what = f"tensor of {example.dtype}" if isinstance(example, torch.Tensor) else type(example).__name__
        raise InputError(f"example_input is a {what}; give one floating tensor with a leading batch dimension")
    if example.ndim < 2 or not example.numel() or type(example) not in (torch.Tensor, torch.nn.Parameter):
        raise InputError(
            f"example_input has shape {tuple(example.shape)}; give a plain tensor with a leading batch dimension, "
            "such as x[None]"
        )


def _check_plain(module: torch.nn.Module) -> None:
    for name, part in module.named_modules():
        where = f"layer {name!r} ({type(part).__name__})" if name else f"the module ({type(part).__name__})"
        if type(part).__name__ == "OptimizedModule":
            raise UnsupportedLayer(f"{where} is compiled by torch.compile; give the module that it was made from")
        if part._forward_hooks or part._forward_pre_hooks:
            raise UnsupportedLayer(f"{where} has forward hooks, which change what it computes; remove them first")
        if is_parametrized(part):
            raise UnsupportedLayer(
                f"{where} is parametrised; make it plain with torch.nn.utils.parametrize.remove_parametrizations"
            )


@contextmanager
def _evaluating(module: torch.nn.Module) -> Iterator[None]:
    """The module in evaluation mode; every part's own mode is restored afterwards."""
    modes = [(part, part.training) for part in module.modules() if hasattr(part, "training")]
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode


def _lift(module: torch.nn.Module, example: torch.Tensor) -> tuple[Network, torch.Tensor]:
    """The network that the module computes on an example, and what torch makes of it; both agree where it is finite."""
    trace = Trace(module, example)
    recorded, plain = _run(module, trace, example)
    if not isinstance(recorded, Recording):
        raise UnsupportedLayer(
            f"the module returns a {type(recorded).__name__}; expected one tensor computed from its input; {SUPPORTED}"
        )
    near = recorded.shape == plain.shape and (
        # Large weights may overflow on numbers that nobody chose: then only the operations are compared.
        not torch.isfinite(plain).all()
        or torch.allclose(recorded.plain, plain, rtol=GROSS, atol=GROSS * plain.abs().max().item())
    )
    if not near:
        raise LoadError(_FICKLE)
    return trace.network(recorded), plain


def _run(module: torch.nn.Module, trace: Trace, example: torch.Tensor) -> tuple[Any, Any]:
    """What the module makes of recording tensors and of plain ones. A refusal stands even if the module caught it."""
    try:
        recorded, plain = module(trace.input), module(example.detach().clone())
    except Exception as err:
        if trace.refusal is not None:
            raise trace.refusal from err
        reason = shown(next(iter(str(err).splitlines()), ""))
        raise LoadError(
            f"the module's forward fails on example_input ({type(err).__name__}: {reason}); give an input that it takes"
        ) from err
    if trace.refusal is not None:
        raise trace.refusal
    return recorded, plain
