"""The scripts of benchmarks/ fit together; that for GPUs runs on the CPU in seconds."""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_script_for_gpus_runs_each_row_once(tmp_path):
    rows = tmp_path / "rows.jsonl"
    (ROOT / "benchmarks/.cache/dry.safetensors").unlink(missing_ok=True)
    settings = {
        "PROTOCOL": "dry",
        "DEVICE": "cpu",
        "NOISES": "symmetric_inclusive:0.5",
        "ROWS": str(rows),
        "OUT": str(tmp_path),
        "WORKERS": "1",
        "PRETRAIN": "--epochs 1",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    command = ["bash", str(ROOT / "benchmarks/gpu.sh"), "-", "rows"]
    done = subprocess.run(
        command, env=os.environ | settings, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    lines = rows.read_text().splitlines()
    found = Counter(json.loads(line)["method"] for line in lines)
    assert len(found) == 15 and set(found.values()) == {1}


def test_every_script_finds_what_it_imports():
    folder = ROOT / "benchmarks"
    names = sorted(path.stem for path in folder.glob("*.py"))
    code = "import importlib\nfor name in {}:\n    importlib.import_module(name)"
    command = [sys.executable, "-c", code.format(names)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
