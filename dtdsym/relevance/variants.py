"""Named variants: what tools compute under a rule's name, so that a user can audit the explanation that they have.

TOOL.RULE, read off captum 0.9, zennit 0.5, autoLRP 0.2 and the code published with Sixt and Landgraf 2022 ("authors").
A variant says what one layer does; how a tool passes additions, pools and batch normalisation is a composite's matter.
Their roots are those that their messages imply, a - message/w where w != 0. Stabilisers add epsilon sign(d) to a
denominator d, sign(0) = +1.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

from dtdsym.relevance.family import Family
from dtdsym.relevance.neurons import Neurons, Shift
from dtdsym.relevance.parts import NEGATIVE, ONES, POSITIVE, SQUARE, WHOLE
from dtdsym.relevance.rules import differ_by_one, in_order, is_positive, not_negative
from dtdsym.relevance.shares import Share, Shares
from dtdsym.relevance.state import State

CAPTUM, ZENNIT, AUTOLRP = Fraction(1, 10**9), Fraction(1, 10**6), Fraction(1, 10**11)


def captum_gamma(state: State, strength: Any) -> list[Share]:
    """gamma with the whole bias in the denominator."""
    terms = ((state.a + state.a * strength, POSITIVE), (state.a, NEGATIVE))
    return [Share(terms, bias=state.bias, epsilon=state.lift(CAPTUM))]


def captum_gamma_nobias(state: State, strength: Any) -> list[Share]:
    """The same with set_bias_to_zero=True."""
    terms = ((state.a + state.a * strength, POSITIVE), (state.a, NEGATIVE))
    return [Share(terms, epsilon=state.lift(CAPTUM))]


def captum_alpha1_beta0(state: State) -> list[Share]:
    """The positive weights' parts; the bias, negative ones too, stays in the denominator."""
    return [Share(((state.a, POSITIVE),), bias=state.bias, epsilon=state.lift(CAPTUM))]


def captum_alpha1_beta0_nobias(state: State) -> list[Share]:
    """The same with set_bias_to_zero=True."""
    return [Share(((state.a, POSITIVE),), epsilon=state.lift(CAPTUM))]


def zennit_epsilon_nobias(state: State, epsilon: Any) -> list[Share]:
    """In proportion to w o a, without the bias; epsilon stands in the denominator."""
    return [Share(((state.a, WHOLE),), epsilon=epsilon)]


def zennit_zplus(state: State) -> list[Share]:
    """Positive products, with positive biases in the denominator."""
    above, below = state.positive(state.a), state.negative(state.a)
    terms = ((above, POSITIVE), (below, NEGATIVE))
    return [Share(terms, bias=state.positive(state.bias), epsilon=state.lift(ZENNIT))]


def zennit_alpha_beta(state: State, alpha: Any, beta: Any) -> list[Share]:
    """Positive products with positive biases, less negative ones with negative biases."""
    above, below = state.positive(state.a), state.negative(state.a)
    epsilon = state.lift(ZENNIT)
    return [
        Share(((above, POSITIVE), (below, NEGATIVE)), alpha, state.positive(state.bias), epsilon),
        Share(((above, NEGATIVE), (below, POSITIVE)), -beta, state.negative(state.bias), epsilon),
    ]


def zennit_gamma(state: State, strength: Any) -> list[Share]:
    """Where z > 0 the positive products are stressed, where z < 0 the negative ones; z = 0 passes nothing."""
    return _signed_gamma(state, strength, state.z)


def _signed_gamma(state: State, strength: Any, z: Any) -> list[Share]:
    ops, bias = state.ops, state.bias
    above, below = state.positive(state.a), state.negative(state.a)
    more = 1 + strength
    return [
        Share(
            ((above * more, POSITIVE), (above, NEGATIVE), (below * more, NEGATIVE), (below, POSITIVE)),
            ops.ratio(ops.relu(z), z),
            bias + state.positive(bias) * strength,
            state.lift(ZENNIT),
        ),
        Share(
            ((above * more, NEGATIVE), (above, POSITIVE), (below * more, POSITIVE), (below, NEGATIVE)),
            ops.ratio(ops.relu(-z), -z),
            bias + state.negative(bias) * strength,
            state.lift(ZENNIT),
        ),
    ]


def zennit_zbox(state: State, low: Any, high: Any) -> list[Share]:
    """zbox with a stabiliser."""
    return [Share(((state.a - low, POSITIVE), (state.a - high, NEGATIVE)), epsilon=state.lift(ZENNIT))]


