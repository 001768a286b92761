"""What limits large trainings: ranks, the decoding of files, state of samples.

    python benchmarks/scaling.py ranks
    python benchmarks/scaling.py decoding --n 2000
    python benchmarks/scaling.py gather --n-ranks 2

Each prints JSON. "ranks" compares two processes of one thread with one of two threads,
interleaved; "gather" times what ranks exchange in a step. Read ratios: machines are
noisy.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch

from sknoisy import NoisyRobustClassifier, ranks
from sknoisy.data.images import read_image
from sknoisy.training import together

SIZE = 224, 224


def epoch_seconds(n_samples=2048):
    """Return the seconds of the second epoch of the convnet, on random images."""
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    X = np.random.default_rng(0).integers(0, 256, (n_samples, 32, 32, 3), np.uint8)
    clf = NoisyRobustClassifier("elr", max_epochs=2, batch_size=256, random_state=0)
    return clf.fit(X, np.arange(n_samples) % 10).history_[1]["dur"]


def measure_ranks(repeats):
    """Return samples a second of one process of two threads, and of two of one."""
    torchrun = ["-m", "torch.distributed.run", "--nproc-per-node", "2"]
    found = {"one": [], "two": []}
    for _ in range(repeats):
        for name, before, threads in (("one", [], "2"), ("two", torchrun, "1")):
            output = subprocess.run(
                [sys.executable, *before, __file__, "epoch"],
                env=os.environ | {"OMP_NUM_THREADS": threads},
                check=True,
                capture_output=True,
                text=True,
            ).stdout
            found[name].append(max(map(float, output.split())))
    rates = {name: 2048 / statistics.median(times) for name, times in found.items()}
    return {"samples_per_s": rates, "ratio": rates["two"] / rates["one"]} | found


def _write(path, side):
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 256, (side // 4, side // 4, 3))
    image = Image.fromarray(noise.astype(np.uint8))
    image.resize((side, side * 3 // 4)).save(path, quality=90)


def by_torchvision(path):
    """Decode a JPEG by torchvision, which does not shrink it on the way."""
    from torchvision.io import ImageReadMode, decode_jpeg, read_file
    from torchvision.transforms.v2.functional import center_crop, resize

    image = decode_jpeg(read_file(path), ImageReadMode.RGB)
    return center_crop(resize(image, SIZE[0], antialias=True), SIZE)


def measure_decoding(n, side):
    """Return images a second of 500 x 375 JPEGs at 224 pixels, by how they are read."""
    torch.set_num_threads(1)
    by_pillow = partial(read_image, size=SIZE)
    n_workers = os.cpu_count()
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder) / f"{i}.jpg") for i in range(n)]
        for path in paths:
            _write(path, side)
        with ThreadPoolExecutor(n_workers) as threads, ProcessPoolExecutor() as others:
            ways = {
                "pillow, one thread": lambda: [*map(by_pillow, paths)],
                "pillow, threads": lambda: [*threads.map(by_pillow, paths)],
                "pillow, processes": lambda: [
                    *others.map(by_pillow, paths, chunksize=32)
                ],
                "torchvision, threads": lambda: [*threads.map(by_torchvision, paths)],
            }
            return {"cores": n_workers} | {
                k: n / _timed(way) for k, way in ways.items()
            }


def measure_gather(repeats):
    """Return milliseconds of what ranks exchange, by its size in MiB."""
    found = {}
    with together():
        for mib in (0.01, 0.1, 1, 10, 100):
            part = torch.zeros(64, int(mib * 2**20 / 4 / 64 / ranks.size()))
            gather = partial(ranks.gathered, part, 64 * ranks.size())
            gather()
            found[mib] = statistics.median(_timed(gather) for _ in range(repeats)) * 1e3
        return {"n_ranks": ranks.size(), "milliseconds": found}


def _timed(way):
    started = time.perf_counter()
    way()
    return time.perf_counter() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    kinds = ["ranks", "epoch", "decoding", "gather", "exchange"]
    parser.add_argument("kind", choices=kinds)
    parser.add_argument("--n", type=int, default=2000)
    parser.add_argument("--side", type=int, default=500)
    parser.add_argument("--n-ranks", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    if args.kind == "epoch":
        sys.stdout.write(f"{epoch_seconds()}\n")  # at once: another rank writes, too
    elif args.kind == "exchange":
        found = measure_gather(args.repeats)
        if os.environ["RANK"] == "0":
            print(json.dumps(found, indent=1))
    elif args.kind == "gather":
        torchrun = ["-m", "torch.distributed.run", "--nproc-per-node"]
        command = [sys.executable, *torchrun, str(args.n_ranks), __file__, "exchange"]
        subprocess.run([*command, "--repeats", str(args.repeats)], check=True)
    else:
        measures = {
            "ranks": lambda: measure_ranks(args.repeats),
            "decoding": lambda: measure_decoding(args.n, args.side),
        }
        print(json.dumps(measures[args.kind](), indent=1))


if __name__ == "__main__":
    main()
