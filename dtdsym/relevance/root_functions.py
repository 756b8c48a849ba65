"""Root functions of Definition 3: how the root of a layer follows from the layer's input, in any arithmetic."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from dtdsym.arithmetic import Arithmetic
from dtdsym.arithmetic.rational import fractions, vector
from dtdsym.errors import InputError, NotExact, RuleError, ShapeMismatch
from dtdsym.network.evaluate import evaluate
from dtdsym.network.plain import PlainLayer
from dtdsym.relevance.composite import Composite, parse
from dtdsym.relevance.neurons import ALL
from dtdsym.relevance.root import check_kind, layer_roots
from dtdsym.relevance.rule import Rule
from dtdsym.relevance.train_free import Relevances

Vector = tuple[Fraction, ...]


@dataclass(frozen=True)
class AffineRoot:
    """root(a) = matrix a + vector. matrix (d, d) and vector (d,) of Fractions, in the layer's input units."""

    matrix: tuple[Vector, ...]
    vector: Vector

    def __post_init__(self) -> None:
        size = len(self.vector)
        if len(self.matrix) != size or any(len(row) != size for row in self.matrix):
            shape = (len(self.matrix), *{len(row) for row in self.matrix})
            raise ShapeMismatch(f"an affine root of matrix {shape} and vector ({size},); expected (d, d) and (d,)")

    @property
    def constant(self) -> bool:
        """Whether the root is the same for all inputs."""
        return not any(any(row) for row in self.matrix)

    def __call__(self, ops: Arithmetic, a: Any) -> Any:
        """The roots (..., d) of a batch a (..., d). Rows that keep their coordinate are not multiplied out."""
        rows, bias, index = self._moved
        if a.shape[-1] != len(self.vector):
            raise ShapeMismatch(f"a root for {len(self.vector)} inputs was given to a layer of {a.shape[-1]}")
        parts = [a, ops.affine(rows, bias, a)] if len(rows) else [a]
        return ops.take(ops.join(parts), index) + ops.lift(np.array(self.vector, dtype=object))

    @cached_property
    def _moved(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows of the matrix that are neither zero nor of the identity (m, d), and m zeros, Fractions and read-only;
        where each coordinate of the root stands beside a, -1 for none."""
        rows: list[Vector] = []
        index = np.full(len(self.vector), -1)
        for i, row in enumerate(self.matrix):
            others = any(entry for k, entry in enumerate(row) if k != i)
            if row[i] == 1 and not others:
                index[i] = i
            elif any(row):
                index[i] = len(self.vector) + len(rows)
                rows.append(row)
        found, bias = np.array(rows, dtype=object), np.full(len(rows), Fraction(0), dtype=object)
        for array in (found, bias):
            array.setflags(write=False)
        return found, bias, index


@dataclass(frozen=True)
class RuleRoot:
    """The roots of a rule, one for each neuron j: on j's hinge, or those that take R_j away (kind relevance)."""

    rule: Rule | Composite
    kind: str

    def roots(self, ops: Arithmetic, layer: PlainLayer, a: Any, relevance: Any, block: slice = ALL) -> Any:
        """(..., neurons of the block, d) at a (..., d); a itself where a neuron has no root. relevance (..., size):
        R^{l+1}(f_l(a)), what arrives at the neurons."""
        one = layer.linear
        check_kind(one, 1, self.rule, self.kind)
        values = evaluate(one, ops, {0: a})
        arriving = Relevances(one, {1: relevance})
        return layer_roots(one, ops, values, arriving, 1, self.rule, self.kind, block).roots


@dataclass(frozen=True, eq=False)
class PythonRoot:
    """A user's function: f(ops, a) for whole batches a (..., d), or f(a) for one input (d,) at a time."""

    function: Callable[..., Any]

    @cached_property
    def _batched(self) -> bool:
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        parameters = inspect.signature(self.function).parameters.values()
        return sum(p.kind in kinds and p.default is inspect.Parameter.empty for p in parameters) > 1

    def __call__(self, ops: Arithmetic, a: Any) -> Any:
        """The roots (..., d)."""
        if self._batched:
            return _lifted(ops, self.function(ops, a), a)
        flat = a.reshape(-1, a.shape[-1])
        points = [_as_vector(ops, self.function(flat[i]), flat[i])[None, :] for i in range(len(flat))]
        return _rows(ops, points).reshape(*a.shape)


def constant_root(point: Sequence[Any]) -> AffineRoot:
    """The root `point` (d,), whatever the layer's input. Numbers are read exactly. Raises NotExact, ShapeMismatch."""
    own = _numbers(point, "constant_root")
    return AffineRoot(tuple((Fraction(0),) * len(own) for _ in own), own)


def affine_root(matrix: Sequence[Sequence[Any]], vector: Sequence[Any]) -> AffineRoot:
    """The root matrix a + vector; matrix (d, d), vector (d,), read exactly. Raises NotExact, ShapeMismatch."""
    own = _numbers(vector, "affine_root: vector")
    if not hasattr(matrix, "__len__") or len(matrix) != len(own):
        raise ShapeMismatch(f"affine_root: {len(own)} numbers in the vector; the matrix needs as many rows")
    return AffineRoot(tuple(_numbers(row, f"affine_root: row {i}", len(own)) for i, row in enumerate(matrix)), own)


def _numbers(given: Any, name: str, size: int | None = None) -> Vector:
    """A flat sequence of numbers, read exactly. Raises NotExact, ShapeMismatch."""
    if not hasattr(given, "__len__") or isinstance(given, str):
        raise ShapeMismatch(f"{name}: {given!r:.70}; expected a sequence of numbers")
    return fractions(vector(given, size=len(given) if size is None else size, name=name))


def moved_by(step: Sequence[Fraction]) -> AffineRoot:
    """The root a - step (d,)."""
    size = len(step)
    identity = tuple(tuple(Fraction(row == column) for column in range(size)) for row in range(size))
    return AffineRoot(identity, tuple(-entry for entry in step))


def rule_root(rule: str | Rule | Composite = "zplus", kind: str = "hinge") -> RuleRoot:
    """The roots of a rule (eq. 13/15 of Sixt and Landgraf 2022), which depend on the neuron.

    kind "hinge": w.root + b = 0. kind "relevance": w.root + b = w.a + b - R_j, with the recursion's own R_j.
    Raises RuleError for an unknown rule or kind."""
    if kind not in ("hinge", "relevance"):
        raise RuleError(f"root {kind!r}: expected hinge or relevance")
    return RuleRoot(parse(rule), kind)


@dataclass(frozen=True, eq=False)
class LayerRootFunctions:
    """The root functions of one layer: different ones once, and which of them each neuron has; or a rule's."""

    functions: tuple[AffineRoot | PythonRoot, ...]
    which: tuple[int, ...]
    rule: RuleRoot | None = None

    @property
    def affine(self) -> bool:
        """Whether every root is known to be an affine function of the layer's input."""
        return self.rule is None and all(isinstance(function, AffineRoot) for function in self.functions)

    @property
    def constant(self) -> bool:
        """Whether every root is known to be constant."""
        return self.rule is None and all(isinstance(f, AffineRoot) and f.constant for f in self.functions)

    @property
    def exact(self) -> bool:
        """Whether a root on a hinge is known to be on one for all inputs nearby, or to move off it in proportion."""
        return self.affine or (self.rule is not None and self.rule.kind == "hinge")

    def at(self, ops: Arithmetic, layer: PlainLayer, a: Any, relevance: Callable[[], Any]) -> Any:
        """The different roots (..., D, d) at a (..., d)."""
        if self.rule is not None:
            block = slice(self.which.index(0), self.which.index(0) + 1) if 1 not in self.which else ALL
            arriving = relevance() if self.rule.kind == "relevance" else layer.preactivation(ops, a) * 0
            return self.rule.roots(ops, layer, a, arriving, block)
        return _rows(ops, [function(ops, a)[..., None, :] for function in self.functions])


def functions_of(given: Any, layer: PlainLayer, only: int | None = None) -> LayerRootFunctions:
    """What a caller gave for one layer: one root function, or a sequence of one a neuron.

    only: the one neuron that has relevance, at the last layer. Raises ShapeMismatch, InputError."""
    if isinstance(given, RuleRoot):
        alone = tuple(0 if j == only else -1 for j in range(layer.size))
        return LayerRootFunctions((), tuple(range(layer.size)) if only is None else alone, given)
    if isinstance(given, list | tuple) and any(isinstance(entry, RuleRoot) for entry in given):
        raise InputError(f"layer {layer.number}: a rule has the roots of all neurons; give it once, not in a list")
    if not isinstance(given, list | tuple):
        given = [given] * layer.size
    elif len(given) != layer.size:
        raise ShapeMismatch(f"layer {layer.number}: {len(given)} root functions for {layer.size} neurons")
    if only is not None:
        given = [given[only]] * layer.size
    distinct: list[Any] = []
    for function in given:
        if not callable(function):
            raise InputError(
                f"layer {layer.number}: {function!r} is no root function; give constant_root(point), "
                "affine_root(matrix, vector), rule_root(rule), or a function of the layer's input"
            )
        if not any(function is known for known in distinct):
            distinct.append(function)
    which = tuple(next(i for i, known in enumerate(distinct) if known is function) for function in given)
    wrapped = tuple(f if isinstance(f, AffineRoot) else PythonRoot(f) for f in distinct)
    return LayerRootFunctions(wrapped, which)


def _rows(ops: Arithmetic, parts: list[Any]) -> Any:
    """Parts (..., 1, d) one below the other."""
    return ops.join([part.swapaxes(-1, -2) for part in parts]).swapaxes(-1, -2)


def _as_vector(ops: Arithmetic, root: Any, a: Any) -> Any:
    """What a function of one input gave, as a vector of a's kind."""
    if isinstance(root, list | tuple) and any(hasattr(entry, "shape") for entry in root):
        entries = [entry if hasattr(entry, "shape") else ops.lift([entry])[0] for entry in root]
        root = ops.join([entry.reshape(1) for entry in entries])
    return _lifted(ops, root, a)


def _lifted(ops: Arithmetic, root: Any, a: Any) -> Any:
    """What a function gave as a value of a's kind and shape. Raises InputError, ShapeMismatch."""
    try:
        found = ops.lift(root)
    except (TypeError, ValueError, NotExact) as err:
        raise InputError(f"a root function gave {root!r:.70}; expected as many numbers as it was given") from err
    if found.shape[-1:] != a.shape[-1:]:
        raise ShapeMismatch(f"a root function gave shape {tuple(found.shape)} for an input of {tuple(a.shape)}")
    return found + a * 0
