"""A million small image files: memory, images a second, and time before training.

    python benchmarks/many_files.py files --scratch /tmp/many --n 1000000
    python benchmarks/many_files.py decoding --scratch /tmp/many --n 20000
    python benchmarks/many_files.py paths --n 10000000

"files" trains a tiny network for an epoch and predicts, with paths as a list, an array
or a column, each in a process of its own. "decoding" reads the files in the threads of
this package, and in the processes of PyTorch's DataLoader, in turns. "paths" looks at
paths, all of which name one file, until the first image is read. Files are made where
they are missing (4 KB of disk each) and deleted at the end. Rows are added at once to
``many_files.jsonl``, and printed.
"""

import argparse
import io
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import threading
import time
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rows import add_rows
from torch import nn

from sknoisy import NoisyRobustClassifier
from sknoisy.data.images import read_image
from sknoisy.data.spec import InputSpec
from sknoisy.data.stores import PathStore

ROWS = Path(__file__).with_name("many_files.jsonl")
SIDE = 32  # pixels: a million decoded images are more than are kept
IN_FOLDER = 5000
N_CONTENTS = 300
KINDS = ["list", "array", "frame"]


def tiny(shape):
    """Return a network that costs little beside the decoding."""
    net = nn.Sequential(
        nn.Conv2d(shape[0], 8, 3, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(1)
    )
    net.append(nn.Flatten()).n_features = 8
    return net


def contents():
    """Return the JPEGs that the files hold."""
    from PIL import Image

    rng, found = np.random.default_rng(0), []
    for _ in range(N_CONTENTS):
        image = Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8))
        buffer = io.BytesIO()
        image.resize((SIDE, SIDE)).save(buffer, "JPEG", quality=90)
        found.append(buffer.getvalue())
    return found


def path_of(scratch, i):
    """Return the path of a file, by its number."""
    return os.path.join(scratch, f"{i // IN_FOLDER:05d}", f"{i:08d}.jpg")


def make(scratch, n):
    """Write the files that are missing."""
    known = contents()
    for start in range(0, n, IN_FOLDER):
        numbers = range(start, min(start + IN_FOLDER, n))
        os.makedirs(os.path.dirname(path_of(scratch, start)), exist_ok=True)
        if os.path.exists(path_of(scratch, numbers[-1])):
            continue
        for i in numbers:
            with open(path_of(scratch, i), "wb") as file:
                file.write(known[i % N_CONTENTS])


def as_kind(paths, kind):
    """Return a list of paths in the form that is measured."""
    if kind == "frame":
        import pandas as pd

        return pd.DataFrame({"path": paths})
    return np.array(paths) if kind == "array" else paths


def classifier():
    """Return the classifier that is trained, for one epoch."""
    return NoisyRobustClassifier(
        "ce",
        encoder=tiny,
        image_size=SIDE,
        max_epochs=1,
        batch_size=256,
        views="none",
        random_state=0,
        verbose=False,
    )


