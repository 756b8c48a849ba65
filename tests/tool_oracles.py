"""What captum, zennit and autoLRP compute under a rule's name: slow, short formulas on dense float64 matrices.

Nothing here is the tools' code, and nothing is dtdsym's: every affine layer is written out as a matrix w (out, in), a
bias b (out,) and its reach, which entries of w stand for a weight at all (a convolution's padding is no input).
A rule says what part of each R_j neuron j passes to each input i, message_ij = n_ij R_j / (d_j + e sign(d_j)) with
sign(0) = +1; it differs from another one in the parts n, the denominator d (above all, in what bias stands in it) and
the stabiliser e.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

CAPTUM_STABILISER = 1e-9
ZENNIT_STABILISER = 1e-6
AUTOLRP_STABILISER = 1e-11


@dataclass(frozen=True, eq=False)
class Dense:
    """One affine layer, written out: w (out, in), b (out,), reach (out, in)."""

    w: np.ndarray
    b: np.ndarray
    reach: np.ndarray


Rule = Callable[[Dense, np.ndarray, np.ndarray], np.ndarray]
"""(layer, its input a (in,), R (out,)) to relevance (in,)."""

Treatment = Callable[[torch.nn.Module, torch.Tensor, torch.Tensor], torch.Tensor]
"""(module, its input, its output's relevance) to its input's relevance; one sample, in the module's shapes."""


def written_out(module: torch.nn.Module, shape: Sequence[int]) -> Dense:
    """The matrix of an affine module on inputs of this shape, column by column."""
    basis = torch.eye(int(np.prod(shape)), dtype=torch.float64).reshape(-1, *shape)
    with torch.no_grad():
        b = module(torch.zeros(1, *shape, dtype=torch.float64)).flatten()
        w = (module(basis).flatten(1) - b).T
        reach = _with_unit_weights(module, basis) if hasattr(module, "weight") else w != 0
    return Dense(w.numpy(), b.numpy(), reach.numpy())


def _with_unit_weights(module: torch.nn.Module, basis: torch.Tensor) -> torch.Tensor:
    """Where inputs reach outputs, also through a weight that is 0."""
    parameters = {name: torch.ones_like(value) for name, value in module.named_parameters()}
    zero = torch.func.functional_call(module, parameters, (torch.zeros_like(basis[:1]),))
    return (torch.func.functional_call(module, parameters, (basis,)) - zero).flatten(1).T != 0


def passed_on(n: np.ndarray, d: np.ndarray, e: float, relevance: np.ndarray) -> np.ndarray:
    """sum_j n_ij R_j / (d_j + e sign(d_j)). n: (out, in); d, relevance: (out,)."""
    stabilised = np.where(d >= 0, d + e, d - e)
    return n.T @ (relevance / stabilised)


def positive(value: np.ndarray) -> np.ndarray:
    """max(value, 0)."""
    return np.maximum(value, 0.0)


def negative(value: np.ndarray) -> np.ndarray:
    """min(value, 0)."""
    return np.minimum(value, 0.0)


def without_bias(rule: Rule) -> Rule:
    """The same rule on the same layer, had it no bias (captum's set_bias_to_zero, zennit's zero_params)."""
    return lambda layer, a, relevance: rule(Dense(layer.w, 0 * layer.b, layer.reach), a, relevance)


def epsilon(e: float) -> Rule:
    """Everyone's epsilon rule: parts a w over w.a + b."""

    def rule(layer: Dense, a: np.ndarray, relevance: np.ndarray) -> np.ndarray:
        return passed_on(layer.w * a, layer.w @ a + layer.b, e, relevance)

    return rule


def captum_gamma(gamma: float, e: float = CAPTUM_STABILISER) -> Rule:
    """Parts a (w + gamma [w]), whatever a's sign, over their sum and the unchanged bias."""

    def rule(layer: Dense, a: np.ndarray, relevance: np.ndarray) -> np.ndarray:
        n = (layer.w + gamma * positive(layer.w)) * a
        return passed_on(n, n.sum(1) + layer.b, e, relevance)

    return rule


def captum_alpha1_beta0(layer: Dense, a: np.ndarray, relevance: np.ndarray) -> np.ndarray:
    """Parts a [w], whatever a's sign, over their sum and the whole bias, a negative one too."""
    n = positive(layer.w) * a
    return passed_on(n, n.sum(1) + layer.b, CAPTUM_STABILISER, relevance)


def zennit_alpha_beta(alpha: float, beta: float, e: float = ZENNIT_STABILISER) -> Rule:
    """alpha times parts [w a] over their sum and [b], minus beta times the same of the negative parts and bias."""

    def rule(layer: Dense, a: np.ndarray, relevance: np.ndarray) -> np.ndarray:
        above, below = positive(layer.w * a), negative(layer.w * a)
        gained = passed_on(above, above.sum(1) + positive(layer.b), e, relevance)
        return alpha * gained - beta * passed_on(below, below.sum(1) + negative(layer.b), e, relevance)

    return rule


zennit_zplus = zennit_alpha_beta(1, 0)
"""Parts [w a] over their sum and the positive bias [b]."""


def zennit_gamma(gamma: float, e: float = ZENNIT_STABILISER) -> Rule:
    """Contributions of the sign of z = w.a + b, and a bias of this sign, count 1 + gamma times; z = 0 passes nothing.

    The sign of z is taken with the bias even where the rule is told to leave the bias out: see `zennit_gamma_no_bias`.
    """

    def rule(layer: Dense, a: np.ndarray, relevance: np.ndarray) -> np.ndarray:
        return _signed_gamma(gamma, e, layer, layer.b, a, relevance)

    return rule


def zennit_gamma_no_bias(gamma: float) -> Rule:
    """zennit's gamma rule with zero_params="bias": no bias in a denominator, yet the true bias in the sign of z."""

    def rule(layer: Dense, a: np.ndarray, relevance: np.ndarray) -> np.ndarray:
        return _signed_gamma(gamma, ZENNIT_STABILISER, layer, 0 * layer.b, a, relevance)

    return rule


def _signed_gamma(
    gamma: float, e: float, layer: Dense, b: np.ndarray, a: np.ndarray, relevance: np.ndarray
) -> np.ndarray:
    parts, z = layer.w * a, layer.w @ a + layer.b
    total = np.zeros(len(a))
    for sign, of_sign in ((1, positive), (-1, negative)):
        n = parts + gamma * of_sign(parts)
        d = n.sum(1) + b + gamma * of_sign(b)
        total += passed_on(n, d, e, relevance * (np.sign(z) == sign))
    return total


def zennit_zbox(low: float, high: float, e: float = ZENNIT_STABILISER) -> Rule:
    """Parts a w - low [w] - high min(w, 0) over their sum: the bias cancels."""

    def rule(layer: Dense, a: np.ndarray, relevance: np.ndarray) -> np.ndarray:
        n = layer.w * a - low * positive(layer.w) - high * negative(layer.w)
        return passed_on(n, n.sum(1), e, relevance)

    return rule


def zennit_wsquare(layer: Dense, a: np.ndarray, relevance: np.ndarray) -> np.ndarray:
    """Parts w^2 over their sum and b^2."""
    n = layer.w**2
    return passed_on(n, n.sum(1) + layer.b**2, ZENNIT_STABILISER, relevance)


def zennit_flat(layer: Dense, a: np.ndarray, relevance: np.ndarray) -> np.ndarray:
    """Parts 1 wherever an input reaches, also through a weight that is 0."""
    n = layer.reach.astype(np.float64)
    return passed_on(n, n.sum(1), ZENNIT_STABILISER, relevance)


def autolrp(rule: Rule, e: float = AUTOLRP_STABILISER) -> Rule:
    """The bias keeps its share |b|/(|w.a| + |b|) of R_j; the rest goes on by a rule that sees no bias."""

    def shared(layer: Dense, a: np.ndarray, relevance: np.ndarray) -> np.ndarray:
        z = np.abs(layer.w @ a)
        kept = np.where(layer.b == 0, relevance, relevance * z / (z + np.abs(layer.b) + e))
        return without_bias(rule)(layer, a, kept)

    return shared


def algorithm2_zero(layer: Dense, a: np.ndarray, relevance: np.ndarray) -> np.ndarray:
    """Algorithm 2 with the root 0, as the paper's authors coded it: a w of every neuron, whatever R_j arrives."""
    return layer.w.sum(0) * a


def algorithm2_pinv(layer: Dense, a: np.ndarray, relevance: np.ndarray) -> np.ndarray:
    """The root W^+ R of the authors' code, whose relevance is taken with neuron 0's weights only."""
    return layer.w[0] * (a - np.linalg.pinv(layer.w) @ relevance)


def affine(rule: Rule) -> Treatment:
    """A rule, on any module that is an affine function of its input."""

    def treat(module: torch.nn.Module, a: torch.Tensor, relevance: torch.Tensor) -> torch.Tensor:
        layer = written_out(module, a.shape)
        found = rule(layer, a.numpy().ravel(), relevance.numpy().ravel())
        return torch.from_numpy(found).reshape(a.shape)

    return treat


def unchanged(module: torch.nn.Module, a: torch.Tensor, relevance: torch.Tensor) -> torch.Tensor:
    """Relevance passes as it is: shapes may change, not the number of values."""
    return relevance.reshape(a.shape)


def gradient(module: torch.nn.Module, a: torch.Tensor, relevance: torch.Tensor) -> torch.Tensor:
    """The relevance of the output, pulled back as a gradient: of a ReLU where z > 0, of a pool to its winner."""
    a = a[None].clone().requires_grad_()
    (found,) = torch.autograd.grad(module(a), a, relevance[None])
    return found[0]


def stabilised_winner(module: torch.nn.Module, a: torch.Tensor, relevance: torch.Tensor) -> torch.Tensor:
    """captum's max pool: the epsilon rule, a/(a + e sign(a)) R to the winner a."""
    winner = module(a[None])[0]
    share = winner / torch.where(winner >= 0, winner + CAPTUM_STABILISER, winner - CAPTUM_STABILISER)
    return gradient(module, a, relevance * share)


def relevance_of(
    modules: Sequence[torch.nn.Module], treatments: Sequence[Treatment], x: torch.Tensor, target: int
) -> torch.Tensor:
    """The input relevance of logit `target` through a chain of modules, for one x without its batch dimension."""
    inputs, value = [], x[None]
    with torch.no_grad():
        for module in modules:
            inputs.append(value[0])
            value = module(value)
    relevance = torch.zeros_like(value[0])
    relevance[target] = value[0, target]
    for module, treat, a in zip(reversed(modules), reversed(treatments), reversed(inputs), strict=True):
        relevance = treat(module, a, relevance)
    return relevance
