"""The rules, each as a small piece of data: its search direction, or what stands in for one.

For neuron j with weights w, bias b and layer input a, R_j arriving, and a direction v with w.v != 0:
relevance root a - (R_j/(w.v)) v, hinge root a - ((w.a + b)/(w.v)) v, and (w o v)/(w.v) R_j is passed to the inputs.
Where w.v = 0 there is no root, and R_j is lost. Every function is valid in every arithmetic; only exact values,
weights, are compared with numbers.

Sources: Montavon et al. 2017, doi:10.1016/j.patcog.2016.11.008 (zplus, w2, zbox); Bach et al. 2015,
doi:10.1371/journal.pone.0130140 (lrp0, epsilon, alpha_beta, flat); Montavon et al. 2019,
doi:10.1007/978-3-030-28954-6_10 (gamma); Sixt and Landgraf 2022 (all of them as search directions).
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from dtdsym.arithmetic import Arithmetic
from dtdsym.relevance.family import Family
from dtdsym.relevance.neurons import Neurons, Shift, along
from dtdsym.relevance.parts import NEGATIVE, NONZERO, POSITIVE, SQUARE, WHOLE
from dtdsym.relevance.shares import Share
from dtdsym.relevance.state import State


def zplus(_: Arithmetic, w: Any, a: Any) -> Any:
    """a where w >= 0, else 0."""
    return a * (w >= 0)


def gamma(_: Arithmetic, w: Any, a: Any, strength: Any) -> Any:
    """a (1 + gamma) where w >= 0, else a. gamma -> 0 is `x`; gamma -> infinity is zplus where that has a root."""
    return a + a * (w >= 0) * strength


def w2(_: Arithmetic, w: Any, a: Any) -> Any:
    """w, whatever the input."""
    return w


def x(_: Arithmetic, w: Any, a: Any) -> Any:
    """a, whatever the weights."""
    return a


def flat(ops: Arithmetic, w: Any, a: Any) -> Any:
    """1/w where w != 0, else 0: R_j is spread evenly over the inputs that reach neuron j."""
    return ops.ratio(1, w)


def zbox(ops: Arithmetic, w: Any, a: Any, low: Any, high: Any) -> Any:
    """a - low where w > 0, a - high where w < 0, else 0, for inputs in [low, high]."""
    return ops.where(w > 0, a - low, ops.where(w < 0, a - high, 0))


def epsilon_shift(neurons: Neurons, share: Any, epsilon: Any) -> Shift:
    """a share/(z + epsilon sign(z)) where w != 0, else 0, with z = w.a + b and sign(0) = +1.

    1/(z + epsilon sign(z)) = sign(z)/(|z| + epsilon), and sign(z) = 1 - 2 [-z]/|z| with 0/0 = 0 needs no comparison:
    where an enclosure leaves the sign open, nothing is known.
    """
    ops, z = neurons.ops, neurons.z
    size = ops.maximum(z, -z)
    sign = 1 - 2 * ops.ratio(ops.relu(-z), size)
    step = ops.ratio(share * sign, size + epsilon)
    return Shift(_where_weighted(neurons, neurons.a * step), neurons.lift(1))


def alpha_beta_shift(neurons: Neurons, share: Any, alpha: Any, beta: Any) -> Shift:
    """alpha p share/(w.p) - beta n share/(w.n): p is a where w a > 0, else 0, and n is a where w a < 0, else 0.

    w.p sums the positive parts of w o a and w.n the negative ones, without the bias. There is no root where w.p = 0
    and either w.n or beta is 0. alpha = 1, beta = 0 is zplus for a >= 0.
    """
    ops, a, w = neurons.ops, neurons.a, neurons.w
    above, below = ops.relu(a), -ops.relu(-a)
    positive = along(neurons, ops.where(w > 0, above, ops.where(w < 0, below, 0)), share)
    negative = along(neurons, ops.where(w > 0, below, ops.where(w < 0, above, 0)), share)
    return Shift(
        positive.displacement * alpha - negative.displacement * beta,
        positive.denominator * alpha - negative.denominator * beta,
    )


def pinv_shift(neurons: Neurons, share: Any) -> Shift:
    """W^+ s for all shares s at once: one root for the whole layer, where W a + b has lost s if W has full row rank."""
    displacement = neurons.ops.total(neurons.pseudo_inverse * share.swapaxes(-1, -2))
    return Shift(displacement[..., None, :], neurons.lift(1))


def lrp0_shift(neurons: Neurons, _: Any) -> Shift:
    """All of a: the root is 0, whatever arrives."""
    return Shift(neurons.a, neurons.lift(1), neurons.lift(0))


def zplus_shares(state: State) -> list[Share]:
    """The positive weights' parts."""
    return [Share(((state.a, POSITIVE),))]


