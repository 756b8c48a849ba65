"""Slow rewrites of the textbook formulas, over Fractions, one neuron and one input at a time."""

from __future__ import annotations

from fractions import Fraction

import sympy


def exactly(numbers):
    """Nested sequences of numbers as nested tuples of Fractions."""
    return tuple(map(exactly, numbers)) if isinstance(numbers, (list, tuple)) else Fraction(numbers)


def dot(left, right):
    return sum((x * y for x, y in zip(left, right, strict=True)), Fraction(0))


def share(part, whole):
    """part/whole, where 0/0 and everything over 0 is lost."""
    return part / whole if whole else Fraction(0)


def positive(number):
    return max(number, Fraction(0))


def negative(number):
    return min(number, Fraction(0))


def textbook_shares(rule, parameters, w, b, a):
    """Share of neuron j's relevance that each input i receives, as the LRP and DTD papers print it."""
    z = [wi * ai for wi, ai in zip(w, a, strict=True)]
    match rule:
        case "lrp0":
            return [share(zi, sum(z) + b) for zi in z]
        case "epsilon":
            total = sum(z) + b
            return [zi / (total + parameters[0] * (1 if total >= 0 else -1)) for zi in z]
        case "zplus":
            parts = [ai * positive(wi) for wi, ai in zip(w, a, strict=True)]
        case "gamma":
            parts = [ai * (wi + parameters[0] * positive(wi)) for wi, ai in zip(w, a, strict=True)]
        case "w2":
            parts = [wi * wi for wi in w]
        case "x":
            parts = z
        case "flat":
            parts = [Fraction(wi != 0) for wi in w]
        case "zbox":
            low, high = parameters
            parts = [wi * ai - positive(wi) * low - negative(wi) * high for wi, ai in zip(w, a, strict=True)]
        case "alpha_beta":
            alpha, beta = parameters
            above, below = [positive(zi) for zi in z], [negative(zi) for zi in z]
            return [
                alpha * share(p, sum(above)) - beta * share(n, sum(below)) for p, n in zip(above, below, strict=True)
            ]
    return [share(part, sum(parts)) for part in parts]


def search_direction(rule, parameters, w, a):
    """v of the rules that have one."""
    pairs = list(zip(w, a, strict=True))
    match rule:
        case "zplus":
            return [ai if wi >= 0 else Fraction(0) for wi, ai in pairs]
        case "gamma":
            return [ai * (1 + parameters[0]) if wi >= 0 else ai for wi, ai in pairs]
        case "w2":
            return list(w)
        case "x":
            return list(a)
        case "flat":
            return [1 / wi if wi else Fraction(0) for wi in w]
        case "zbox":
            low, high = parameters
            return [ai - low if wi > 0 else ai - high if wi < 0 else Fraction(0) for wi, ai in pairs]
    raise ValueError(f"{rule} has no direction")


def line_root(w, a, v, distance):
    """a - (distance/(w.v)) v, or None where w.v = 0."""
    along = dot(w, v)
    return tuple(ai - distance / along * vi for ai, vi in zip(a, v, strict=True)) if along else None


def sympy_pseudo_inverse(weight):
    """W^+ (in, out) of exact rows, by SymPy."""
    matrix = sympy.Matrix([[sympy.Rational(w.numerator, w.denominator) for w in row] for row in exactly(weight)])
    inverse = matrix.pinv()
    return [[Fraction(int(q.p), int(q.q)) for q in inverse.row(i)] for i in range(inverse.rows)]


def messages(rule, parameters, weight, bias, a, relevance):
    """Message from each neuron j (row) to each input i."""
    if rule == "pinv":
        shift = [dot(row, relevance) for row in sympy_pseudo_inverse(weight)]
        return [[wi * si for wi, si in zip(w, shift, strict=True)] for w in weight]
    rows = zip(weight, bias, relevance, strict=True)
    return [[part * r for part in textbook_shares(rule, parameters, w, b, a)] for w, b, r in rows]