def zennit_wsquare(state: State) -> list[Share]:
    """Squares of the weights, and of the bias."""
    return [Share(((1, SQUARE),), bias=state.bias * state.bias, epsilon=state.lift(ZENNIT))]


def zennit_flat(state: State) -> list[Share]:
    """Evenly over all inputs of the field, those of weight 0 included."""
    return [Share(((1, ONES),), epsilon=state.lift(ZENNIT))]


def without_bias(shares: Shares, state: State, *parameters: Any) -> list[Share]:
    """A rule that sees no bias, but for the sign of z (zennit's zero_params="bias")."""
    return [replace(share, bias=None) for share in shares(state, *parameters)]


def even(_: State) -> list[Share]:
    """Evenly over all inputs of the field, without a stabiliser: unchanged through batch normalisation."""
    return [Share(((1, ONES),))]


def gradient(_: State) -> list[Share]:
    """w R_j, without the input: what tools do to a layer that has no rule."""
    return [Share(((1, WHOLE),), undivided=True)]


def autolrp_lrp0(state: State) -> list[Share]:
    """The bias first takes its share |b| / (|w.a| + |b|), then w o a / w.a."""
    product = state.z - state.bias
    return [Share(((state.a, WHOLE),), _beside_bias(state, product), epsilon=state.lift(AUTOLRP), denominator=product)]


def autolrp_zplus(state: State) -> list[Share]:
    """The bias first takes the same share, then positive products alone."""
    above, below = state.positive(state.a), state.negative(state.a)
    share = _beside_bias(state, state.z - state.bias)
    return [Share(((above, POSITIVE), (below, NEGATIVE)), share, epsilon=state.lift(AUTOLRP))]


def autolrp(shares: Shares, state: State, *parameters: Any) -> list[Share]:
    """The bias first takes the same share, then a rule of zennit's or captum's form that sees no bias."""
    share, epsilon = _beside_bias(state, state.z - state.bias), state.lift(AUTOLRP)
    return [
        replace(made, coefficient=made.coefficient * share, bias=None, epsilon=epsilon)
        for made in shares(state, *parameters)
    ]


def autolrp_gamma(state: State, strength: Any) -> list[Share]:
    """zennit's gamma with the sign of w.a, without the bias."""
    return _signed_gamma(state, strength, state.z - state.bias)


def _beside_bias(state: State, product: Any) -> Any:
    """|w.a| / (|w.a| + |b| + epsilon); 1 in a layer without biases, which is not split."""
    ops = state.ops
    if not state.layer.biased:
        return 1
    size = ops.maximum(product, -product)
    return ops.ratio(size, size + ops.maximum(state.bias, -state.bias) + state.lift(AUTOLRP))


def authors_lrp0(state: State) -> list[Share]:
    """w o a from every neuron, whatever relevance arrives."""
    return [Share(((state.a, WHOLE),), fixed=1)]


def authors_pinv_shift(neurons: Neurons, share: Any) -> Shift:
    """The root W^+ s itself, whose pre-activation is s + b."""
    root = neurons.ops.total(neurons.pseudo_inverse * share.swapaxes(-1, -2))[..., None, :]
    return Shift(neurons.a - root, neurons.lift(1), root)


def authors_pinv_messages(neurons: Neurons) -> Any:
    """w o (a - root) from the first neuron only."""
    first = (np.arange(neurons.layer.size) == 0)[:, None]
    moved = neurons.w * authors_pinv_shift(neurons, neurons.relevance).displacement
    return neurons.ops.where(first, moved, 0)


def _variant(name: str, doc: str, shares: Any, **more: Any) -> Family:
    return Family(name, doc, shares=shares, hinge=False, **more)


def _alpha_beta(name: str, doc: str, shares: Any, **more: Any) -> Family:
    takes = f"ALPHA:BETA with ALPHA - BETA = 1 and ALPHA >= 1, for example {name}:2:1"
    names, defaults = ("alpha", "beta"), (Fraction(2), Fraction(1))
    return _variant(name, doc, shares, parameters=names, defaults=defaults, law=differ_by_one, takes=takes, **more)


def _zbox(name: str, doc: str, shares: Any, **more: Any) -> Family:
    takes = f"the bounds LOW:HIGH of the inputs with LOW < HIGH, for example {name}:0:1"
    return _variant(name, doc, shares, parameters=("low", "high"), law=in_order, takes=takes, **more)


