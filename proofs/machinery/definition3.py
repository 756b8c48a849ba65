"""Definition 3 on symbols, literally: R^{l+1}_j o f_l is differentiated, and the root is put in.

A ReLU is a mask: m_k is 1 where neuron k is active and 0 where it is not, so its derivative is 0 off the hinges. Masks
are symbols, and so all activation patterns are covered at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import sympy

Vector = tuple[sympy.Expr, ...]
Function = Callable[[Vector], Vector]
Roots = Callable[[int, Vector], Vector]
"""The root a~^(j)(a) of neuron j at the layer's input a."""


def vector(name: str, size: int) -> Vector:
    """Symbols name1, name2, ..."""
    return tuple(sympy.symbols(f"{name}1:{size + 1}"))


def matrix(name: str, rows: int, columns: int) -> sympy.Matrix:
    """Symbols name11, name12, ..."""
    return sympy.Matrix(rows, columns, lambda i, k: sympy.Symbol(f"{name}{i + 1}{k + 1}"))


def column(entries: Sequence[Any]) -> sympy.Matrix:
    """A column of matrix notation."""
    return sympy.Matrix(len(entries), 1, list(entries))


def unit(size: int, place: int) -> sympy.Matrix:
    """The column e_place, counted from 0."""
    return column([int(k == place) for k in range(size)])


