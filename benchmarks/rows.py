"""Rows of results: their files, what they say of the machine, and tables of them."""

import json
import os
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

import sknoisy
from sknoisy.data.devices import resolve_device

HERE = Path(__file__).parent
PACKAGES = ["torch", "scikit-learn", "cleanlab"]


def read_rows(path):
    """Return the rows of a file, none if it is not there."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def add_rows(path, *rows):
    """Add rows to a file: all of them, or none."""
    text = "".join(json.dumps(row) + "\n" for row in rows)
    with path.open("a") as file:
        file.write(text)


@cache
def environment(device="cpu"):
    """Return what a row says of where it was made."""
    device = resolve_device(device)
    on_gpu = device.type == "cuda"
    versions = {"python": platform.python_version(), "sknoisy": sknoisy.__version__}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "device": str(device),
        **({"gpu": torch.cuda.get_device_name(device)} if on_gpu else {}),
        "versions": versions,
        "revision": _revision(),
    }


def _revision():
    """Return the commit, with a "+" if files were changed since."""
    # A copy without its history is told what it is a copy of.
    if known := os.environ.get("REVISION"):
        return known
    command = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    found = subprocess.run(command, cwd=HERE, capture_output=True, text=True)
    return found.stdout.strip()


def percent(share):
    """Return a share in percent, rounded."""
    return round(100 * float(share), 2)


def table(header, lines):
    """Return a Markdown table."""
    rule = ["---"] * len(header)
    return "\n".join(f"| {' | '.join(line)} |" for line in [header, rule, *lines])
