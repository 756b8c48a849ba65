"""The command line on convolutional networks: formats, composites, ledgers, and explanations made elsewhere."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn

import dtdsym
from dtdsym.export import main as export_main
from dtdsym.verify import main


@pytest.fixture
def conv(tmp_path):
    """A small network of 1 x 4 x 4 images with batch normalisation and a pool, and three images, as files."""
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 2)
    ).eval()
    module[1].running_mean.uniform_(-0.2, 0.2)
    module[1].running_var.uniform_(0.5, 2)
    with torch.no_grad():
        module[0].weight.abs_()
        module[5].weight[0].abs_()
    torch.save(module, tmp_path / "net.pt")
    images = torch.rand(3, 1, 4, 4)
    np.save(tmp_path / "images.npy", images.numpy())
    return module, images, tmp_path


def report(capsys, *words):
    status = main([*(str(word) for word in words), "--json", "-", "--logit", "0", "--domain", "box:0:1"])
    out, err = capsys.readouterr()
    assert status in (0, 1), err
    return json.loads(out)


def shaped(folder):
    return (folder / "net.pt", "--input-shape", "1,4,4", "--input", folder / "images.npy")


def test_every_format_has_the_same_hash_and_the_same_verdicts(capsys, conv):
    module, _, folder = conv
    torch.export.save(torch.export.export(module, (torch.zeros(2, 1, 4, 4),)), folder / "net.pt2")
    for suffix in ("onnx", "safetensors"):
        assert export_main([str(folder / "net.pt"), str(folder / f"net.{suffix}"), "--input-shape", "1,4,4"]) == 0
    assert export_main([str(folder / "net.pt2"), str(folder / "graph.pt")]) == 0
    capsys.readouterr()
    rules = ("--rule", "zplus", "--rule", "conv=gamma:0.25,linear=lrp0", "--layer", "all")
    found = [report(capsys, *shaped(folder), *rules)]
    for name in ("net.pt2", "net.onnx", "net.safetensors", "graph.pt"):
        found.append(report(capsys, folder / name, "--input", folder / "images.npy", *rules))
    for other in found[1:]:
        assert other["network"]["function_sha256"] == found[0]["network"]["function_sha256"]
        for row, first in zip(other["roots"], found[0]["roots"], strict=True):
            assert (row["rule"], row["layer"], row["places"]) == (first["rule"], first["layer"], first["places"])
            assert row["taylor_residual"]["max"] == first["taylor_residual"]["max"]
        assert other["ledger"] == found[0]["ledger"]


def test_the_ledger_adds_up_exactly(capsys, conv):
    *_, folder = conv
    found = report(capsys, *shaped(folder), "--rule", "lrp0", "--rule", "epsilon:0.1", "--ledger", 2)
    assert [entry["input"] for entry in found["ledger"]] == [0, 0, 1, 1]
    for entry in found["ledger"]:
        lost = Fraction(entry["output"]) - Fraction(entry["relevance"])
        assert lost == Fraction(entry["lost"]) == sum(Fraction(row["amount"]) for row in entry["rows"])
        assert lost != 0
    main([*map(str, shaped(folder)), "--rule", "lrp0", "--logit", "0"])
    assert "went to biases" in " ".join(capsys.readouterr().out.split())


def test_an_explanation_made_elsewhere_is_named(capsys, conv):
    module, images, folder = conv
    leaf = images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(module(leaf)[:, 0].sum(), leaf)
    np.save(folder / "relevance.npy", (gradient * images).numpy())
    words = (*shaped(folder), "--compare", folder / "relevance.npy")
    found = report(capsys, *words)["compare"]
    assert found["gradient_x_input"]["equal"]
    main([*map(str, words), "--logit", "0"])
    assert "This is gradient x input" in " ".join(capsys.readouterr().out.split())
    np.save(folder / "relevance.npy", np.zeros((2, 16)))
    assert main([*map(str, words)]) == 2
    assert "2 rows of relevance for 3 inputs" in capsys.readouterr().err


def test_batch_normalisation_can_be_a_layer_of_its_own(capsys, conv):
    *_, folder = conv
    kinds = [
        [layer["kind"] for layer in report(capsys, *shaped(folder), *more)["network"]["layers"]]
        for more in ((), ("--batchnorm", "own"))
    ]
    assert kinds == [["conv", "linear"], ["conv", "batchnorm", "linear"]]
    assert main([*map(str, shaped(folder)), "--rule", "batchnorm=flat,*=zplus"]) == 2
    assert "--batchnorm own" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["4", "1,6,6", "1,4,x", "-1,4,4", "1,,4"])
def test_a_wrong_input_shape_is_refused_in_one_line(capsys, conv, text):
    *_, folder = conv
    assert main([str(folder / "net.pt"), f"--input-shape={text}"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "Traceback" not in err


def test_without_an_input_shape_it_is_asked_for(capsys, conv):
    *_, folder = conv
    assert main([str(folder / "net.pt")]) == 2
    assert "--input-shape" in capsys.readouterr().err


def test_the_shipped_conv_network_reads_over_95_percent_of_the_images(repository):
    network = dtdsym.load(repository / "examples" / "digits_conv.pt2")
    images = np.load(repository / "examples" / "digits_inputs.npy")
    labels = np.load(repository / "examples" / "digits_labels.npy")
    from dtdsym.survey.chunk import largest_outputs

    assert (largest_outputs(network, images.astype(float)) == labels).mean() > 0.95
    kinds = {type(node).__name__ for node in network.nodes}
    assert {"Convolution", "Scale", "MaxPool", "Add"} <= kinds