def _gamma(name: str, doc: str, shares: Any, **more: Any) -> Family:
    takes = f"gamma >= 0, for example {name}:0.25"
    defaults = (Fraction(1, 4),)
    return _variant(name, doc, shares, parameters=("gamma",), law=not_negative, defaults=defaults, takes=takes, **more)


VARIANTS = (
    _gamma("captum.gamma", "captum's GammaRule: gamma with the bias in the denominator", captum_gamma),
    _gamma("captum.gamma_nobias", "captum's GammaRule with set_bias_to_zero", captum_gamma_nobias),
    _variant(
        "captum.alpha1_beta0",
        "captum's Alpha1_Beta0_Rule: zplus with the bias, negative ones too, in the denominator",
        captum_alpha1_beta0,
    ),
    _variant(
        "captum.alpha1_beta0_nobias", "captum's Alpha1_Beta0_Rule with set_bias_to_zero", captum_alpha1_beta0_nobias
    ),
    _variant(
        "zennit.epsilon_nobias",
        'zennit\'s Epsilon with zero_params="bias"',
        zennit_epsilon_nobias,
        parameters=("epsilon",),
        defaults=(ZENNIT,),
        law=is_positive,
        takes="epsilon > 0, for example zennit.epsilon_nobias:1e-6",
    ),
    _variant("zennit.zplus", "zennit's ZPlus: positive products, and positive biases", zennit_zplus),
    _variant("zennit.zplus_nobias", 'the same with zero_params="bias"', partial(without_bias, zennit_zplus)),
    _alpha_beta("zennit.alpha_beta", "zennit's AlphaBeta: products with the bias of their sign", zennit_alpha_beta),
    _alpha_beta(
        "zennit.alpha_beta_nobias", 'the same with zero_params="bias"', partial(without_bias, zennit_alpha_beta)
    ),
    _gamma("zennit.gamma", "zennit's Gamma: by the sign of z, with biases", zennit_gamma, remainder="dead"),
    _gamma(
        "zennit.gamma_nobias",
        'the same with zero_params="bias"',
        partial(without_bias, zennit_gamma),
        remainder="dead",
    ),
    _zbox("zennit.zbox", "zennit's ZBox: zbox with a stabiliser", zennit_zbox),
    _variant("zennit.wsquare", "zennit's WSquare: w2 with the squared bias", zennit_wsquare),
    _variant("zennit.wsquare_nobias", 'the same with zero_params="bias"', partial(without_bias, zennit_wsquare)),
    _variant("zennit.flat", "zennit's Flat: evenly over all inputs of the field", zennit_flat),
    _variant(
        "autolrp.lrp0",
        "autoLRP's rule 0: hidden biases take a share of their size",
        autolrp_lrp0,
        remainder="bias",
    ),
    _variant(
        "autolrp.zplus",
        "autoLRP's z+ rule: hidden biases take a share of their size",
        autolrp_zplus,
        remainder="bias",
    ),
    _alpha_beta(
        "autolrp.alpha_beta",
        "autoLRP's alpha-beta rule, likewise",
        partial(autolrp, zennit_alpha_beta),
        remainder="bias",
    ),
    _gamma(
        "autolrp.gamma",
        "autoLRP's gamma rule, by the sign of w.a, likewise",
        partial(autolrp, autolrp_gamma),
        remainder="bias",
    ),
    _gamma(
        "autolrp.gamma_montavon",
        "autoLRP's gamma_montavon rule, likewise",
        partial(autolrp, captum_gamma),
        remainder="bias",
    ),
    _zbox("autolrp.zbox", "autoLRP's zbox rule, likewise", partial(autolrp, zennit_zbox), remainder="bias"),
    _variant("even", "evenly over all inputs of the field; batch normalisation passes relevance unchanged", even),
    _variant("gradient", "no rule at all: the gradient of the layer, w R, without its input", gradient),
    _variant(
        "authors.lrp0",
        "Algorithm 2's rule 0 as the paper's authors coded it: w o a from every neuron",
        authors_lrp0,
    ),
    Family(
        "authors.pinv",
        "the pinv root as the paper's authors coded it: W^+ R, passed down by the first neuron",
        shift=authors_pinv_shift,
        messages=authors_pinv_messages,
        whole=True,
        hinge=False,
    ),
)
