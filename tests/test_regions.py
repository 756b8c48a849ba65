"""The command that lists, counts and draws regions: what it prints and writes, and how it ends."""

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from processes import ended_workers
from torch import nn

import dtdsym
from dtdsym import regions
from dtdsym.geometry.arrangement import arrangement
from dtdsym.survey.cells import SHARES, count_cells


@pytest.fixture
def net(tmp_path):
    torch.manual_seed(5)
    module = nn.Sequential(nn.Linear(2, 6), nn.ReLU(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2))
    torch.save(module, tmp_path / "net.pt")
    return str(tmp_path / "net.pt")


def run(capsys, *words):
    status = regions.main(list(words))
    return status, *capsys.readouterr()


def test_counts_in_plain_words(net, capsys):
    expected = arrangement(dtdsym.load(net), box=[(-2, 2)] * 2).counts
    status, out, err = run(capsys, net, "--box=-2:2")
    assert (status, err) == (0, "")
    assert f"{expected['cells']}  open cells" in out
    assert f"{expected['regions']}  linear regions (Def. 1)" in out
    assert "belong to no cell" in out


def test_json_holds_every_cell_exactly(net, capsys, tmp_path):
    network = dtdsym.load(net)
    status, out, _ = run(capsys, net, "--box=-2:2,-1/3:1e-1", "--logit", "1", "--json", "-")
    assert status == 0
    report = json.loads(out)
    found = arrangement(network, box=[(-2, 2), (Fraction(-1, 3), Fraction(1, 10))], logit=1)
    assert report["format"] == "dtdsym-regions/1"
    assert report["box"] == [["-2", "2"], ["-1/3", "1/10"]]
    assert report["counts"] == found.counts
    assert report["network"]["function_sha256"] == network.sha256
    assert report["open_cells_only"] is True
    for cell, written in zip(found.cells, report["cells"], strict=True):
        assert [tuple(map(Fraction, vertex)) for vertex in written["vertices"]] == list(cell.vertices)
        assert [tuple(map(Fraction, row)) for row in written["gradients"]] == list(cell.gradients)
        point = tuple(map(Fraction, written["point"]))
        value = sum(g * t for g, t in zip(cell.gradients[0], point, strict=True)) + Fraction(written["constants"][0])
        assert network(point)[1] == value
        assert written["region"] == found.region_of[cell.number]
        assert written["neighbours"] == sorted(found.graph.adj[cell.number])
        assert written["pattern"] == "".join({1: "+", -1: "-", 0: "0"}[sign] for sign in cell.pattern)
    assert [region["cells"] for region in report["regions"]] == [list(region) for region in found.regions]
    run(capsys, net, "--box=-2:2,-1/3:1e-1", "--logit", "1", "--json", str(tmp_path / "a.json"))
    assert (tmp_path / "a.json").read_text() == out


def test_planes_and_lines_through_inputs(net, capsys, tmp_path):
    three = np.array([[0.0, 0.0], [1.0, 0.5], [-1.0, 2.0]])
    np.save(tmp_path / "three.npy", three)
    np.save(tmp_path / "two.npy", three[:2])
    _, out, _ = run(capsys, net, "--plane", str(tmp_path / "three.npy"), "--json", "-")
    report = json.loads(out)
    assert report["box"] == [["-1/4", "5/4"]] * 2
    assert report["points"] == [["0", "0"], ["1", "1/2"], ["-1", "2"]]
    sides = [(Fraction(-1, 4), Fraction(5, 4))] * 2
    assert report["counts"] == arrangement(dtdsym.load(net), points=three.tolist(), box=sides).counts
    _, out, _ = run(capsys, net, "--line", str(tmp_path / "two.npy"), "--json", "-")
    assert json.loads(out)["counts"] == arrangement(dtdsym.load(net), points=three[:2].tolist(), box=[(0, 1)]).counts
    _, out, _ = run(capsys, net, "--line", str(tmp_path / "two.npy"), "--box", "all")
    assert "on the line through 2 inputs, without bounds" in out