class Smooth(sympy.Function):
    """An unknown smooth function or one of its partial derivatives: Smooth(name, orders..., arguments...)."""

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        """The derivative by an argument: its order is one higher."""
        args = list(self.args)
        args[argindex - 1 - len(args) // 2] += 1
        return self.func(*args)

    def _sympystr(self, printer: Any) -> str:
        size = len(self.args) // 2
        orders, arguments = self.args[1 : size + 1], ", ".join(map(printer._print, self.args[size + 1 :]))
        marks = "".join(f"_{k}" * int(order) for k, order in enumerate(orders, start=1))
        return f"{self.args[0]}{('[' + marks[1:] + ']') if marks else ''}({arguments})"

    def _latex(self, printer: Any, exp: str = "") -> str:
        size = len(self.args) // 2
        orders = "".join(f"{k}" * int(order) for k, order in enumerate(self.args[1 : size + 1], start=1))
        arguments = ", ".join(map(printer._print, self.args[size + 1 :]))
        name = rf"\mathrm{{{str(self.args[0]).replace('_', '.')}}}_{{{orders}}}\left({arguments}\right)"
        return rf"{{{name}}}^{{{exp}}}" if exp else name


def smooth(name: str, a: Vector) -> sympy.Expr:
    """An unknown smooth function of all entries of a."""
    return Smooth(sympy.Symbol(name), *(sympy.Integer(0) for _ in a), *a)


def any_roots(l: int) -> Roots:
    """Roots that are unknown smooth functions of the layer's input, others for each neuron j."""
    return lambda j, a: tuple(smooth(f"r{l}_{j + 1}_{k + 1}", a) for k in range(len(a)))


@dataclass(frozen=True, eq=False)
class Layer:
    """f(a) = m o (W a + b). weight (out, in); bias and masks (out,); masks are 1 for a layer without a ReLU."""

    weight: sympy.Matrix
    bias: Vector
    masks: Vector

    @property
    def width(self) -> int:
        """d_l."""
        return int(self.weight.shape[1])

    @property
    def size(self) -> int:
        """d_{l+1}."""
        return int(self.weight.shape[0])

    @property
    def jacobian(self) -> sympy.Matrix:
        """(out, in), on the pattern of the masks."""
        return sympy.diag(*self.masks) * self.weight

    def preactivation(self, a: Vector) -> Vector:
        """W a + b."""
        return tuple(self.weight * column(a) + column(self.bias))

    def __call__(self, a: Vector) -> Vector:
        """f(a)."""
        return tuple(m * z for m, z in zip(self.masks, self.preactivation(a), strict=True))


def network(*sizes: int) -> list[Layer]:
    """Layers d_1 -> d_2 -> ... of symbols w1_11, b1_1, m1_1 and so on, the last one with masks too."""
    shapes = enumerate(pairwise(sizes), start=1)
    return [
        Layer(matrix(f"w{l}_", out, wide), vector(f"b{l}_", out), vector(f"m{l}_", out)) for l, (wide, out) in shapes
    ]


def composed(layers: Sequence[Function], a: Vector) -> Vector:
    """f_n(... f_1(a))."""
    for layer in layers:
        a = layer(a)
    return a


def slopes(values: Sequence[sympy.Expr], a: Vector) -> sympy.Matrix:
    """The Jacobian (values, a) by differentiation."""
    return sympy.Matrix(len(values), len(a), lambda i, k: sympy.diff(values[i], a[k]))


def gradient(value: sympy.Expr, a: Vector) -> sympy.Matrix:
    """The column of derivatives."""
    return slopes([value], a).T


def constant_roots(l: int, width: int) -> Roots:
    """a~^(j) = c^(j), symbols for each neuron j."""
    return lambda j, a: vector(f"c{l}_{j + 1}_", width)


def one_root(l: int, width: int) -> Roots:
    """a~ = c, the same symbols for all neurons."""
    return lambda j, a: vector(f"c{l}_", width)


def affine_roots(l: int, width: int) -> Roots:
    """a~^(j)(a) = A^(j) a + c^(j), symbols for each neuron j."""
    return lambda j, a: tuple(
        matrix(f"A{l}_{j + 1}_", width, width) * column(a) + column(vector(f"c{l}_{j + 1}_", width))
    )


def hinge_roots(layer: Layer, direction: Callable[[Vector, Vector], Vector]) -> Roots:
    """a - ((w.a + b)/(w.v)) v for each neuron, with v = direction(w, a)."""

    def root(j: int, a: Vector) -> Vector:
        w = tuple(layer.weight.row(j))
        v = direction(w, a)
        t = layer.preactivation(a)[j] / sympy.Add(*(wi * vi for wi, vi in zip(w, v, strict=True)))
        return tuple(ai - t * vi for ai, vi in zip(a, v, strict=True))

    return root


def base_case(size: int, logit: int = 0) -> Function:
    """R^{n+1}(a) = a_xi e_xi."""
    return lambda a: tuple(entry if k == logit else sympy.Integer(0) for k, entry in enumerate(a[:size]))


def recursive_step(upper: Function, layer: Any, roots: Roots) -> Function:
    """R^l by equation 8 of R^{l+1} = upper: sum_j grad(R^{l+1}_j o f_l)(a~^(j)(a)) o (a - a~^(j)(a))."""
    variable = tuple(sympy.Dummy(f"a{k}") for k in range(layer.width))
    jacobian = slopes(upper(layer(variable)), variable)

    def relevance(a: Vector) -> Vector:
        total = [sympy.Integer(0)] * len(a)
        for j in range(jacobian.rows):
            root = roots(j, a)
            put = dict(zip(variable, root, strict=True))
            for i, (ai, ri) in enumerate(zip(a, root, strict=True)):
                total[i] += jacobian[j, i].xreplace(put) * (ai - ri)
        return tuple(total)

    return relevance


def definition3(layers: Sequence[Any], roots: Sequence[Roots], logit: int = 0) -> list[Function]:
    """[R^1, ..., R^{n+1}], each a function of its layer's input. roots[l - 1]: of layer l."""
    functions = [base_case(layers[-1].size, logit)]
    for layer, root in zip(reversed(layers), reversed(roots), strict=True):
        functions.insert(0, recursive_step(functions[0], layer, root))
    return functions


def put(vector_or_matrix: Any, symbols: Vector, values: Vector) -> Any:
    """An expression, vector or matrix with values in place of symbols, all at once."""
    moved = dict(zip(symbols, values, strict=True))
    if isinstance(vector_or_matrix, tuple):
        return tuple(entry.xreplace(moved) for entry in vector_or_matrix)
    return vector_or_matrix.xreplace(moved)
