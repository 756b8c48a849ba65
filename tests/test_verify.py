"""The command line: exit statuses, JSON, and one clear line for every bad input."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from processes import ended_workers
from torch import nn

from dtdsym import verify
from dtdsym.__main__ import main as dtdsym_main
from dtdsym.verify import main


@pytest.fixture
def net(tmp_path):
    """[x_1 + x_2], whose zplus roots are 0, on the hinge; with a second output that is never above 0."""
    module = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    with torch.no_grad():
        module[0].weight.copy_(torch.tensor([[1.0, 1.0], [0.0, 0.0]]))
        module[0].bias.zero_()
    torch.save(module, tmp_path / "net.pt")
    return tmp_path / "net.pt"


@pytest.fixture
def linear(tmp_path):
    torch.manual_seed(0)
    torch.save(nn.Sequential(nn.Linear(2, 1)), tmp_path / "linear.pt")
    return tmp_path / "linear.pt"


def run(capsys, *words) -> tuple[int, str, str]:
    status = main([str(word) for word in words])
    out, err = capsys.readouterr()
    return status, out, err


def test_a_violation_is_shown_and_exits_with_1(capsys, net):
    status, out, err = run(capsys, net, "--logit", 0, "--rule", "zplus", "--samples", 20)
    assert (status, err) == (1, "")
    assert "20 of 20 (100.0 %) root points lie on the region's edge" in " ".join(out.split())


def test_where_every_root_is_valid_it_exits_with_0(capsys, linear):
    status, out, _ = run(capsys, linear, "--rule", "w2", "--domain", "real", "--samples", 5)
    assert status == 0
    assert "All 5 lie inside" in out


def test_where_the_budget_leaves_something_open_it_exits_with_3(capsys, tmp_path):
    """x_1 = [x_1] - [-x_1], and so on: at 0 in 12 dimensions 2^12 cones have to be listed to know it is regular."""
    module = nn.Sequential(
        nn.Linear(12, 24, bias=False), nn.ReLU(), nn.Linear(24, 24, bias=False), nn.ReLU(), nn.Linear(24, 1)
    )
    with torch.no_grad():
        module[0].weight.copy_(torch.cat([torch.eye(12), -torch.eye(12)]))
        module[2].weight.copy_(torch.eye(24))
        module[4].weight.copy_(torch.cat([torch.ones(12), -torch.ones(12)])[None])
        module[4].bias.fill_(1)
    torch.save(module, tmp_path / "net.pt")
    np.save(tmp_path / "x.npy", np.ones((1, 12)))
    asked = (tmp_path / "net.pt", "--input", tmp_path / "x.npy", "--rule", "lrp0", "--budget")
    assert run(capsys, *asked, 0.05)[0] == 3


def test_json_is_one_document_and_nothing_else(capsys, net, tmp_path):
    status, out, err = run(capsys, net, "--logit", 0, "--samples", 7, "--json", "-", "--layer", "all")
    report = json.loads(out)
    assert (status, err) == (1, "")
    assert report["format"] == "dtdsym-report/1"
    assert report["network"]["widths"] == [2, 2]
    assert report["inputs"]["audited"] == 7
    assert [claim["claim"] for claim in report["claims"]] == ["c5", "c6"] * 4
    assert [row["rule"] for row in report["roots"]] == ["lrp0", "gamma", "w2", "zplus"]
    for row in report["roots"]:
        assert sum(row["places"].values()) == row["total"] == 7
        assert set(row["taylor_residual"]) >= {"max", "median"}
    run(capsys, net, "--logit", 0, "--samples", 7, "--json", tmp_path / "r.json", "--quiet", "--layer", "all")
    again = json.loads((tmp_path / "r.json").read_text())
    assert [row["places"] for row in again["roots"]] == [row["places"] for row in report["roots"]]


def test_quiet_says_nothing(capsys, net):
    assert run(capsys, net, "--logit", 0, "--samples", 2, "--quiet") == (1, "", "")


def test_where_nothing_was_audited_it_says_so_and_exits_with_2(capsys, net, tmp_path):
    np.save(tmp_path / "x.npy", np.array([[-1.0, 0.0]]))
    status, out, err = run(capsys, net, "--logit", 0, "--input", tmp_path / "x.npy")
    assert status == 2
    assert "No input was audited: 1 left out" in " ".join(out.split())
    assert "no input was audited" in err


def test_residuals_beyond_float64_are_reported_exactly(capsys, tmp_path):
    module = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1)).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.full_like(parameter, 1e200))
        module[0].bias.copy_(torch.tensor([-1e199, 1e199], dtype=torch.float64))
    torch.save(module, tmp_path / "huge.pt")
    status, out, err = run(capsys, tmp_path / "huge.pt", "--samples", 3, "--layer", "all", "--json", "-")
    assert (status, err) == (1, "")
    largest = max(int(row["taylor_residual"]["max"].partition("/")[0]) for row in json.loads(out)["roots"])
    assert largest > 10**308


def test_several_workers_count_what_one_counts(capsys, net):
    asked = (net, "--logit", 0, "--samples", 50, "--json", "-")
    reports = [json.loads(run(capsys, *asked, "--jobs", jobs)[1]) for jobs in (1, 2)]
    assert [row["places"] for row in reports[0]["roots"]] == [row["places"] for row in reports[1]["roots"]]


def test_a_heatmap_is_a_picture(capsys, net, tmp_path):
    run(capsys, net, "--logit", 0, "--samples", 2, "--quiet", "--heatmap", tmp_path / "h.png")
    assert (tmp_path / "h.png").read_bytes().startswith(b"\x89PNG")


PAGES = {
    "beside json": ("--json", "r.json"),
    "with workers": ("--jobs", "2"),
    "of a sample": ("--sample-roots", "3"),
    "resumed": ("--resume", "run.jsonl"),
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_written_beside_everything_else(capsys, net, tmp_path, monkeypatch, name):
    """Also by a run that only goes on from what was finished; its command is on it."""
    monkeypatch.chdir(tmp_path)
    words = ("net.pt", "--logit", 0, "--samples", 4, "--html", "r.html", "--rule", "zplus", *PAGES[name])
    for _ in range(2 if "--resume" in words else 1):
        (tmp_path / "r.html").unlink(missing_ok=True)
        assert run(capsys, *words)[0] == 1
        page = (tmp_path / "r.html").read_text(encoding="utf-8")
        assert "python -m dtdsym.verify net.pt --logit 0 --samples 4 --html r.html" in page
        assert page.count("<h3>Input ") == 3


def test_a_network_by_a_hostile_name_is_only_a_name(capsys, net, tmp_path):
    hostile = tmp_path / "<script>alert(1)<!--.pt"
    net.rename(hostile)
    run(capsys, hostile, "--logit", 0, "--samples", 2, "--html", tmp_path / "r.html", "--quiet")
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;!--.pt" in page


def test_a_page_that_cannot_be_written_is_refused_before_the_audit(capsys, net, monkeypatch):
    monkeypatch.setattr(verify, "conduct", None)
    status, out, err = run(capsys, net, "--logit", 0, "--html", "/nowhere/r.html")
    assert (status, out) == (2, "")
    assert err == "dtdsym: /nowhere/r.html: No such file or directory\n"


BAD_OPTIONS = {
    "unknown rule": (["--rule", "lrp"], "unknown rule 'lrp'; the rules are lrp0, epsilon, gamma, zplus"),
    "negative gamma": (["--rule", "gamma:-1"], "gamma takes gamma >= 0"),
    "zbox without bounds": (["--rule", "zbox"], "zbox takes the bounds LOW:HIGH"),
    "hinge root of epsilon": (["--rule", "epsilon", "--root", "hinge"], "no search direction"),
    "logit out of range": (["--logit", "2"], "logit 2 does not exist; the network has outputs 0 to 1"),
    "negative logit": (["--logit", "-1"], "logit -1 does not exist"),
    "logit no number": (["--logit", "cat"], "--logit 'cat'"),
    "layer out of range": (["--layer", "2"], "layer 2 does not exist"),
    "layers mixed": (["--layer", "1,all"], "layer 'all': give whole numbers, or all"),
    "domain beyond floats": (["--domain", "box:0:1e400"], "within 2^1000"),
    "layer no number": (["--layer", "x"], "--layer 'x'"),
    "no logit above": (["--logit", "1"], "no input with logit 1 above 0.1 found in 1000 draws"),
    "unknown domain": (["--domain", "cube"], "domain 'cube'"),
    "budget of nothing": (["--budget", "0"], "--budget 0: give a number of seconds above 0"),
    "budget nan": (["--budget", "nan"], "--budget nan: give a number of seconds above 0"),
    "a ledger of minus one": (["--ledger", "-1"], "--ledger -1: give 0 or more"),
    "samples of given inputs": (["--input", "x.npy", "--samples", "3"], "leave out one of the two"),
    "no samples": (["--samples", "0"], "0 samples asked for"),
    "negative samples": (["--samples", "-3"], "-3 samples asked for"),
    "negative seed": (["--seed", "-1"], "--seed -1"),
    "no workers": (["--jobs", "0"], "--jobs 0"),
    "workers here and elsewhere": (["--jobs", "2", "--dask", "10.0.0.1:8786"], "--jobs and --dask: "),
    "unknown root": (["--root", "square"], "root 'square'"),
    "unknown engine": (["--engine", "warp"], "engine 'warp'"),
    "min logit nan": (["--min-logit", "nan"], "--min-logit"),
    "unwritable report": (["--json", "/nowhere/r.json"], "/nowhere/r.json"),
    "unwritable heat-map": (["--logit", "0", "--samples", "1", "--heatmap", "/nowhere/h.png"], "/nowhere/h.png"),
    "missing inputs": (["--input", "nowhere.npy"], "nowhere.npy"),
    "certificates to standard output": (["--certificates", "-"], "--certificates -: standard output is the report's"),
    "a page to standard output": (["--html", "-"], "--html -: standard output is the report's"),
    "one file twice": (["--json", "z.jsonl", "--certificates", "z.jsonl"], "z.jsonl: given for --json and for --cert"),
    "inputs overwritten": (["--input", "x.npy", "--json", "./x.npy"], "x.npy: given for --input and for --json"),
    "layers overwritten": (["--layers", "layers.json", "--json", "layers.json"], "given for --layers and for --json"),
    "a box without ends": (["--logit", "0", "--for-all", "real"], "--for-all real: expected a box with two ends"),
    "a box of no one logit": (["--for-all", "box:0:1"], "--for-all speaks of one logit: give --logit K"),
    "an unknown norm": (["--root", "nearest:l3"], "root 'nearest:l3': expected nearest"),
}


def test_a_network_is_not_overwritten(capsys, net):
    before = net.read_bytes()
    for option in ("--json", "--certificates", "--resume", "--heatmap", "--html"):
        status, _, err = run(capsys, net, option, net)
        assert status == 2
        assert f"given for NET and for {option}" in err
    assert net.read_bytes() == before


def test_what_argparse_refuses_is_one_line_too(capsys, net):
    with pytest.raises(SystemExit) as ended:
        main([str(net), "--samples", "many"])
    err = capsys.readouterr().err
    assert ended.value.code == 2
    assert err.startswith("dtdsym: argument --samples: invalid int value: 'many'")
    assert err.count("\n") == 1


@pytest.mark.parametrize("kept", [True, False])
def test_a_worker_that_is_ended_is_told_in_one_line(capsys, net, tmp_path, monkeypatch, kept):
    monkeypatch.setattr(verify, "workers", ended_workers)
    words = ("--resume", tmp_path / "run") if kept else ()
    status, out, err = run(capsys, net, "--logit", 0, "--samples", 3, "--jobs", 2, *words)
    assert (status, out) == (2, "")
    where = f"finished work is in {tmp_path / 'run'}" if kept else "--resume FILE would have kept finished work"
    assert err == f"dtdsym: a worker process was ended (for want of memory?); use fewer --jobs; {where}\n"


def test_claims_for_all_inputs_of_a_box_are_shown_and_stand_in_the_json(capsys, net, linear, tmp_path):
    """[x_1 + x_2]: every hinge root of w2 lies on the hinge; x_1 a + x_2 b + c: none leaves."""
    words = ["--logit", 0, "--samples", 2, "--rule", "w2", "--for-all", "box:-1:2", "--json", tmp_path / "r.json"]
    status, out, _ = run(capsys, net, *words)
    assert status == 1
    said = " ".join(out.split())
    assert "For all inputs of the box c2, proved:" in said
    assert (
        "c5, w2, proved: Some input of the box from -1 to 2 with a logit above 3602879701896397/36028797018963968"
        in said
    )
    assert "(the float 0.1) has a hinge root of w2, at layer 1, that is not inside its linear region." in said
    written = [claim for claim in json.loads((tmp_path / "r.json").read_text())["claims"] if claim.get("box")]
    assert [(claim["claim"], claim["input"], claim["box"]) for claim in written] == [
        ("c2", None, "box:-1:2"),
        ("c5", None, "box:-1:2"),
    ]
    assert "c5, w2, refuted" in " ".join(run(capsys, linear, *words[:-2])[1].split())


def one_output(tmp_path, numbers=((1, 2), (-1, -2))):
    """[x + 2y + 1] - [-x - 2y - 1] + 3: one region."""
    module = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
    for parameter, entries in zip(module.parameters(), (numbers, (1, -1), [(1, -1)], (3,)), strict=True):
        parameter.data = torch.tensor(entries, dtype=torch.float32)
    torch.save(module, tmp_path / "one.pt")
    return tmp_path / "one.pt"


def test_nothing_is_violated_where_all_roots_are_inside_for_all_inputs_too(capsys, tmp_path):
    """--for-all takes the only output; c2, an identity, is no bad news."""
    path = one_output(tmp_path)
    words = ["--samples", 3, "--rule", "w2", "--root", "hinge", "--for-all", "box:-1:2"]
    status, out, err = run(capsys, path, *words)
    said = " ".join(out.split())
    assert (status, err) == (0, "")
    assert "c2, proved: " in said
    assert "c5, w2, refuted: " in said
    assert run(capsys, path, *words, "--claim", "c2")[0] == 1
    assert run(capsys, path, *words[:-4], "--root", "hinge", "--rule", "pinv", "--for-all", "box:-1:2")[0] == 3


def test_every_box_is_decided(capsys, tmp_path):
    words = ["--samples", 2, "--rule", "w2", "--for-all", "box:0:1", "--for-all", "box:-1:2", "--for-all", "box:0:1"]
    _, out, _ = run(capsys, one_output(tmp_path), *words, "--json", "-")
    boxes = [claim["box"] for claim in json.loads(out)["claims"] if claim.get("box")]
    assert boxes == ["box:0:1", "box:0:1", "box:-1:2", "box:-1:2"]


def test_nearest_roots_are_shown_with_what_they_would_explain(capsys, net):
    status, out, _ = run(capsys, net, "--logit", 0, "--samples", 3, "--root", "nearest:linf", "--rule", "zplus")
    told = " ".join(out.split())
    assert status == 0
    assert "there is an admissible root" in told
    assert "What admissible roots would explain zplus: over 3 inputs its explanation differs" in told
    assert "nearest:linf roots; domain nonnegative" in told


@pytest.mark.parametrize("name", BAD_OPTIONS)
def test_bad_options_are_refused_in_one_line(capsys, net, name):
    words, message = BAD_OPTIONS[name]
    status, out, err = run(capsys, net, *words)
    assert (status, out) == (2, "")
    assert err.startswith("dtdsym: ")
    assert err.count("\n") == 1
    assert message in err


def test_bad_networks_are_refused_in_one_line(capsys, tmp_path):
    (tmp_path / "text.pt").write_text("no network")
    torch.save(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(2, 1)), tmp_path / "unchained.pt")
    torch.save(nn.Sequential(nn.Linear(2, 2), nn.Sigmoid()), tmp_path / "sigmoid.pt")
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "weights.pt")
    bad = nn.Sequential(nn.Linear(2, 2))
    bad[0].weight.data[1, 0] = float("nan")
    torch.save(bad, tmp_path / "nan.pt")
    expected = {
        "missing.pt": "no such file",
        "text.pt": "text file",
        "unchained.pt": "receives 3",
        "sigmoid.pt": "Sigmoid",
        "weights.pt": "--layers relu-mlp",
        "nan.pt": "weight[1, 0] is nan",
    }
    for name, message in expected.items():
        status, out, err = run(capsys, tmp_path / name)
        assert (status, out) == (2, "")
        assert err.count("\n") == 1
        assert message in err


def test_the_command_dtdsym_finds_its_subcommands(capsys, net):
    assert dtdsym_main(["verify", str(net), "--logit", "0", "--samples", "2", "--quiet"]) == 1
    assert dtdsym_main(["verfy"]) == 2
    assert "unknown command 'verfy'" in capsys.readouterr().err
    assert dtdsym_main(["--help"]) == 0
    assert "verify" in capsys.readouterr().out
