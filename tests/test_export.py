"""The command that writes networks: every format holds the same function, and what is not equal is not left behind."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hostile import mlp, save
from torch import nn

import dtdsym
from dtdsym import export
from dtdsym.network.network import sequential

FORMATS = [".onnx", ".pt", ".safetensors"]


@pytest.fixture
def module():
    torch.manual_seed(0)
    made = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
    return made.append(nn.Linear(8, 3)).eval()


def files_of(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("second", FORMATS)
@pytest.mark.parametrize("first", FORMATS)
def test_one_function_goes_through_any_two_formats(tmp_path, capsys, module, first, second):
    source, middle, end = tmp_path / "net", tmp_path / f"middle{first}", tmp_path / f"end{second}"
    save(module, source)
    assert export.main([str(source), str(middle), "--input-shape", "1,4,4"]) == 0
    assert export.main([str(middle), str(end)]) == 0
    network = dtdsym.from_module(module, torch.zeros(1, 1, 4, 4))
    assert dtdsym.load(end).sha256 == network.sha256
    lines = capsys.readouterr().out.splitlines()
    facts = f"function {network.sha256}, 2 layers, {network.parameters} parameters, read back and equal"
    assert lines == [f"{middle}: {facts}", f"{end}: {facts}"]
    assert files_of(tmp_path) == sorted(["net", middle.name, end.name])


def test_a_state_dict_is_named_and_then_says_what_it_computes(tmp_path):
    save(mlp(3, 4, 2).state_dict(), tmp_path / "weights.pt")
    assert export.main([str(tmp_path / "weights.pt"), str(tmp_path / "net.PT"), "--layers", "relu-mlp"]) == 0
    whole = dtdsym.load(save(mlp(3, 4, 2), tmp_path / "whole.pt"))
    assert dtdsym.load(tmp_path / "net.PT").sha256 == whole.sha256


def test_the_command_runs_as_a_module(tmp_path):
    source = save(mlp(2, 2), tmp_path / "net.pt")
    command = [sys.executable, "-m", "dtdsym.export", str(source), str(tmp_path / "out.safetensors")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert dtdsym.load(source).sha256 in done.stdout


def test_what_is_there_is_replaced_by_force_only(tmp_path, capsys):
    source, out = save(mlp(2, 2), tmp_path / "net.pt"), tmp_path / "out.pt"
    out.write_text("precious")
    assert export.main([str(source), str(out)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert out.read_text() == "precious"
    assert export.main([str(source), str(out), "--force"]) == 0
    assert dtdsym.load(out).sha256 == dtdsym.load(source).sha256


def test_a_file_can_be_replaced_by_itself(tmp_path):
    source = save(mlp(2, 2), tmp_path / "net.pt")
    before = dtdsym.load(source).sha256
    assert export.main([str(source), str(source), "--force"]) == 0
    assert dtdsym.load(source).sha256 == before


REFUSED = {
    "no such file": (["none.pt", "out.pt"], "none.pt: no such file"),
    "suffix": (["net.pt", "out.pth"], "the name must end in .onnx, .pt, .safetensors"),
    "no suffix": (["net.pt", "out"], "the name must end in"),
    "no folder": (["net.pt", "none/out.pt"], "no place for a file"),
    "a folder": (["net.pt", "folder.pt", "--force"], "no place for a file"),
    "shape of words": (["net.pt", "out.pt", "--input-shape", "1,x"], "give whole numbers with commas between"),
    "another shape": (["net.pt", "out.pt", "--input-shape", "3"], "'0' takes 2 numbers"),
    "layers of a module": (["net.pt", "out.pt", "--layers", "relu-mlp"], "leave --layers"),
    "open input": (["conv.pt", "out.pt"], "give --input-shape 1,28,28"),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_written_is_refused_in_one_line(tmp_path, monkeypatch, capsys, case):
    arguments, words = case
    save(mlp(2, 2), tmp_path / "net.pt")
    save(nn.Sequential(nn.Conv2d(1, 1, 2)), tmp_path / "conv.pt")
    (tmp_path / "folder.pt").mkdir()
    monkeypatch.chdir(tmp_path)
    assert export.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("dtdsym: ")
    assert err.count("\n") == 1
    assert words in err
    assert files_of(tmp_path) == ["conv.pt", "folder.pt", "net.pt"]


def test_another_function_is_not_left_behind(tmp_path, monkeypatch, capsys):
    source, out = save(mlp(2, 2), tmp_path / "net.pt"), tmp_path / "out.pt"
    save_pt, other = export.save_pt, sequential((np.eye(2), [0.0, 0.0]))
    monkeypatch.setitem(export._WRITERS, ".pt", lambda network, path: save_pt(other, path))
    assert export.main([str(source), str(out)]) == 2
    assert "reads back as another function" in capsys.readouterr().err
    assert files_of(tmp_path) == ["net.pt"]


def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch, capsys):
    def full(network, path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device", str(path))

    source = save(mlp(2, 2), tmp_path / "net.pt")
    monkeypatch.setitem(export._WRITERS, ".pt", full)
    assert export.main([str(source), str(tmp_path / "out.pt")]) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert files_of(tmp_path) == ["net.pt"]


def test_a_missing_package_is_named(tmp_path, monkeypatch, capsys):
    source = save(mlp(2, 2), tmp_path / "net.pt")
    assert export.main([str(source), str(tmp_path / "net.onnx")]) == 0
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert export.main([str(source), str(tmp_path / "out.onnx")]) == 2
    assert export.main([str(tmp_path / "net.onnx"), str(tmp_path / "out.pt")]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first == "dtdsym: ONNX files need Python's package onnx; install onnx"
    assert second.endswith("it is an ONNX file, which needs Python's package onnx; install onnx")
