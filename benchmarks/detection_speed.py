"""Finding wrong labels by probabilities: time and memory against cleanlab.

    OMP_NUM_THREADS=1 python benchmarks/detection_speed.py
    OMP_NUM_THREADS=1 python benchmarks/detection_speed.py --large
    python benchmarks/report.py

Each size has a process of its own, in which the two sides take turns on the same
probabilities, cleanlab with n_jobs=1; medians of the processor's seconds are compared.
Memory is the peak of what NumPy and Python allocate in one further call, by
tracemalloc, with what is returned.

--large: probabilities lie in a file that is mapped into memory, and each task has a
process. What counts is the largest resident memory of the whole process: what is
imported, the labels, and what is resident of the file.
"""

import argparse
import json
import os
import resource
import statistics
import tempfile
import time
import tracemalloc
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from rows import environment, read_rows, table

from sknoisy import scores
from sknoisy.scores.confident import RULES

HERE = Path(__file__).parent
SIZES = [
    f"{size}:{dtype}"
    for size in ("50000x10", "50000x100", "400000x100")
    for dtype in ("float32", "float64")
]
LARGE = ["10000000x10:float32", "200000x5000:float16"]
QUALITIES = ["self_confidence", "normalized_margin", "confidence_weighted_entropy"]
TASKS = [*RULES, *QUALITIES, "confident_joint"]


def made_up(n_samples, n_classes, dtype, path=None):
    """Return labels, a fifth of them random, and probabilities, in a file or not."""
    rng = np.random.default_rng(0)
    shape = n_samples, n_classes
    if path is None:
        pred_probs = np.empty(shape, dtype=dtype)
    else:
        pred_probs = np.lib.format.open_memmap(path, "w+", dtype, shape)
    y = rng.integers(n_classes, size=n_samples)
    step = max(1, 10**6 // n_classes)
    for start in range(0, n_samples, step):
        true = y[start : start + step].copy()
        noisy = rng.random(len(true)) < 0.2
        true[noisy] = rng.integers(n_classes, size=noisy.sum())
        part = rng.standard_normal((len(true), n_classes), dtype=np.float32)
        part[np.arange(len(part)), true] += 4 + np.log(n_classes / 10)
        np.exp(part, out=part)
        pred_probs[start : start + step] = part / part.sum(axis=1, keepdims=True)
    return y, pred_probs


def ours(task, y, pred_probs):
    classes = range(pred_probs.shape[1])
    if task in RULES:
        return scores.find_label_errors(y, pred_probs, classes, task)
    return getattr(scores, task)(y, pred_probs, classes)


def cleanlab(task, y, pred_probs):
    from cleanlab.count import compute_confident_joint
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    if task in RULES:
        return find_label_issues(y, pred_probs, filter_by=task, n_jobs=1)
    if task in QUALITIES:
        return get_label_quality_scores(y, pred_probs, method=task)
    return compute_confident_joint(y, pred_probs)


SIDES = {"sknoisy": ours, "cleanlab": cleanlab}


def compare(task, y, pred_probs, rounds):
    """Return a row of one task."""
    seconds, peaks, results = {}, {}, {}
    for name, side in SIDES.items():
        side(task, y[:1000], pred_probs[:1000])  # imports and first calls
        seconds[name] = []
        tracemalloc.start()
        results[name] = side(task, y, pred_probs)
        peaks[name] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    for _ in range(rounds):
        for name, side in SIDES.items():
            begin = time.process_time()
            side(task, y, pred_probs)
            seconds[name].append(time.process_time() - begin)
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    mine, theirs = results.values()
    differ = mine != theirs if mine.dtype.kind in "bi" else np.abs(mine - theirs) > 1e-5
    return {
        "task": task,
        "rounds": rounds,
        **{f"{name}_seconds": round(v, 6) for name, v in medians.items()},
        **{f"{name}_bytes": peak for name, peak in peaks.items()},
        "result_bytes": mine.nbytes,
        "results_that_differ": int(differ.sum()),
    }


def measure(size, dtype, tasks, rounds):
    """Return the rows of one size, both sides in this process."""
    warnings.simplefilter("ignore")
    y, pred_probs = made_up(*map(int, size.split("x")), dtype)
    rows = (compare(task, y, pred_probs, rounds) for task in tasks)
    return [{"size": size, "dtype": dtype} | row for row in rows]


def write_file(size, dtype, folder):
    y, _ = made_up(*map(int, size.split("x")), dtype, f"{folder}/pred_probs.npy")
    np.save(f"{folder}/y.npy", y)


def measure_file(size, dtype, folder, task):
    """Return the row of one task with probabilities in a file, in this process."""
    y = np.load(f"{folder}/y.npy")
    pred_probs = np.load(f"{folder}/pred_probs.npy", mmap_mode="r")
    begin = time.process_time()
    ours(task, y, pred_probs)
    seconds = time.process_time() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB on Linux
    row = {"size": size, "dtype": dtype, "task": task, "file": True}
    return row | {"sknoisy_seconds": round(seconds, 2), "rss_mib": round(peak / 1024)}


def in_new_process(function, *args):
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *args).result()


