"""Two ranks train what one does; a rank that ends takes the others with it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch

from sknoisy import NoisyRobustClassifier, ranks
from sknoisy.training.distributed import together

sys.path.insert(0, str(Path(__file__).parent))
import distributed_cases  # noqa: E402

CASES = list(distributed_cases.cases())
SCRIPT = distributed_cases.__file__
MATCH = {"rtol": 1e-4, "atol": 1e-5}  # what SOP stores is multiplied by 2^15


def environment(**others):
    """Return what a rank is started with; no rank is, by itself."""
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    known = {k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE")}
    return known | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path} | others


def free_port():
    """Return a port of this machine that nothing listens to."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture(scope="module")
def run_ranks():
    """Return a function that runs a case without torchrun, which would end the ranks.

    It returns how each rank ended, and what it wrote.
    """
    command = [sys.executable, "-W", "ignore", SCRIPT]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment(), **pipes) as forking:

        def run(n_ranks, folder, name):
            print(n_ranks, free_port(), folder, name, file=forking.stdin, flush=True)
            codes = forking.stdout.readline().split()
            assert len(codes) == n_ranks
            texts = [(folder / f"{rank}.txt").read_text() for rank in range(n_ranks)]
            return [*zip(map(int, codes), texts, strict=True)]

        yield run


def loaded(folder, name, rank):
    with np.load(folder / f"{name}.{rank}.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Results of two ranks that torchrun started, a file for each case and rank.

    The processes of pytest-xdist share them: the first one that asks has them made.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "ranks"
    done = folder / "done"
    try:
        folder.mkdir()
    except FileExistsError:
        until = time.monotonic() + 300
        while not done.exists():
            assert time.monotonic() < until, "another process could not start the ranks"
            time.sleep(0.2)
    else:
        try:
            train_as_ranks(folder)
        finally:
            done.touch()
    return folder


def train_as_ranks(folder):
    """Start two ranks, which write what they learn of all cases into a folder."""
    torchrun = ["-m", "torch.distributed.run", "--nproc-per-node", "2"]
    torchrun += ["--master-port", str(free_port())]
    names = [*CASES, *distributed_cases.SPECIAL]
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", *torchrun, SCRIPT, folder, *names],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("name", CASES)
def test_two_ranks_learn_what_one_learns(name, folder):
    alone = distributed_cases.learned(distributed_cases.fitted(name))
    for rank in (0, 1):
        two = loaded(folder, name, rank)
        assert two.keys() == alone.keys()
        for key, values in alone.items():
            np.testing.assert_allclose(two[key], values, **MATCH, err_msg=key)


@pytest.mark.parametrize("name", ["views", "ssl_views", "unseeded", "refined"])
def test_ranks_are_equal_with_views_and_without_a_seed(name, folder):
    first, second = (loaded(folder, name, rank) for rank in (0, 1))
    assert first.keys() == second.keys()
    for key, values in first.items():
        np.testing.assert_array_equal(second[key], values, err_msg=key)


def test_accuracy_with_views_is_within_the_spread_of_seeds(folder):
    two = loaded(folder, "views", 0)["accuracy"]
    alone = [distributed_cases.accuracy_with_views(seed) for seed in range(3)]
    assert min(alone) - 0.05 <= two <= max(alone) + 0.05


def test_prediction_is_shared_where_it_is_asked_for(folder):
    for rank in (0, 1):
        found = loaded(folder, "prediction", rank)
        assert found["n_ranks"] == 2  # within together
        np.testing.assert_allclose(found["shared"], found["own"], rtol=1e-5)


def test_different_data_are_refused_by_all_ranks(folder):
    for rank in (0, 1):
        found = loaded(folder, "different", rank)
        assert "y is not the same on all ranks" in str(found["message"])
        assert found["then"] > 0.5  # the next training is sound


def test_a_cache_is_written_by_the_first_rank_and_read_by_all(folder):
    for rank in (0, 1):
        found = loaded(folder, "memory", rank)
        np.testing.assert_array_equal(found["first"], found["second"])
        assert found["n_entries"] == 1


def test_a_killed_rank_ends_the_others_and_any_number_goes_on(tmp_path, run_ranks):
    (code, text), (second, _) = run_ranks(2, tmp_path, "killed")
    assert second == -signal.SIGKILL
    assert code == 1 and "another rank has failed, or was killed" in text, text

    whole = distributed_cases.learned(distributed_cases.checkpointed())
    for n in (1, 3):  # as many as before: in the test below
        folder = tmp_path / str(n)
        kept = shutil.copytree(tmp_path / "kept", folder / "kept")
        if n == 1:
            found = distributed_cases.learned(distributed_cases.checkpointed(kept))
        else:
            results = run_ranks(n, folder, "resumed")
            assert [code for code, _ in results] == [0] * n, results
            found = loaded(folder, "resumed", n - 1)
        assert not list(kept.glob("*.checkpoint"))  # the first rank removed it
        for key, values in whole.items():
            np.testing.assert_allclose(found[key], values, **MATCH, err_msg=key)


def test_a_checkpoint_that_cannot_be_read_is_none_to_all_ranks(
    tmp_path, monkeypatch, run_ranks
):
    kept = tmp_path / "kept"
    with monkeypatch.context() as as_rank:
        as_rank.setenv("RANK", "1")
        falling = distributed_cases.Falling(distributed_cases.fail)
        with pytest.raises(ValueError, match="only this rank"):
            distributed_cases.checkpointed(kept, falling)
    (previous,) = kept.glob("*.previous")
    previous.unlink()
    (last,) = kept.glob("*.checkpoint")
    last.unlink()
    last.mkdir()  # a file that could not be opened would do the same
    results = run_ranks(2, tmp_path, "resumed")
    assert [code for code, _ in results] == [0, 0], results
    whole = distributed_cases.learned(distributed_cases.checkpointed())
    found = loaded(tmp_path, "resumed", 1)
    np.testing.assert_allclose(found["loss"], whole["loss"], **MATCH)


def test_an_exception_of_one_rank_ends_all(tmp_path, run_ranks):
    (_, first), (_, second) = run_ranks(2, tmp_path, "failing")
    assert "ValueError: only this rank" in second
    assert "another rank has failed, or was killed" in first


def test_alone_nothing_is_changed():
    tensor = torch.arange(3)
    with together():
        assert (ranks.size(), ranks.rank()) == (1, 0)
        for function in (ranks.part, ranks.gathered, ranks.average, ranks.from_first):
            assert function(tensor) is tensor
    assert ranks.in_parts(torch.neg, tensor).tolist() == [0, -1, -2]
    assert ranks.any_rank(True) and not ranks.any_rank(False)


def test_threads_cannot_share_ranks(monkeypatch):
    found = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "x", "MASTER_PORT": "1"}
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    X, y = distributed_cases.data()
    jobs = [joblib.delayed(NoisyRobustClassifier().fit)(X, y) for _ in range(2)]
    with pytest.raises(ValueError, match="n_jobs or threads are not valid"):
        joblib.Parallel(2, backend="threading")(jobs)
