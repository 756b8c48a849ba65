"""Many workers, here or elsewhere: whoever is killed, nothing is lost and nothing counts twice."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import BrokenExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import distributed
import flint
import numpy as np
import pytest
import torch

import dtdsym
from dtdsym.arithmetic.precision import precision
from dtdsym.command import ended
from dtdsym.errors import InputError
from dtdsym.survey import cluster as cluster_module
from dtdsym.survey import run, workers
from dtdsym.survey.processes import here, in_flight, one_thread, processes
from dtdsym.survey.workers import Absent, Parcel, Slip, on_workers
from dtdsym.verify import main

ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}
ASKED = {"rules": ["zplus", "w2"], "layers": "all", "logit": 0}


def local_cluster(workers: int, **asked: object):
    """Loopback only."""
    return distributed.LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        protocol="tcp",
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        **asked,
    )


@pytest.fixture(scope="module")
def cluster():
    """Two worker processes on this machine."""
    with local_cluster(2, processes=True) as made:
        yield made


@pytest.fixture(scope="module")
def pool():
    with processes(2) as made:
        yield made


@pytest.fixture
def client(cluster):
    with distributed.Client(cluster, set_as_default=False) as made:
        made.wait_for_workers(2)
        yield made


@pytest.fixture(scope="module")
def network(repository):
    return dtdsym.load(str(repository / "examples/paper_mlp.pt"))


@pytest.fixture(scope="module")
def inputs():
    return np.abs(np.random.default_rng(0).standard_normal((400, 10))).astype(np.float32)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(run, "LARGEST_CHUNK", 20)


@pytest.fixture(scope="module")
def alone(network, inputs):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "LARGEST_CHUNK", 20)
        return counts(dtdsym.audit(network, inputs, **ASKED))


def counts(report) -> dict:
    """The JSON report without its clocks."""
    found = report if isinstance(report, dict) else report.to_json()
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in (*found["roots"], *found["claims"])]
    return {"rows": rows, "inputs": found["inputs"]}


class Killing:
    """Kills a process once some inputs are done."""

    def __init__(self, pid) -> None:
        self.pid, self.done = pid, []

    def __call__(self, done: int, total: int) -> None:
        self.done.append((done, total))
        if len(self.done) == 3:
            os.kill(self.pid(), signal.SIGKILL)


# ------------------------------------------------------------------ workers that are killed


def test_a_worker_of_dask_is_killed_midway(client, network, inputs, alone):
    before = set(client.run(os.getpid).values())
    killing = Killing(lambda: min(before))
    report = dtdsym.audit(network, inputs, **ASKED, executor=client.get_executor(), progress=killing)
    assert counts(report) == alone
    assert [done for done, _ in killing.done] == list(range(20, 401, 20))
    assert min(before) not in client.run(os.getpid).values()


def children() -> set[int]:
    return {process.pid for process in multiprocessing.active_children()}


def test_a_worker_process_is_killed_midway_and_the_run_resumed(network, inputs, alone, tmp_path):
    journal = tmp_path / "run.jsonl"
    before = children()
    killing = Killing(lambda: min(children() - before))
    with pytest.raises(BrokenExecutor), processes(2) as own:
        dtdsym.audit(network, inputs, **ASKED, executor=own, journal=str(journal), progress=killing)
    kept = [json.loads(line)["chunk"] for line in journal.read_bytes().splitlines()[1:]]
    assert 3 <= len(kept) < 20
    assert counts(dtdsym.audit(network, inputs, **ASKED, journal=str(journal))) == alone
    all_chunks = [json.loads(line)["chunk"] for line in journal.read_bytes().splitlines()[1:]]
    assert all_chunks[: len(kept)] == kept
    assert sorted(all_chunks) == list(range(20))


def deadly(part: int) -> int:
    if part == 5:
        os._exit(1)
    return part


def test_a_part_that_ends_every_worker_is_told_in_one_line(cluster, client, capsys):
    cluster.scheduler.allowed_failures, before = 0, cluster.scheduler.allowed_failures
    try:
        found = ended(lambda: len(list(on_workers(deadly, client.get_executor(), range(8)))), "run.jsonl")
    finally:
        cluster.scheduler.allowed_failures = before
    err = capsys.readouterr().err
    assert found == 2
    assert err.startswith("dtdsym: part ")
    assert err.endswith(
        " was given to 1 workers of Dask, and each was ended (for want of memory?); give workers more memory; finished "
        "work is in run.jsonl\n"
    )
    assert err.count("\n") == 1


def test_what_was_finished_before_workers_ended_is_not_lost():
    class Breaking(ThreadPoolExecutor):
        """Ends when the second batch of parts is given to it, after it has done the first."""

        def submit(self, fn, /, *args):
            if args[0] >= in_flight(2):
                self.shutdown()
                raise BrokenExecutor
            return super().submit(fn, *args)

    found = []
    with pytest.raises(BrokenExecutor), Breaking(2) as pool:
        found.extend(on_workers(abs, pool, range(100)))
    assert sorted(found) == [(part, part) for part in range(in_flight(2))]


def test_a_lost_scheduler_is_told_in_one_line(capsys):
    def work() -> int:
        with local_cluster(1, processes=False) as made, distributed.Client(made, set_as_default=False) as client:
            parts = on_workers(partial(slow, 0.2), client.get_executor(), range(50))
            next(parts)
            client.restart(wait_for_workers=False)
            return len(list(parts))

    assert ended(work) == 2
    assert "was cancelled: the scheduler of Dask was ended or restarted; --resume FILE" in capsys.readouterr().err


def slow(seconds: float, part: int) -> int:
    time.sleep(seconds)
    return part


# ------------------------------------------------------------------ drivers that are killed or interrupted


CODE = """
import signal, sys
from dtdsym.survey import run
from dtdsym.verify import main
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs, these tests too, ignore it
    run.LARGEST_CHUNK = 20
    sys.exit(main())
