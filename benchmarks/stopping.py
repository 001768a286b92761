"""Stopping where labels begin to be memorised: with it, as published, and without it.

    python benchmarks/stopping.py --seeds 0 1 2
    python benchmarks/stopping.py --protocol small --data DIR --methods ce
    python benchmarks/report.py

One row for each training; rows that are there already are skipped. "none" trains to the
end; where accuracy.jsonl has that row, it is taken from there. "best" is the test
accuracy of the best epoch, which nobody could choose without clean labels. "epoch" is
the one that stopping went back to, and "epochs" how many were trained.
"""

import argparse
from pathlib import Path

import numpy as np
from accuracy import HERE, run_row
from protocols import PROTOCOLS, load
from rows import add_rows, read_rows, table

from sknoisy import LabelWave

NOISES = [
    "none",
    "symmetric_exclusive:0.2",
    "symmetric_exclusive:0.6",
    "pair_flip:0.4",
    "instance_dependent:0.4",
]
STOPPING = {
    "none": lambda: None,
    "label_wave": LabelWave,
    "first minimum": lambda: LabelWave("all", rise=0.0, patience=1, average=False),
}
NAMES = ("protocol", "method", "noise", "rate", "seed")


def known(path):
    """Return the finished rows by their settings."""
    rows = {(key(row), row["stopping"]): row for row in read_rows(path)}
    for row in read_rows(HERE / "accuracy.jsonl"):
        plain = not row["tag"] and not any(row["overrides"].values())
        if plain and (key(row), "none") not in rows:
            rows[key(row), "none"] = row | {"stopping": "none", "epoch": None}
    return rows


def key(row):
    return tuple(row[name] for name in NAMES)


def run(args):
    protocol = PROTOCOLS[args.protocol]
    data = load(protocol, args.data)
    for seed in args.seeds:
        for noise in args.noises:
            name, _, rate = noise.partition(":")
            for method in args.methods:
                settings = args.protocol, method, name, float(rate or 0), seed
                row = dict(zip(NAMES, settings, strict=True))
                for stopping in args.stopping:
                    if (key(row), stopping) not in known(args.rows):
                        finish(row, stopping, data, protocol, args)


def finish(row, stopping, data, protocol, args):
    """Train, and write the row."""
    clf = {"stopping": STOPPING[stopping]()}
    found = run_row(row | {"overrides": {"ssl": {}, "clf": clf}}, data, protocol, args)
    del found["overrides"]
    found |= {"stopping": stopping, "epochs": len(found["curve"])}
    add_rows(args.rows, found)
    shown = {k: found[k] for k in (*NAMES, "stopping", "epoch", "epochs")}
    print(*shown.values(), "last", found["last"], "best", found["best"], flush=True)


def stopping_table(rows):
    """Return accuracies without stopping, best and last, and with each kind of it."""
    groups = {}
    for (settings, stopping), row in rows.items():
        protocol, method, noise, rate, seed = settings
        groups.setdefault((protocol, noise, rate, method), {}).setdefault(seed, {})[
            stopping
        ] = row
    have = {stopping for _, stopping in rows}
    kinds = [kind for kind in STOPPING if kind in have - {"none"}]
    header = ["protocol", "noise", "loss", "best", "last", *kinds, "epochs", "seeds"]
    lines = []
    for (protocol, noise, rate, method), seeds in sorted(groups.items()):
        whole = [s for s in seeds.values() if {"none", "label_wave"} <= {*s}]
        if not whole:
            continue
        plain = [unstopped(s) for s in whole]
        cells = [mean([row[k] for row in plain]) for k in ("best", "last")]
        cells += [mean([s[k]["last"] for s in whole if k in s]) for k in kinds]
        epochs = [str(s["label_wave"]["epoch"] or "all") for s in whole]
        name = "none" if noise == "none" else f"{noise} {rate:.0%}"
        lines.append(
            [protocol, name, method, *cells, ", ".join(epochs), str(len(whole))]
        )
    return table(header, lines)


def unstopped(rows):
    """Return the row of a training to its end.

    One with `stopping` that was not stopped is just that, of the same encoder.
    """
    whole = rows["label_wave"]
    return rows["none"] if whole["epoch"] else whole


def mean(values):
    return f"{np.mean(values):.1f}" if values else "open"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of the data set")
    parser.add_argument("--protocol", choices=PROTOCOLS, default="digits")
    parser.add_argument("--methods", nargs="+", default=["ce", "elr", "gce"])
    parser.add_argument("--noises", nargs="+", default=NOISES)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument(
        "--stopping", nargs="+", choices=STOPPING, default=[*STOPPING][:2]
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--cache", default=str(HERE / ".cache"))
    parser.add_argument("--rows", type=Path, default=HERE / "stopping.jsonl")
    parser.set_defaults(labels=None, image_size=None)
    run(parser.parse_args())


if __name__ == "__main__":
    main()