def test_pictures(net, capsys, tmp_path):
    np.save(tmp_path / "x.npy", np.array([[0.5, 0.25]]))
    path = tmp_path / "regions.svg"
    status, *_ = run(capsys, net, "--box=-2:2", "--plot", str(path), "--input", str(tmp_path / "x.npy"), "--rule", "w2",
                     "--rule", "zplus")  # fmt: skip
    assert status == 0
    assert path.read_text().startswith("<?xml")
    status, _, err = run(capsys, net, "--plot", str(tmp_path / "b.svg"))
    assert (status, err) == (2, "dtdsym: --plot needs bounds: give --box LO:HI, or --plane or --line\n")


def test_many_inputs_are_drawn_on_planes_only(capsys, tmp_path):
    torch.save(torch.nn.Sequential(torch.nn.Linear(5, 2)), tmp_path / "five.pt")
    status, _, err = run(capsys, str(tmp_path / "five.pt"), "--box=-1:1", "--plot", str(tmp_path / "b.svg"))
    line = "dtdsym: --plot draws one and two dimensions, and the network has 5 inputs; give --plane or --line\n"
    assert (status, err) == (2, line)


def test_counting_alone_in_shares_that_can_be_resumed(net, capsys, tmp_path):
    network = dtdsym.load(net)
    expected = len(arrangement(network).cells)
    journal = tmp_path / "count.jsonl"
    for _ in range(2):
        status, out, _ = run(capsys, net, "--count", "--resume", str(journal))
        assert (status, out) == (0, f"{expected} open cells\n")
    lines = journal.read_text().splitlines()
    assert len(lines) == 1 + SHARES
    journal.write_text("\n".join(lines[:9]) + "\n" + lines[9][:5])
    assert run(capsys, net, "--count", "--resume", str(journal))[1] == f"{expected} open cells\n"
    status, _, err = run(capsys, net, "--count", "--box=0:1", "--resume", str(journal))
    assert status == 2
    assert "the journal of another run: box was None" in err
    _, out, _ = run(capsys, net, "--count", "--json", "-")
    assert json.loads(out)["counts"] == {"cells": expected}


def test_finished_shares_are_believed_and_not_done_again(net, tmp_path, monkeypatch):
    network = dtdsym.load(net)
    total = count_cells(network, journal=str(tmp_path / "j"))
    monkeypatch.setattr("dtdsym.survey.cells.subdivided", None)
    assert count_cells(network, journal=str(tmp_path / "j")) == total


def test_a_network_without_choices_is_one_cell(tmp_path, capsys):
    torch.save(nn.Sequential(nn.Linear(3, 2)), tmp_path / "flat.pt")
    assert run(capsys, str(tmp_path / "flat.pt"), "--count")[1] == "1 open cells\n"
    assert "1  linear regions" in run(capsys, str(tmp_path / "flat.pt"), "--box", "all")[1]


