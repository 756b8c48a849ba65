"""The command that measures sanity checks: what it prints and writes, and how it ends."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import dtdsym
from dtdsym import sanity


@pytest.fixture
def files(tmp_path):
    torch.manual_seed(5)
    module = nn.Sequential(nn.Linear(16, 6), nn.ReLU(), nn.Linear(6, 3))
    torch.save(module, tmp_path / "net.pt")
    np.save(tmp_path / "x.npy", np.abs(np.random.default_rng(0).normal(size=(2, 16))))
    return str(tmp_path / "net.pt"), "--input", str(tmp_path / "x.npy")


def run(capsys, *words):
    status = sanity.main(list(words))
    return status, *capsys.readouterr()


def test_every_check_that_fits_is_made_and_told(files, capsys):
    status, out, err = run(capsys, *files)
    assert (status, err) == (0, "")
    titles = [line for line in out.split("\n") if line.startswith("Sanity check: ")]
    checks = ["other class", "cascading randomisation", "independent randomisation"]
    assert titles == [f"Sanity check: {check}" for check in checks]
    assert "gradient x input (the control)" in out


def test_json_is_what_the_functions_find(files, capsys, tmp_path):
    words = ["--rule", "w2", "--rule", "first=w2,*=epsilon:0.5", "--seed", "3", "--start", "output", "--absolute"]
    words += ["--category", "0,1,2", "--weights", "permuted", "--logit", "1", "--channels", "each"]
    status, out, _ = run(capsys, *files, *words, "--json", "-")
    assert status == 0
    document = json.loads(out)
    assert document["format"] == "dtdsym-sanity/1"
    network, x = dtdsym.load(files[0]), np.load(files[2])
    how = {"seed": 3, "start": "output", "absolute": True, "channels": "each", "logit": 1}
    asked = network, x, ["w2", "first=w2,*=epsilon:0.5"]
    expected = [
        dtdsym.other_class(*asked, **how),
        dtdsym.other_logit(*asked, categories=[[0, 1, 2]], **how),
        dtdsym.cascading_randomisation(*asked, weights="permuted", **how),
        dtdsym.independent_randomisation(*asked, weights="permuted", **how),
    ]
    assert document["checks"] == json.loads(json.dumps([found.to_json() for found in expected]))


def test_one_check_draws_the_file_and_several_one_each(files, capsys, tmp_path):
    picture = tmp_path / "out.svg"
    assert run(capsys, *files, "--check", "cascading", "--plot", str(picture), "--quiet") == (0, "", "")
    assert picture.read_text().startswith("<?xml")
    picture.unlink()
    assert run(capsys, *files, "--plot", str(picture), "--json", str(tmp_path / "out.json"), "--quiet")[0] == 0
    names = sorted(path.name for path in tmp_path.glob("out*"))
    assert names == ["out-cascading.svg", "out-independent.svg", "out-other-class.svg", "out.json"]


def test_a_network_of_one_output_has_its_layers_checked(tmp_path, files, capsys):
    torch.save(nn.Sequential(nn.Linear(16, 2), nn.ReLU(), nn.Linear(2, 1)), tmp_path / "one.pt")
    status, out, _ = run(capsys, str(tmp_path / "one.pt"), *files[1:], "--json", "-")
    assert status == 0
    checks = [check["check"] for check in json.loads(out)["checks"]]
    assert checks == ["cascading randomisation", "independent randomisation"]


def test_batch_normalisation_can_be_a_layer_of_its_own(tmp_path, capsys):
    module = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 2)).eval()
    torch.save(module, tmp_path / "norm.pt")
    np.save(tmp_path / "x.npy", np.ones((1, 4)))
    words = str(tmp_path / "norm.pt"), "--input", str(tmp_path / "x.npy"), "--check", "independent", "--json", "-"
    for options, layers in (((), 2), (("--batchnorm", "own"), 3)):
        _, out, _ = run(capsys, *words, *options)
        rows = json.loads(out)["checks"][0]["rows"]
        assert len(rows) == 2 * layers


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--rule", "nope"], "unknown rule 'nope'"),
        (["--logit", "7"], "logit 7 does not exist"),
        (["--logit", "x"], "--logit 'x': give a whole number, or argmax"),
        (["--check", "other-logit"], "--check other-logit and --category belong together"),
        (["--check", "cascading", "--category", "0,1"], "--check other-logit and --category belong together"),
        (["--category", "0,a"], "--category '0,a': give outputs by their numbers"),
        (["--seed", "-1"], "seed -1: give a whole number from 0"),
        (["--device", "nowhere"], "--device nowhere: torch cannot use it"),
        (["--plot", "/nowhere/out.png"], "/nowhere/out-other-class.png: No such file or directory"),
        (["--check", "independent", "--plot", "out.nothing"], "out.nothing: cannot be written as a picture"),
    ],
)
def test_what_cannot_run_is_one_line_and_status_2(files, capsys, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    status, out, err = run(capsys, *files, *words)
    assert (status, out) == (2, "")
    assert message in err
    assert len(err.strip().split("\n")) == 1
    assert not list(Path().glob("out*"))


def test_without_inputs_or_with_one_file_for_two_things_it_cannot_run(files, capsys):
    status, _, err = run(capsys, *files, "--json", files[2])
    assert status == 2
    assert "which would overwrite it" in err
    with pytest.raises(SystemExit) as ended:
        sanity.main([files[0]])
    assert ended.value.code == 2
    assert "--input" in capsys.readouterr().err