"""


def command(*words: object) -> list[str]:
    """The command line, with small chunks."""
    return [sys.executable, "-c", CODE, "examples/paper_mlp.pt", "--logit", "0", *map(str, words)]


def started(words: list[str], repository: Path, lines: int, journal: Path) -> subprocess.Popen:
    """A run in a session of its own, once its journal has so many lines."""
    run = subprocess.Popen(
        words, cwd=repository, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ONE_THREAD,
        start_new_session=True,
    )  # fmt: skip
    while not journal.exists() or journal.read_bytes().count(b"\n") < lines:
        assert run.poll() is None, "it ended before it could be stopped"
        time.sleep(0.01)
    return run


def test_the_driver_is_killed_and_resumed_on_dask(cluster, repository, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(repository)

    def words(name: str) -> list[str]:
        files = ("--resume", tmp_path / f"{name}.jsonl", "--certificates", tmp_path / f"{name}.certificates")
        return command("--samples", 400, "--rule", "zplus", "--json", "-", *files)

    dask = ["--dask", cluster.scheduler_address]
    killed = started([*words("a"), *dask], repository, 2, tmp_path / "a.jsonl")
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    kept = (tmp_path / "a.jsonl").read_bytes()
    assert kept.count(b"\n") < 21
    resumed = subprocess.run([*words("a"), *dask], cwd=repository, capture_output=True, text=True, env=ONE_THREAD)
    assert (resumed.returncode, resumed.stderr) == (1, "")
    assert main(words("b")[3:]) == 1
    reports = [json.loads(text) for text in (resumed.stdout, capsys.readouterr().out)]
    assert counts(reports[0]) == counts(reports[1])
    assert [report["certificates"]["written"] for report in reports] == [4000, 4000]
    lines = [Counter((tmp_path / f"{name}.certificates").read_bytes().splitlines()) for name in "ab"]
    assert lines[0] == lines[1]
    whole = kept[: kept.rfind(b"\n") + 1]
    assert (tmp_path / "a.jsonl").read_bytes().startswith(whole)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_no_worker_process_outlives_its_run(repository, tmp_path, how):
    """Ctrl-C goes to all of them, as from a terminal; SIGKILL to the driver alone."""
    journal = tmp_path / "run.jsonl"
    words = command("--samples", 10000, "--rule", "zplus", "--jobs", 2, "--resume", journal)
    stopped = started(words, repository, 2, journal)
    if how == signal.SIGINT:
        os.killpg(stopped.pid, how)
    else:
        os.kill(stopped.pid, how)
    out, err = stopped.communicate(timeout=60)  # ends when the last process that holds these pipes has ended
    if how == signal.SIGINT:
        assert (stopped.returncode, out, err) == (130, "", f"dtdsym: interrupted; {journal} is kept\n")
    assert journal.read_bytes().count(b"\n") >= 2


def test_worker_processes_leave_ctrl_c_to_the_driver(pool):
    """An idle one, or one that starts, would say what interrupted it in many lines."""
    assert signal.SIGINT in pool.submit(signal.pthread_sigmask, signal.SIG_BLOCK, []).result()
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_what_is_not_needed_any_more_is_cancelled(cluster, client):
    executor, sent = client.get_executor(), []
    submit = executor.submit
    executor.submit = lambda *asked, **how: sent.append(submit(*asked, **how)) or sent[-1]
    parts = on_workers(partial(slow, 0.1), executor, range(30))
    next(parts)
    parts.close()  # as Ctrl-C does
    assert len(sent) == 30
    assert sum(future.cancelled() for future in sent) > 15
    sent.clear()
    deadline = time.monotonic() + 10
    while cluster.scheduler.tasks:
        assert time.monotonic() < deadline, f"still there: {list(cluster.scheduler.tasks)}"
        time.sleep(0.02)


def test_the_client_of_the_command_line_is_closed(cluster, client, repository, capsys):
    threads = {thread.name for thread in threading.enumerate()}
    known = len(cluster.scheduler.clients)
    words = ("--samples", 3, "--logit", 0, "--quiet", "--dask", cluster.scheduler_address)
    assert main([str(repository / "examples/paper_mlp.pt"), *map(str, words)]) == 1
    assert capsys.readouterr() == ("", "")
    deadline = time.monotonic() + 10
    while len(cluster.scheduler.clients) > known:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert {thread.name for thread in threading.enumerate()} <= threads | {"Dask-Offload_0"}


# ------------------------------------------------------------------ any executor counts alike, and each chunk once


def test_threads_count_what_one_counts(network, inputs, alone):
    torch.set_num_threads(2)
    try:
        with ThreadPoolExecutor(4) as executor:
            assert counts(dtdsym.audit(network, inputs, **ASKED, executor=executor)) == alone
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


def test_threads_decide_claims_as_one_does(repository):
    """c4 sets the precision of the whole process's balls; admissible roots use a HiGHS of each thread's own."""
    net = dtdsym.load(str(repository / "examples/paper_mlp.pt"))
    x = np.abs(np.random.default_rng(1).standard_normal((60, 10))).astype(np.float32)
    asked = {"rules": ["zplus"], "logit": 0, "claims": ["c4", "admissible_root", "nonpositive_bias"]}
    with ThreadPoolExecutor(4) as executor:
        many = dtdsym.audit(net, x, **asked, executor=executor)
    assert counts(many) == counts(dtdsym.audit(net, x, **asked))


def test_the_precision_of_balls_is_one_threads_at_a_time():
    before, entered, leave, second = flint.ctx.prec, threading.Event(), threading.Event(), threading.Event()

    def first() -> None:
        with precision(99):
            entered.set()
            leave.wait()

    def other() -> None:
        with precision(77):
            second.set()

    threads = [threading.Thread(target=work) for work in (first, other)]
    threads[0].start()
    entered.wait()
    threads[1].start()
    early, within = second.wait(0.1), flint.ctx.prec
    leave.set()
    for thread in threads:
        thread.join()
    assert (early, within, second.is_set(), flint.ctx.prec) == (False, 99, True, before)


def test_a_chunk_that_comes_twice_counts_once(network, inputs, alone, tmp_path):
    """Two drivers of one run may both have written it."""
    journal = tmp_path / "run.jsonl"
    dtdsym.audit(network, inputs, **ASKED, journal=str(journal))
    header, *lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([header, *lines[:7], *lines[2:5]]))

    class Twice(ThreadPoolExecutor):
        """Does everything twice, as after a worker that was lost too late."""

        def submit(self, fn, /, *args):
            super().submit(fn, *args)
            return super().submit(fn, *args)

    with Twice(2) as executor:
        assert counts(dtdsym.audit(network, inputs, **ASKED, journal=str(journal), executor=executor)) == alone


# ------------------------------------------------------------------ the network travels once a worker


class Traveller:
    """Writes a line when it leaves a process and when it comes to one."""

    def __init__(self, log: Path) -> None:
        self.log = log

    def __call__(self, part: int) -> int:
        time.sleep(0.02)
        return os.getpid()

    def __reduce__(self):
        with self.log.open("a") as file:
            file.write(f"left {os.getpid()}\n")
        return arrived, (self.log,)


def arrived(log: Path) -> Traveller:
    with log.open("a") as file:
        file.write(f"came {os.getpid()}\n")
    return Traveller(log)


def travels(log: Path) -> tuple[Counter, Counter]:
    lines = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
    return tuple(Counter(int(pid) for what, pid in lines if what == wanted) for wanted in ("left", "came"))


def test_work_travels_once_to_a_process(pool, tmp_path, monkeypatch):
    (tmp_path / "files").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "files"))
    pids = {pid for _, pid in on_workers(Traveller(tmp_path / "log"), pool, range(100))}
    left, came = travels(tmp_path / "log")
    assert left == {os.getpid(): 1}
    assert came == dict.fromkeys(pids, 1)
    assert list((tmp_path / "files").iterdir()) == []


def test_work_travels_once_to_a_worker_of_dask(client, tmp_path):
    client.run(sys.path.append, str(Path(__file__).parent))
    pids = {pid for _, pid in on_workers(Traveller(tmp_path / "log"), client.get_executor(), range(60))}
    left, came = travels(tmp_path / "log")
    assert len(pids) == 2
    assert left == {os.getpid(): 1}
    assert came == dict.fromkeys(pids, 1)


def test_threads_share_the_work(tmp_path):
    with ThreadPoolExecutor(3) as executor:
        assert {pid for _, pid in on_workers(Traveller(tmp_path / "log"), executor, range(50))} == {os.getpid()}
    assert travels(tmp_path / "log") == (Counter(), Counter())


def test_where_workers_cannot_read_the_file_the_work_goes_along(pool, tmp_path, monkeypatch):
    """As for an executor of another machine's processes that nobody has told us about."""
    monkeypatch.setattr(Parcel, "_written", lambda self: Slip(str(tmp_path / "nowhere"), "", here()))
    found = sorted(on_workers(abs, pool, range(-100, 0)))
    assert found == [(part, -part) for part in range(-100, 0)]


