"""Claim c4: derivatives of the softplus twin's activations, enclosed in rational intervals."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from dtdsym.checker.claims import claim
from dtdsym.checker.layers import Layer, plain_layers
from dtdsym.checker.network import Node
from dtdsym.checker.reading import Refused, index, items, keys, number, record
from dtdsym.checker.subject import View

BITS = 400
"""Bounds are rounded outwards to multiples of 2^-BITS."""
LARGEST = 1 << 12
"""Of |z|: beyond, exp is not enclosed."""
HIGHEST = 40
Interval = tuple[Fraction, Fraction]


def _c4(_: dict[str, Any], view: View, verdict: str, evidence: dict[str, Any]) -> None:
    keys(evidence, "derivatives")
    layers = plain_layers(view.network)
    bending = [layer for layer in layers if layer.rectified]
    if verdict != "proved" or not bending or bending[-1].number > HIGHEST:
        raise Refused("enclosures prove that derivatives are not zero, of up to 40 layers, one of which bends")
    stated = iter(items(evidence["derivatives"], "derivatives", len(bending)))
    live = _live(view.network.nodes)
    values: list[Interval] = [(Fraction(x, view.values[0][1]),) * 2 for x in view.values[0][0]]
    for layer in layers:
        values = [_affine(row, layer.scale, values) for row in layer.rows]
        if layer.rectified:
            _check_derivative(layer, next(stated), live[layer.output], values)
            values = [softplus(z) for z in values]


def _check_derivative(layer: Layer, stated: Any, live: set[int], values: list[Interval]) -> None:
    what = f"derivatives of layer {layer.number}"
    entry = record(stated, what)
    keys(entry, "layer", "neuron", "low", "high")
    if index(entry["layer"], None, f"{what}: layer") != layer.number:
        raise Refused(f"{what}: layer is not {layer.number}")
    neuron = index(entry["neuron"], len(layer.rows), f"{what}: neuron")
    if neuron not in live:
        raise Refused(f"{what}: no path of non-zero weights leads from an input through this neuron to the logit")
    low, high = number(entry["low"], f"{what}: low"), number(entry["high"], f"{what}: high")
    own = derivative(values[neuron], layer.number)
    if not low <= own[0] or not own[1] <= high:
        raise Refused(f"{what}: the derivative is not shown to lie between these bounds")
    if not (low > 0 or high < 0):
        raise Refused(f"{what}: the bounds do not exclude zero")


def _live(nodes: Sequence[Node]) -> dict[int, set[int]]:
    """Node of a chain -> its entries that lie on a path of non-zero weights from an input to the output."""
    reached = {0: set(range(nodes[0].size))}
    for i, node in enumerate(nodes[1:], start=1):
        before = reached[i - 1]
        reached[i] = before
        if node.kind == "Linear":
            pairs = enumerate(node.rows)
            reached[i] = {j for j, (at, ws, _) in pairs if any(w and k in before for k, w in zip(at, ws, strict=True))}
    last = len(nodes) - 1
    found = {last: reached[last]}
    for i in range(last, 0, -1):
        after = found[i]
        if nodes[i].kind == "Linear":
            rows = [nodes[i].rows[j] for j in after]
            after = {k for at, ws, _ in rows for k, w in zip(at, ws, strict=True) if w}
        found[i - 1] = after & reached[i - 1]
    return found


def _outward(low: Fraction, high: Fraction) -> Interval:
    unit = 1 << BITS
    down, up = low.numerator * unit // low.denominator, -(-high.numerator * unit // high.denominator)
    return Fraction(down, unit), Fraction(up, unit)


def _times(one: Interval, other: Interval) -> Interval:
    ends = [x * y for x in one for y in other]
    return _outward(min(ends), max(ends))


def _affine(row: Any, scale: int, values: list[Interval]) -> Interval:
    places, weights, bias = row
    low = high = Fraction(bias, scale)
    for i, weight in zip(places, weights, strict=True):
        ends = sorted(Fraction(weight, scale) * end for end in values[i])
        low, high = low + ends[0], high + ends[1]
    return _outward(low, high)


def exp(x: Fraction) -> Interval:
    """exp(x): halved until |x| <= 1/2, 80 terms of Taylor's series and a bound of the rest, squared back."""
    if abs(x) > LARGEST:
        raise Refused("a pre-activation of the softplus twin is beyond 4096")
    halvings = max(0, x.numerator.bit_length() - x.denominator.bit_length() + 2)
    small = _outward(x / 2**halvings, x / 2**halvings)
    term = total = (Fraction(1), Fraction(1))
    for k in range(1, 81):
        low, high = _times(term, small)
        term = _outward(low / k, high / k)
        total = total[0] + term[0], total[1] + term[1]
    rest = Fraction(1, 1 << BITS)  # 2 (1/2)^81 / 81! is far below it
    total = total[0] - rest, total[1] + rest
    for _ in range(halvings):
        total = _times(total, total)
    return total


def log_one_plus(y: Fraction) -> Interval:
    """log(1 + y) for 0 <= y <= 1: 2 artanh(y / (2 + y)), a series of positive terms whose ratio is at most 1/9."""
    t = y / (2 + y)
    square, power, total, k = _outward(t * t, t * t), _outward(t, t), (Fraction(0), Fraction(0)), 1
    while power[1] > Fraction(2, 1 << BITS):
        total = total[0] + power[0] / k, total[1] + power[1] / k
        power = _outward(power[0] * square[0], power[1] * square[1])
        k += 2
    return _outward(2 * total[0], 2 * (total[1] + 2 * power[1]))


def softplus(z: Interval) -> Interval:
    """log(1 + exp(z)), which grows with z: max(z, 0) + log(1 + exp(-|z|))."""
    low = log_one_plus(max(exp(-abs(z[0]))[0], Fraction(0)))[0] + max(z[0], Fraction(0))
    high = log_one_plus(min(exp(-abs(z[1]))[1], Fraction(1)))[1] + max(z[1], Fraction(0))
    return _outward(low, high)


def derivative(z: Interval, order: int) -> Interval:
    """Of order k >= 1: a polynomial in s = 1/(1 + exp(-z)), since s' = s - s^2; s grows with z."""
    low = 1 / (1 + exp(-z[0])[1])
    high = 1 / (1 + max(exp(-z[1])[0], Fraction(0)))
    coefficients = [Fraction(0), Fraction(1)]  # of s
    for _ in range(order - 1):
        slopes = [k * c for k, c in enumerate(coefficients)]
        coefficients = [a - b for a, b in zip([*slopes, Fraction(0)], [Fraction(0), *slopes], strict=True)]
    middle, radius = (low + high) / 2, (high - low) / 2
    # p(middle + r) - p(middle) is at most the sum of |p_k| ((middle + |r|)^k - middle^k).
    value = sum((c * middle**k for k, c in enumerate(coefficients)), Fraction(0))
    spread = sum((abs(c) * ((middle + radius) ** k - middle**k) for k, c in enumerate(coefficients)), Fraction(0))
    return _outward(value - spread, value + spread)


CLAIMS = {"c4": claim(_c4, of_a_rule=False)}
