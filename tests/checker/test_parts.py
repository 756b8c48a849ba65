"""What claims ask of a network, its layers and its cells."""

from __future__ import annotations

import ast
import json

import numpy as np
import pytest
from networks import sequential

import dtdsym
from dtdsym.certificate.lines import written
from dtdsym.certificate.network import network_line
from dtdsym.checker import place
from dtdsym.checker.cells import cell_at
from dtdsym.checker.function import Function
from dtdsym.checker.layers import plain_layers
from dtdsym.checker.network import Network, read_network
from dtdsym.checker.reading import Refused
from dtdsym.geometry import placement
from dtdsym.network.builder import Builder


def as_checked(network) -> Network:
    return read_network(json.loads(written(network_line(network))))


def test_a_chain_is_known_with_the_layers_that_a_relu_reads():
    checked = as_checked(sequential(([[1]], [0]), ([[1]], [1]), final_relu=False))
    assert [layer.rectified for layer in plain_layers(checked)] == [True, False]


@pytest.mark.parametrize("number", [1, 2])
def test_a_second_relu_is_none_of_a_plain_networks(number):
    """After a layer, or before the first one."""
    build = Builder((2,))
    value = build.relu(build.input) if number == 1 else build.input
    value = build.relu(build.linear(value, np.eye(2), None))
    with pytest.raises(Refused, match="the network is not plain"):
        plain_layers(as_checked(build.network(build.relu(value) if number == 2 else value)))


@pytest.mark.parametrize("skipped", [True, False])
def test_what_is_no_chain_is_refused(skipped):
    build = Builder((2,))
    value = build.relu(build.linear(build.input, np.eye(2), None))
    end = build.add(value, build.input) if skipped else build.linear(build.input, np.eye(2), None)
    with pytest.raises(Refused, match="the network is not plain"):
        plain_layers(as_checked(build.network(end if skipped else build.concat([value, end], 0))))


def test_a_row_without_slopes_is_refused_where_one_is_needed():
    network = as_checked(sequential(([[1], [0]], [0, 1]), ([[1, 1]], [0]), final_relu=False))
    cell = cell_at(Function(network, 0, {}), (1,))
    assert cell.row(0) == [1, 0]
    with pytest.raises(Refused, match="row 1 is constant"):
        cell.row(1)


def test_inside_means_the_same_in_both():
    assert place.INSIDE == placement.INSIDE
    home = dtdsym.place(sequential(([[1]], [0])), [1], [1])
    assert (home.name, home.inside) == ("degenerate", True)
    assert set(placement.VALID) == set(placement.INSIDE) - {"degenerate"}


def test_the_checker_does_not_rest_on_assertions(repository):
    """They are not there under python -O."""
    for path in (repository / "dtdsym" / "checker").glob("*.py"):
        nodes = ast.walk(ast.parse(path.read_text()))
        assert not [node.lineno for node in nodes if isinstance(node, ast.Assert)], path