def gamma_shares(state: State, strength: Any) -> list[Share]:
    """All weights' parts, the positive ones' more so."""
    return [Share(((state.a + state.a * strength, POSITIVE), (state.a, NEGATIVE)))]


def w2_shares(_: State) -> list[Share]:
    """Squares of the weights."""
    return [Share(((1, SQUARE),))]


def x_shares(state: State) -> list[Share]:
    """In proportion to w o a, without the bias."""
    return [Share(((state.a, WHOLE),))]


def flat_shares(_: State) -> list[Share]:
    """Evenly over the inputs that reach the neuron."""
    return [Share(((1, NONZERO),))]


def zbox_shares(state: State, low: Any, high: Any) -> list[Share]:
    """Parts of w o a above those at the lowest possible input."""
    return [Share(((state.a - low, POSITIVE), (state.a - high, NEGATIVE)))]


def epsilon_shares(state: State, epsilon: Any) -> list[Share]:
    """In proportion to w o a; the bias and epsilon stand in the denominator."""
    return [Share(((state.a, WHOLE),), bias=state.bias, epsilon=epsilon, denominator=state.z)]


def lrp0_shares(state: State) -> list[Share]:
    """In proportion to w o a; the bias stands in the denominator."""
    return [Share(((state.a, WHOLE),), bias=state.bias, denominator=state.z)]


def alpha_beta_shares(state: State, alpha: Any, beta: Any) -> list[Share]:
    """The positive products' shares times alpha, less the negative ones' times beta."""
    above, below = state.positive(state.a), state.negative(state.a)
    return [
        Share(((above, POSITIVE), (below, NEGATIVE)), alpha),
        Share(((above, NEGATIVE), (below, POSITIVE)), -beta),
    ]


def _where_weighted(neurons: Neurons, value: Any) -> Any:
    """value where w != 0, else 0."""
    return value * ((neurons.w > 0) | (neurons.w < 0))


def not_negative(parameter: Fraction) -> bool:
    """gamma's law."""
    return parameter >= 0


def is_positive(parameter: Fraction) -> bool:
    """epsilon's law."""
    return parameter > 0


def differ_by_one(alpha: Fraction, beta: Fraction) -> bool:
    """The law of alpha and beta: what the one adds, the other takes away."""
    return alpha - beta == 1 and alpha >= 1


def in_order(low: Fraction, high: Fraction) -> bool:
    """The law of a box."""
    return low < high


FAMILIES = (
    Family("lrp0", "the root 0; passes on (w a)/(w.a + b), gradient x input", shift=lrp0_shift, shares=lrp0_shares),
    Family(
        "epsilon",
        "passes on (w a)/(z + epsilon sign(z)), z = w.a + b with its bias",
        shift=epsilon_shift,
        shares=epsilon_shares,
        parameters=("epsilon",),
        defaults=(Fraction(1, 10**6),),
        law=is_positive,
        takes="epsilon > 0, for example epsilon:1e-6",
        hinge=False,
    ),
    Family(
        "gamma",
        "v = a (1 + gamma) where w >= 0, else a",
        direction=gamma,
        shares=gamma_shares,
        parameters=("gamma",),
        defaults=(Fraction(1),),
        law=not_negative,
        takes="gamma >= 0, for example gamma:1",
    ),
    Family("zplus", "v = a where w >= 0, else 0", direction=zplus, shares=zplus_shares),
    Family(
        "alpha_beta",
        "passes on alpha times the positive shares minus beta times the negative ones, without the bias",
        shift=alpha_beta_shift,
        shares=alpha_beta_shares,
        parameters=("alpha", "beta"),
        defaults=(Fraction(2), Fraction(1)),
        law=differ_by_one,
        takes="ALPHA:BETA with ALPHA - BETA = 1 and ALPHA >= 1, for example alpha_beta:2:1",
        hinge=False,
    ),
    Family("w2", "v = w", direction=w2, shares=w2_shares),
    Family("x", "v = a", direction=x, shares=x_shares),
    Family("flat", "v = 1/w where w != 0, else 0", direction=flat, shares=flat_shares),
    Family(
        "zbox",
        "v = a - LOW where w > 0, a - HIGH where w < 0, else 0",
        direction=zbox,
        shares=zbox_shares,
        parameters=("low", "high"),
        law=in_order,
        takes="the bounds LOW:HIGH of the inputs with LOW < HIGH, for example zbox:0:1",
    ),
    Family("pinv", "one root for the whole layer, by the pseudo-inverse of its weights", shift=pinv_shift, whole=True),
)