def speed_table(rows, kind):
    """Return the table of seconds or bytes, and of cleanlab's over them, by task."""
    unit = {"seconds": 1e-3, "bytes": 1e6}[kind]
    rows = [row for row in rows if "file" not in row]
    sizes = {(row["size"], row["dtype"]): shown_size(row) for row in rows}
    by_cell = {(row["size"], row["dtype"], row["task"]): row for row in rows}
    header = ["task", *(f"{name}, {dtype}" for (_, dtype), name in sizes.items())]
    lines = []
    for task in TASKS:
        cells = []
        for key in sizes:
            ours, theirs = (by_cell[*key, task][f"{name}_{kind}"] for name in SIDES)
            digits = 2 if ours < unit else 1 if ours < 10 * unit else 0
            cells.append(f"{ours / unit:.{digits}f} ({theirs / ours:.1f})")
        lines.append([f"`{task}`", *cells])
    return table(header, lines)


def file_table(rows):
    """Return the table of probabilities in files."""
    header = ["samples x classes", "dtype", "task", "seconds", "process, MiB"]
    lines = []
    for row in rows:
        if "file" in row:
            cells = [shown_size(row), row["dtype"], row["task"]]
            cells += [f"{row['sknoisy_seconds']:.1f}", f"{row['rss_mib']:,}"]
            lines.append(cells)
    return table(header, lines)


def shown_size(row):
    return " x ".join(f"{int(n):,}" for n in row["size"].split("x"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", help="such as 50000x10:float32")
    parser.add_argument("--tasks", nargs="+", default=TASKS, choices=TASKS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--large", action="store_true", help="probabilities in files")
    parser.add_argument("--rows", type=Path, default=HERE / "detection_speed.jsonl")
    args = parser.parse_args()
    if os.environ.get("OMP_NUM_THREADS") != "1":
        parser.error("set OMP_NUM_THREADS=1: one thread is compared with one")
    for name in args.sizes or (LARGE if args.large else SIZES):
        size, _, dtype = name.partition(":")
        if args.large:
            with tempfile.TemporaryDirectory() as folder:
                in_new_process(write_file, size, dtype, folder)
                for task in args.tasks:
                    found = size, dtype, folder, task
                    write(args.rows, [in_new_process(measure_file, *found)])
        else:
            rows = in_new_process(measure, size, dtype, args.tasks, args.rounds)
            write(args.rows, rows)


def write(path, rows):
    """Append rows; those of the same cells that are there already are replaced."""
    keys = ("size", "dtype", "task", "file")
    new = {tuple(row.get(key) for key in keys) for row in rows}
    kept = [
        row for row in read_rows(path) if tuple(row.get(key) for key in keys) not in new
    ]
    rows = [row | environment("cpu") for row in rows]
    path.write_text("".join(json.dumps(row) + "\n" for row in kept + rows))
    for row in rows:
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
