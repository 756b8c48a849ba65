"""Things counted: the noun or verb agrees with the number."""

from __future__ import annotations

import pytest

from dtdsym.arithmetic.written import counted, plural


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 cells"), (1, "1 cell"), (2, "2 cells"), (1234, "1,234 cells"), (0.5, "0.5 cells")]
)
def test_one_thing_is_one_and_all_other_numbers_are_many(number, said):
    assert counted(number, "cell") == said


def test_a_verb_is_given_in_both_forms():
    assert [plural(number, "lies", "lie") for number in (0, 1, 2)] == ["lie", "lies", "lie"]
    assert counted(1, "was", "were") == "1 was"
