"""The scripts of benchmarks/ fit together; that for GPUs runs on the CPU in seconds."""

import importlib
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from processes import run_python

ROOT = Path(__file__).parents[1]


# What the shell starts, in one process; in one of its own, each imports for seconds.
IN_ONE_PROCESS = """
import runpy, sys
from pathlib import Path

for line in Path(sys.argv[1]).read_text().splitlines():
    sys.argv = line.split("\t")
    sys.path[0] = str(Path(sys.argv[0]).parent)
    runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_script_for_gpus_runs_each_row_once(tmp_path):
    rows, started = tmp_path / "rows.jsonl", tmp_path / "started"
    python = tmp_path / "python3"
    python.write_text('#!/bin/bash\nIFS=$\'\\t\'\necho "$*" >> "$STARTED"\n')
    python.chmod(0o700)
    (ROOT / "benchmarks/.cache/dry.safetensors").unlink(missing_ok=True)
    settings = {
        "PROTOCOL": "dry",
        "DEVICE": "cpu",
        "NOISES": "symmetric_inclusive:0.5",
        "ROWS": str(rows),
        "OUT": str(tmp_path),
        "WORKERS": "1",
        "PRETRAIN": "--epochs 1",
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "STARTED": str(started),
    }
    here = {"cwd": ROOT, "env": os.environ | settings}
    script = ["bash", ROOT / "benchmarks/gpu.sh", "-", "rows"]
    subprocess.run(script, check=True, capture_output=True, **here)
    run_python(IN_ONE_PROCESS, started, **here)
    lines = rows.read_text().splitlines()
    found = Counter(json.loads(line)["method"] for line in lines)
    assert len(found) == 15 and set(found.values()) == {1}


def test_every_script_finds_what_it_imports(monkeypatch):
    folder = ROOT / "benchmarks"
    monkeypatch.syspath_prepend(folder)
    for path in folder.glob("*.py"):
        importlib.import_module(path.stem)
    for path in folder.glob("*.py"):
        del sys.modules[path.stem]  # no other test is to find it