def activations(layers, x, final_relu=True):
    """Inputs of all layers of a plain network, then its output: exact tuples."""
    values = [exactly(x)]
    for number, (weight, bias) in enumerate(exactly(layers), start=1):
        z = [dot(w, values[-1]) + b for w, b in zip(weight, bias, strict=True)]
        values.append(tuple(positive(zj) for zj in z) if final_relu or number < len(layers) else tuple(z))
    return values


def train_free(layers, x, rule, parameters=(), final_relu=True):
    """R^1, R^2, ..., R^{n+1} of a plain network with one output: relevance of every layer's input, and the output."""
    values = activations(layers, x, final_relu)
    relevances = [values[-1]]
    for (weight, bias), a in zip(reversed(exactly(layers)), reversed(values[:-1]), strict=True):
        columns = zip(*messages(rule, parameters, weight, bias, a, relevances[0]), strict=True)
        relevances.insert(0, tuple(sum(column) for column in columns))
    return relevances


def definition_3(layers, x, roots, logit=0, final_relu=True):
    """R^1(x) of Definition 3, literally, with SymPy's derivatives. roots[l - 1](j, a): the root of neuron j on symbols.

    A gradient at a root is the one a little further towards a: at root + t_l (a - root), t_1 >> t_2 >> ... > 0."""
    depth = len(layers)
    sizes = [len(layers[0][0][0]), *(len(weight) for weight, _ in layers)]
    a = [sympy.symbols(f"a{level}_:{size}") for level, size in enumerate(sizes)]
    relevance = [sympy.S(0)] * sizes[-1]
    relevance[logit] = a[-1][logit]
    for level in range(depth - 1, -1, -1):
        weight, bias = exactly(layers[level][0]), exactly(layers[level][1])
        here, t = a[level], sympy.Symbol(f"t{level}")
        z = [sum(w * v for w, v in zip(row, here, strict=True)) + b for row, b in zip(weight, bias, strict=True)]
        out = [sympy.Max(0, zj) if final_relu or level < depth - 1 else zj for zj in z]
        below = [sympy.S(0)] * sizes[level]
        for j, upper in enumerate(relevance):
            composed = sympy.sympify(upper).subs(dict(zip(a[level + 1], out, strict=True)), simultaneous=True)
            root = [sympy.sympify(r) for r in roots[level](j, here)]
            beyond = {ai: r + t * (ai - r) for ai, r in zip(here, root, strict=True)}
            for i, (ai, r) in enumerate(zip(here, root, strict=True)):
                below[i] += sympy.diff(composed, ai).subs(beyond, simultaneous=True) * (ai - r)
        relevance = below
    return [_settled(entry.subs(dict(zip(a[0], x, strict=True)))) for entry in relevance]


def _settled(expression):
    """Its value for t -> 0, with every step decided by a small t first."""
    tiny = {sympy.Symbol(f"t{level}"): sympy.Rational(1, 2 ** (100 * 3**level)) for level in range(4)}
    nothing = dict.fromkeys(tiny, 0)
    steps = expression.replace(sympy.DiracDelta, lambda *_: sympy.S(0))
    steps = steps.replace(sympy.Heaviside, lambda z, *_: sympy.S(int(bool(z.subs(tiny) > 0))))
    value = steps.replace(sympy.Max, lambda *z: max(z, key=lambda part: part.subs(tiny))).subs(nothing)
    return Fraction(int(value.p), int(value.q))


def eliminated(rows: list[list[Fraction]]) -> bool:
    """Whether a point makes all rows >= 0, by Fourier-Motzkin: one variable after another, every pair of bounds."""
    if len(rows[0]) == 1:
        return all(row[0] >= 0 for row in rows)
    lower, upper, rest = ([row for row in rows if sign_of(row[0]) == s] for s in (1, -1, 0))
    pairs = [[a * -high[0] + b * low[0] for a, b in zip(low, high, strict=True)] for low in lower for high in upper]
    return eliminated([row[1:] for row in [*rest, *pairs]] or [[Fraction(0)] * (len(rows[0]) - 1)])


def sign_of(number: Fraction) -> int:
    return (number > 0) - (number < 0)
