"""The comparison of benchmarks/speed.py --check, with numbers that are made up."""

import importlib.util
import json
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def losses():
    path = BENCHMARKS / "regressions.py"
    spec = importlib.util.spec_from_file_location("regressions", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.losses


def row(config="ce/convnet", device="cpu", limit=1.02, precision="float32", **peers):
    ratios = {"limit": 1.0, "sknoisy": limit}
    speedups = {"limit": 1 / limit, "sknoisy": 1.0, **peers}
    row = {"config": config, "device": device, "precision": precision}
    return row | {"ratio_to_limit": ratios, "speedup_over": speedups}


def test_a_loss_of_a_tenth_is_named(losses):
    before = [row(limit=1.0, skorch=1.1), row("ce/mlp", limit=1.2)]
    now = [row(limit=1.1, skorch=1.1), row("ce/mlp", limit=1.2)]
    (line,) = losses(now, before)
    assert line.startswith("ce/convnet on cpu in float32: 10% slower: time / limit")
    (line,) = losses([row(limit=1.0, skorch=1.0)], before)
    assert "time / skorch is 1.000, and was 0.909" in line


def test_noise_and_gains_are_no_losses(losses):
    before = [row(limit=1.0, kornia=1.0)]
    assert losses([row(limit=1.05, kornia=0.96)], before) == []
    assert losses([row(limit=0.5, kornia=2.0)], before) == []
    assert losses(before, before) == []


def test_only_what_both_have_is_compared(losses):
    before = [row(limit=1.0, skorch=1.0), row(device="cuda", limit=0.1)]
    before.append(row(precision="bfloat16", limit=0.1))
    now = [row(limit=1.0, lightly=0.1), row("new", limit=9.0)]
    assert losses(now, before) == []
    with pytest.raises(ValueError, match="no row in common"):
        losses([row("new")], before)


def test_the_baseline_can_be_compared(losses):
    rows = json.loads((BENCHMARKS / "speed.json").read_text())["rows"]
    assert losses(rows, rows) == []
    halved = json.loads(json.dumps(rows))
    for each in halved:
        each["ratio_to_limit"]["sknoisy"] *= 2
    assert len(losses(halved, rows)) == len(rows)