def test_a_file_that_was_changed_is_not_unpickled(tmp_path):
    (tmp_path / "work").write_bytes(b"cos\nabort\n(tR.")
    with pytest.raises(Absent):
        Slip(str(tmp_path / "work"), "0" * 64, here())(0)


def test_a_folder_without_room_is_named(pool, monkeypatch):
    def full(**_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(workers.tempfile, "NamedTemporaryFile", full)
    with pytest.raises(InputError, match=r"bytes for the workers cannot be written \(No space.*set TMPDIR"):
        list(on_workers(abs, pool, [1]))


def test_many_workers_have_enough_to_do():
    assert [in_flight(workers) for workers in (0, 2, 100)] == [32, 32, 200]


@pytest.mark.parametrize(("home", "expected"), [(("elsewhere", 1), 1), (here(), 2)])
def test_workers_compute_with_one_thread_and_a_users_own_are_left_alone(home, expected):
    torch.set_num_threads(2)
    try:
        with one_thread(home):
            assert torch.get_num_threads() == expected
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


# ------------------------------------------------------------------ what cannot run says so in one line


def refused(capsys, repository, *words: object) -> str:
    assert main([str(repository / "examples/paper_mlp.pt"), "--samples", "3", *map(str, words)]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    return err


def test_jobs_and_a_cluster_exclude_each_other(capsys, repository):
    assert "--jobs and --dask: " in refused(capsys, repository, "--jobs", 2, "--dask", "tcp://127.0.0.1:1")


@pytest.mark.parametrize("address", ["", "cluster", "tcp://cluster", "tcp://cluster:port"])
def test_an_address_without_a_port_is_refused(capsys, repository, address):
    err = refused(capsys, repository, "--dask", address)
    assert f"--dask {address!r}: give the scheduler's address, such as tcp://10.0.0.1:8786" in err


def test_without_dask_the_extra_is_named(capsys, repository, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert "pip install 'dtdsym[dask]'" in refused(capsys, repository, "--dask", "tcp://127.0.0.1:8786")


@pytest.mark.parametrize("scheme", ["tcp://", "", "nonsense://"])
def test_where_nothing_listens_it_says_so_soon(capsys, repository, monkeypatch, scheme):
    monkeypatch.setattr(cluster_module, "SECONDS", 1)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        err = refused(capsys, repository, "--dask", f"{scheme}127.0.0.1:{port}")
    assert f"--dask {scheme}127.0.0.1:{port}: no scheduler of Dask answers there within 1 seconds" in err


def test_another_version_on_a_worker_is_refused_by_name(cluster, client, capsys, repository, network, inputs):
    worker = next(iter(client.run(os.getpid)))
    code = "import dtdsym._version as v, dtdsym.survey.cluster as c; v.__version__ = c.__version__ = {!r}"
    client.run(exec, code.format("0.0"), workers=[worker])
    try:
        err = refused(capsys, repository, "--dask", cluster.scheduler_address)
        assert f"worker {worker} has dtdsym 0.0, and this run is of {dtdsym.__version__}; install the same" in err
        with pytest.raises(InputError, match=r"has dtdsym 0\.0, and this run is of"):
            dtdsym.audit(network, inputs, **ASKED, executor=client.get_executor())
    finally:
        client.run(exec, code.format(dtdsym.__version__), workers=[worker])


def test_a_worker_without_dtdsym_is_refused_by_name(cluster, client, capsys, repository):
    worker = next(iter(client.run(os.getpid)))
    client.run(exec, "import sys; sys.hidden = sys.modules['dtdsym._version']; sys.modules['dtdsym._version'] = None",
               workers=[worker])  # fmt: skip
    try:
        err = refused(capsys, repository, "--dask", cluster.scheduler_address)
        assert f"worker {worker} cannot load dtdsym (" in err
    finally:
        client.run(exec, "import sys; sys.modules['dtdsym._version'] = sys.hidden", workers=[worker])


def test_a_cluster_without_workers_is_refused(capsys, repository):
    with local_cluster(0, processes=False) as empty:
        err = refused(capsys, repository, "--dask", empty.scheduler_address)
    assert f"the cluster has no worker; start some with `dask worker {empty.scheduler_address}`" in err


def test_regions_are_counted_on_a_cluster(cluster, client, network, tmp_path, capsys):
    from dtdsym.regions import main as regions

    torch.save(torch.nn.Sequential(torch.nn.Linear(2, 6), torch.nn.ReLU(), torch.nn.Linear(6, 1)), tmp_path / "n.pt")
    asked = [str(tmp_path / "n.pt"), "--box=-1:1", "--count"]
    assert regions(asked) == regions([*asked, "--dask", cluster.scheduler_address]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == second