def test_workers_count_the_same(net):
    """In processes of their own, in any dimension."""
    words = [sys.executable, "-m", "dtdsym.regions", net, "--count", "--jobs", "2", "--json", "-"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["counts"]["cells"] == len(arrangement(dtdsym.load(net)).cells)


def test_the_budget_ends_with_status_3(net, capsys):
    status, out, err = run(capsys, net, "--box=-2:2", "--budget", "0.000001")
    assert (status, out) == (3, "")
    assert err.startswith("dtdsym: the budget of 1e-06 seconds ran out after ")


@pytest.mark.parametrize("option", ["--json", "--plot", "--resume"])
@pytest.mark.parametrize("read", ["NET", "--plane", "--line", "--input", "--layers"])
def test_what_is_read_is_not_overwritten(net, capsys, tmp_path, option, read):
    path = net if read == "NET" else str(tmp_path / "read")
    if read != "NET":
        Path(path).write_text("mine")
    before = Path(path).read_bytes()
    words = [] if read == "NET" else [read, path]
    status, out, err = run(capsys, net, "--box=-2:2", *words, option, path)
    assert (status, out) == (2, "")
    assert f"given for {read} and for {option}" in err
    assert Path(path).read_bytes() == before


def test_one_file_is_not_written_for_two_options(net, capsys, tmp_path):
    path = str(tmp_path / "o.json")
    status, _, err = run(capsys, net, "--count", "--json", path, "--resume", path)
    assert status == 2
    assert "given for --json and for --resume" in err
    assert not Path(path).exists()


def test_a_worker_that_is_ended_is_told_in_one_line(net, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(regions, "workers", ended_workers)
    status, out, err = run(capsys, net, "--count", "--jobs", "2", "--resume", str(tmp_path / "j"))
    assert (status, out) == (2, "")
    assert err == (
        "dtdsym: a worker process was ended (for want of memory?); use fewer --jobs; finished work is in "
        f"{tmp_path / 'j'}\n"
    )


BAD = {
    "no such file": (["none.pt"], "none.pt"),
    "a box of words": (["NET", "--box=a:b"], "side 1 of the box"),
    "a box of one number": (["NET", "--box=3"], "--box '3': give LO:HI"),
    "too many sides": (["NET", "--box=0:1,0:1,0:1"], "the box has 3 sides; give 2"),
    "an empty side": (["NET", "--box=1:1"], "the single point 1, so that the box holds no open cell"),
    "an output": (["NET", "--logit", "7"], "logit 7 does not exist"),
    "a word for an output": (["NET", "--logit", "best"], "give a whole number, or all"),
    "three inputs for a line": (["NET", "--line", "THREE"], "a line needs 2, one a row"),
    "a plane that is a line": (["NET", "--plane", "FLAT"], "flat of dimension below 2"),
    "workers without count": (["NET", "--jobs", "2"], "--jobs needs --count"),
    "a cluster without count": (["NET", "--dask", "10.0.0.1:8786"], "--dask needs --count"),
    "resume without count": (["NET", "--resume", "j"], "--resume needs --count"),
    "an input without a picture": (["NET", "--input", "THREE"], "--input needs --plot"),
    "a rule without an input": (["NET", "--box=0:1", "--plot", "OUT", "--rule", "w2"], "--rule needs --input"),
    "a picture of a count": (["NET", "--count", "--plot", "OUT"], "leave out --count"),
    "a rule that is none": (["NET", "--box=-9:9", "--plot", "OUT", "--input", "THREE", "--rule", "w3"], "w3"),
    "a picture of no kind": (["NET", "--box=-9:9", "--plot", "OUT.txt"], "cannot be written as a picture"),
    "a kind of root that is none": (["NET", "--root", "nonsense"], "--root 'nonsense': expected relevance or hinge"),
    "a kind of root without a rule": (["NET", "--root", "hinge"], "--root needs --rule"),
    "a budget of nothing": (["NET", "--budget", "0"], "--budget 0: give a number of seconds above 0"),
    "a budget below nothing": (["NET", "--budget=-1"], "--budget -1: give a number of seconds above 0"),
    "a budget that is no number": (["NET", "--budget", "nan"], "--budget nan: give a number of seconds above 0"),
    "no workers": (["NET", "--count", "--jobs", "0"], "--jobs 0: give at least 1"),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD)
def test_bad_words_are_refused_in_one_line(net, capsys, tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    np.save("three.npy", np.array([[0.0, 0.0], [1.0, 0.5], [-1.0, 2.0]]))
    np.save("flat.npy", np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]]))
    names = {"NET": net, "THREE": "three.npy", "FLAT": "flat.npy", "OUT": "out.svg", "OUT.txt": "out.txt"}
    words, message = case
    status, out, err = run(capsys, *(names.get(word, word) for word in words))
    assert (status, out) == (2, "")
    assert message in err
    assert err.startswith("dtdsym: ")
    assert err.count("\n") == 1