class Memory(threading.Thread):
    """Reads how much memory this process holds, twice a second, in MiB."""

    def __init__(self):
        super().__init__(daemon=True)
        self.held = []

    def run(self):
        while True:
            self.held.append(self.now())
            time.sleep(0.5)

    @staticmethod
    def now():
        """Return the resident memory, in MiB."""
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def measure_files(scratch, n, kind):
    """Return the rates and the memory of a training and a prediction."""
    X = as_kind([path_of(scratch, i) for i in range(n)], kind)
    y, clf = np.arange(n) % N_CONTENTS % 10, classifier()
    clf.fit(X[:IN_FOLDER], y[:IN_FOLDER])  # what is imported and compiled only once
    memory, before = Memory(), Memory.now()
    memory.start()
    row = {"paths": kind, "n": n, "mib_before": before}
    for name, way in (
        ("fit", partial(clf.fit, X, y)),
        ("predict", lambda: clf.predict(X)),
    ):
        seen = len(memory.held)
        row[f"{name}_per_s"] = n / _timed(way)
        held = memory.held[seen:]
        row[f"{name}_mib_after_a_tenth"] = max(held[: len(held) // 10 + 1])
        row[f"{name}_mib"] = max(held)
    return row


def measure_decoding(scratch, n, repeats):
    """Return the images a second of threads and of processes."""
    torch.set_num_threads(1)
    paths = np.array([path_of(scratch, i) for i in range(n)])
    store = PathStore(paths, InputSpec.describe(paths, image_size=SIDE), keep_bytes=0)
    order = torch.from_numpy(np.random.default_rng(0).permutation(n))

    def in_threads():
        for index in order.split(256):
            store.raw(index)

    def by_loader(n_workers):
        loader = torch.utils.data.DataLoader(
            Images(paths[order]), batch_size=256, num_workers=n_workers
        )
        for _ in loader:
            pass

    ways = {"threads of this package": in_threads}
    ways |= {f"DataLoader, {k} processes": partial(by_loader, k) for k in (0, 1, 2)}
    found = {name: [] for name in ways}
    in_threads()  # the files are in the cache of the system
    for _ in range(repeats):
        for name, way in ways.items():
            found[name].append(n / _timed(way))
    rates = {name: statistics.median(rates) for name, rates in found.items()}
    workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {"n": n, "per_s": rates, "largest_worker_mib": workers}


class Images(torch.utils.data.Dataset):
    """The files for PyTorch's DataLoader."""

    def __init__(self, paths):
        self.paths = paths

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, i):
        return torch.from_numpy(read_image(self.paths[i], (SIDE, SIDE)).copy())


class Reached(Exception):
    """The first image is about to be read."""


def measure_paths(scratch, n, kind):
    """Return the seconds before the first image is read by a fit and a prediction.

    A fit reads 128 images at first, for their mean, and then those of a batch.
    """
    make(scratch, 1)
    path = path_of(scratch, 0)
    X = as_kind([path[:-1] + path[-1:] for _ in range(n)], kind)  # as many strings
    y, clf = np.arange(n) % 10, classifier()
    clf.fit(X[:512], y[:512])
    seconds, read = {}, PathStore.raw

    def reading(store, index):
        if len(index) == 256 or store.spec.mean is not None:
            raise Reached
        return read(store, index)

    before = Memory.now()
    for name, way in (
        ("fit", partial(clf.fit, X, y)),
        ("predict", partial(clf.predict, X)),
    ):
        PathStore.raw = reading
        started, begun = time.perf_counter(), time.process_time()
        try:
            way()
        except Reached:
            seconds[f"{name}_s"] = time.perf_counter() - started
            seconds[f"{name}_processor_s"] = time.process_time() - begun
        finally:
            PathStore.raw = read
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"paths": kind, "n": n, **seconds, "mib_before": before, "mib": peak}


def _timed(way):
    started = time.perf_counter()
    way()
    return time.perf_counter() - started


def run(args):
    """Make the files, start a process for each row, delete the files."""
    kinds = [None] if args.what == "decoding" else args.kinds
    try:
        if args.what != "paths":
            make(args.scratch, args.n)
        for kind in kinds:
            command = [sys.executable, __file__, args.what, "--scratch", args.scratch]
            command += ["--n", str(args.n), "--repeats", str(args.repeats), "--row"]
            command += [] if kind is None else ["--kinds", kind]
            done = subprocess.run(
                command, check=True, stdout=subprocess.PIPE, text=True
            )
            row = json.loads(done.stdout.splitlines()[-1])
            row = {"what": args.what, **row, "date": str(date.today())}
            row["load_at_end"] = os.getloadavg()[0]
            add_rows(ROWS, row)
            print(json.dumps(row, indent=1), flush=True)
    finally:
        if not args.keep:
            shutil.rmtree(args.scratch, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["files", "decoding", "paths"])
    parser.add_argument("--scratch", default="/tmp/many_files", help="is deleted")
    parser.add_argument("--n", type=int, default=20_000)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--keep", action="store_true", help="leave the files")
    parser.add_argument("--row", action="store_true", help="measure and print one row")
    args = parser.parse_args()
    if not args.row:
        run(args)
    elif args.what == "decoding":
        print(json.dumps(measure_decoding(args.scratch, args.n, args.repeats)))
    else:
        measure = {"files": measure_files, "paths": measure_paths}[args.what]
        print(json.dumps(measure(args.scratch, args.n, *args.kinds)))


if __name__ == "__main__":
    main()
