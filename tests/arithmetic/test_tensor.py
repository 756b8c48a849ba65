"""The plain world of torch tensors: right where nothing rounds, and in the value's own dtype and on its device."""

from __future__ import annotations

import gc
from fractions import Fraction

import numpy as np
import pytest
import torch
from flint import fmpq
from hypothesis import given
from hypothesis import strategies as st

from dtdsym.arithmetic.kept import Kept
from dtdsym.arithmetic.tensor import TENSOR, TensorArithmetic
from dtdsym.errors import NotExact

small = st.integers(-8, 8)
dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


def frozen(numbers):
    array = np.array(numbers, dtype=np.float64)
    array.setflags(write=False)
    return array


@dtypes
@given(weight=st.lists(st.lists(small, min_size=3, max_size=3), min_size=2, max_size=2), x=st.lists(small, min_size=3))
def test_affine_maps_of_small_integers_are_exact_in_both_dtypes(dtype, weight, x):
    rows = [x[i : i + 3] for i in range(0, len(x) - 2, 3)]
    value = TENSOR.affine(frozen(weight), frozen([1, -2]), torch.tensor(rows, dtype=dtype))
    assert value.dtype == dtype
    assert value.tolist() == [
        [sum(w * xi for w, xi in zip(row, point, strict=True)) + b for row, b in zip(weight, [1, -2], strict=True)]
        for point in rows
    ]


@dtypes
def test_every_operation_is_torchs_own_in_the_values_dtype(dtype):
    a, b = torch.tensor([[-1.0, 2.0, 0.0]], dtype=dtype), torch.tensor([[4.0, -4.0, 0.0]], dtype=dtype)
    results = {
        "add": (TENSOR.add(a, b), [[3, -2, 0]]),
        "relu": (TENSOR.relu(a), [[0, 2, 0]]),
        "maximum": (TENSOR.maximum(a, b), [[4, 2, 0]]),
        "ratio": (TENSOR.ratio(a, b), [[-0.25, -0.5, 0]]),
        "total": (TENSOR.total(a), [1]),
        "total over the batch": (TENSOR.total(b, axis=0), [4, -4, 0]),
        "join": (TENSOR.join([a, b]), [[-1, 2, 0, 4, -4, 0]]),
        "where": (TENSOR.where(np.array([True, False, True]), a, b), [[-1, -4, 0]]),
        "where with a number": (TENSOR.where(torch.tensor([True, False, True]), 0, b), [[0, -4, 0]]),
    }
    for name, (value, expected) in results.items():
        assert value.tolist() == expected, name
        assert value.dtype == dtype, name


def test_ratio_is_zero_wherever_the_denominator_is_even_if_the_numerator_is_not():
    assert TENSOR.ratio(torch.tensor([1.0, 0.0]), torch.tensor([0.0, -0.0])).tolist() == [0, 0]


def test_weights_keep_a_value_on_its_device():
    value = TENSOR.affine(frozen([[1.0]]), frozen([0.0]), torch.zeros(2, 1, device="meta"))
    assert value.device.type == "meta"


def test_lifting_keeps_float32_and_float64_and_rounds_rationals_to_nearest():
    assert TENSOR.lift(torch.ones(2)).dtype == torch.float32
    assert TENSOR.lift(np.ones(2, dtype=np.float32)).dtype == torch.float32
    assert TENSOR.lift(np.ones(2, dtype=np.float16)).dtype == torch.float64
    assert TENSOR.lift([[Fraction(1, 3), 2], [0.5, fmpq(1, 4)]]).tolist() == [[1 / 3, 2], [0.5, 0.25]]
    assert TENSOR.lift(2).shape == ()


@pytest.mark.parametrize("numbers", [[float("nan")], [10**400], "12", torch.tensor([1j])], ids=str)
def test_what_float64_cannot_carry_is_refused(numbers):
    with pytest.raises(NotExact):
        TENSOR.lift(numbers)


def test_gradients_flow_through_the_affine_map():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    TENSOR.relu(TENSOR.affine(frozen([[3.0, -1.0]]), frozen([0.0]), x)).sum().backward()
    assert x.grad.tolist() == [3, -1]


def test_one_conversion_for_each_dtype_is_kept_until_the_array_dies():
    arithmetic, weight, bias = TensorArithmetic(), frozen([[1.0]]), frozen([0.0])
    for dtype in (torch.float32, torch.float64, torch.float32):
        arithmetic.affine(weight, bias, torch.ones(1, 1, dtype=dtype))
    assert len(arithmetic._weights) == 4
    del weight
    gc.collect()
    assert len(arithmetic._weights) == 2


def test_kept_things_are_made_once_for_the_very_same_arrays():
    kept, made = Kept(), []
    one, equal, writeable = frozen([1.0]), frozen([1.0]), np.ones(1)
    for array in (one, one, equal, writeable, writeable):
        kept.get((array,), "x", lambda array=array: made.append(array))
    assert [id(array) for array in made] == [id(array) for array in (one, equal, writeable, writeable)]


def test_what_was_kept_for_another_array_of_the_same_id_is_not_believed():
    kept, old, new = Kept(), frozen([1.0]), frozen([2.0])
    kept.get((old,), "x", lambda: "old")
    kept._entries[(id(new), "x")] = kept._entries[(id(old), "x")]
    assert kept.get((new,), "x", lambda: "new") == "new"
