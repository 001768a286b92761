"""Fill the tables of docs/benchmarks.md, and draw its plots, from the rows.

    python benchmarks/report.py

Tables stand between comments, such as ``<!-- losses -->`` and ``<!-- /losses -->``;
what is between them is replaced, the rest of the page is written by hand. A cell
without a row is "open": nothing is guessed.
"""

import argparse
import json
import re
from collections import defaultdict
from pathlib import Path

import numpy as np
from accuracy import CLASSIFIERS, read_rows
from annotators import annotators_table
from detection import detection_table
from detection_speed import file_table
from detection_speed import speed_table as detection_speed_table
from photographs import photographs_table
from relabelling import relabelling_table
from selection import selection_table
from stopping import known, stopping_table
from trusted import trusted_table
from vector_tables import cells_table, published, summary_table

from sknoisy.losses import LOSSES

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "benchmarks.md"

# Ciortan, Dupuis and Peel (2021), table 1: ResNet-18, all 50,000 images of CIFAR-10,
# from scratch and on an encoder pre-trained by SimCLR. What follows the kind of noise
# are its rates.
PUBLISHED = {
    "symmetric": {
        "ce": [(77.2, 87.7), (58.2, 78.0), (35.2, 59.2), (17.0, 27.3)],
        "elr": [(90.3, 93.0), (82.3, 92.0), (64.2, 90.4), (18.3, 84.8)],
        "nfl_rce": [(91.0, 92.7), (87.0, 91.4), (80.2, 88.1), (42.8, 59.9)],
    },
    "asymmetric": {
        "ce": [(84.0, 87.9), (79.2, 83.9), (75.3, 77.8)],
        "elr": [(91.8, 92.4), (89.6, 91.7), (72.3, 89.5)],
        "nfl_rce": [(90.2, 91.5), (86.7, 89.9), (80.0, 82.4)],
    },
}
RATES = {"symmetric": (0.2, 0.4, 0.6, 0.8), "asymmetric": (0.2, 0.3, 0.4)}
NOISES = {"symmetric": "symmetric_inclusive", "asymmetric": "asymmetric_cifar10"}

# Method and tag of each recipe, after those of its backbone: the same training without
# what the paper adds.
RECIPES = {
    "pretrain_to_gain": [("ce", ""), ("simclr+ce", "")],
    "robust_feature_learning": [
        ("ce", ""),
        ("bootstrap_progressive", "power3+restoration+clustering"),
    ],
    "contrastive_framework, ce": [
        ("simclr+ce", ""),
        ("contrastive_framework:simclr+ce", ""),
    ],
    "contrastive_framework, elr": [
        ("simclr+elr", ""),
        ("contrastive_framework:simclr+elr", ""),
    ],
    'contrastive_framework, elr, final_labels="given"': [
        ("simclr+elr", ""),
        ("contrastive_framework:simclr+elr", "given labels"),
    ],
    "idn_hybrid": [("simclr+ce", "30 epochs"), ("idn_hybrid:simclr+ce", "")],
}
STANDARD_LOSSES = ["ce", "gce", "nfl_rce", "elr"]
STANDARD_NOISES = [
    ("none", 0.0),
    *(("symmetric_exclusive", rate) for rate in (0.2, 0.4, 0.6, 0.8)),
    *(("asymmetric_cifar10", rate) for rate in (0.2, 0.4)),
    ("instance_dependent", 0.4),
]
SYMMETRIC = ("none", "symmetric_exclusive")
RECIPE_NOISES = [("symmetric_exclusive", 0.6), ("instance_dependent", 0.4)]

# Parts of robust feature learning: A bootstrapping (power 3), B restoration, C
# clustering (weight 0.1).
ABLATION = {
    "-": ("ce", ""),
    "A, power 1": ("bootstrap_progressive", ""),
    "A": ("bootstrap_progressive", "power3"),
    "B": ("ce", "restoration"),
    "C": ("ce", "clustering"),
    "A + B": ("bootstrap_progressive", "power3+restoration"),
    "A + C": ("bootstrap_progressive", "power3+clustering"),
    "B + C": ("ce", "restoration+clustering"),
    "A + B + C": ("bootstrap_progressive", "power3+restoration+clustering"),
}


NETWORK_NOISES = [
    ("symmetric_exclusive", 0.5),
    ("symmetric_exclusive", 0.8),
    ("asymmetric_cifar10", 0.4),
    ("instance_dependent", 0.4),
]


def grouped(rows, protocol, tag=""):
    """Return the rows of a protocol by (method, noise, rate)."""
    groups = defaultdict(list)
    for row in rows:
        if row["protocol"] == protocol and row.get("tag", "") == tag:
            groups[row["method"], row["noise"], row["rate"]].append(row)
    return groups


def cell(rows, key="last"):
    """Return mean, and deviation over seeds if there are several."""
    if not rows:
        return "open"
    values = [row[key] for row in rows]
    spread = f" ± {np.std(values):.1f}" if len(values) > 1 else ""
    return f"{np.mean(values):.1f}{spread}"


def table(header, lines):
    """Return a Markdown table."""
    rule = ["---"] * len(header)
    return "\n".join(f"| {' | '.join(line)} |" for line in [header, rule, *lines])


def losses_table(rows):
    """Every loss, from scratch and pre-trained, at the last epoch."""
    groups = grouped(rows, "small")
    noises = [
        ("symmetric_exclusive", 0.4),
        ("symmetric_exclusive", 0.8),
        ("asymmetric_cifar10", 0.4),
    ]
    names = sorted({m.rpartition("+")[2] for m, *_ in groups} & LOSSES.keys())
    header = ["loss"]
    for noise, rate in noises:
        short = f"{noise.split('_')[0]} {rate:.0%}"
        header += [f"{short}, scratch", f"{short}, SimCLR"]
    lines = []
    for name in names:
        line = [f"`{name}`"]
        for noise in noises:
            line += [cell(groups[m, *noise]) for m in (name, f"simclr+{name}")]
        lines.append(line)
    return table(header, lines)


def noise_table(rows):
    """Accuracy over the kinds and rates of noise."""
    groups = grouped(rows, "small")
    header = ["method", *(_noise(*noise) for noise in STANDARD_NOISES)]
    lines = [
        [f"`{p}{loss}`", *(cell(groups[p + loss, *noise]) for noise in STANDARD_NOISES)]
        for loss in STANDARD_LOSSES
        for p in ("", "simclr+", "barlow+")
    ]
    return table(header, lines)


def gains_table(rows):
    """Tell what SimCLR adds to a loss, seed by seed."""
    groups = grouped(rows, "small")
    lines = []
    for loss in STANDARD_LOSSES:
        cells = []
        for noise in STANDARD_NOISES:
            before, after = (
                {row["seed"]: row["last"] for row in groups[method, *noise]}
                for method in (loss, f"simclr+{loss}")
            )
            seeds = before.keys() & after.keys()
            cells.append(cell([{"last": after[s] - before[s]} for s in seeds]))
        lines.append([f"`{loss}`", *cells])
    return table(["loss", *(_noise(*noise) for noise in STANDARD_NOISES)], lines)


def networks_table(rows):
    """Classifiers that choose and correct their samples, beside two losses."""
    groups = grouped(rows, "small")
    header = ["method", *(_noise(*noise) for noise in NETWORK_NOISES)]
    lines = []
    for name in ["ce", "elr", *CLASSIFIERS]:
        for method in (name, f"simclr+{name}"):
            cells = [cell(groups[method, *noise]) for noise in NETWORK_NOISES]
            if set(cells) != {"open"}:
                lines.append([f"`{method}`", *cells])
    return table(header, lines)


def estimates_table(rows):
    """Of the noise, what a warm-up lets the classifiers of two networks estimate."""
    groups = {}
    for row in rows:
        noise = _noise(row["noise"], row["rate"]), f"{100 * row['realised']:.0f}"
        groups.setdefault(noise, {})[row["features"]] = row
    lines = []
    for noise, found in groups.items():
        rates = [f"{100 * found[f]['estimated']:.0f}" for f in ("scratch", "simclr")]
        kinds = [f"{found[f]['concentration']:.2f}" for f in ("scratch", "simclr")]
        lines.append([*noise, *rates, *kinds])
    header = ["noise", "wrong", "estimated, scratch", "estimated, SimCLR"]
    return table([*header, "concentration, scratch", "SimCLR"], lines)


def published_table(rows):
    """Full size: what was published, and what this gives ("open" if it was not run)."""
    groups = grouped(rows, "cifar10")
    header = ["noise", "loss", "scratch", "published", "SimCLR", "published"]
    lines = []
    for kind, losses in PUBLISHED.items():
        for loss, figures in losses.items():
            for rate, pair in zip(RATES[kind], figures, strict=True):
                ours = [
                    cell(groups[method, NOISES[kind], rate])
                    for method in (loss, f"simclr+{loss}")
                ]
                both = [ours[0], str(pair[0]), ours[1], str(pair[1])]
                lines.append([f"{kind} {rate:.0%}", f"`{loss}`", *both])
    return table(header, lines)


def memorisation_table(rows):
    """Last against best epoch."""
    lines = []
    for protocol in ("digits", "small"):
        for (method, noise, rate), found in sorted(grouped(rows, protocol).items()):
            if rate == 0.6 and method in ("ce", "simclr+ce", "simclr+elr"):
                numbers = cell(found), cell(found, "best"), str(len(found))
                lines.append([protocol, f"{noise} {rate:.0%}", method, *numbers])
    return table(["protocol", "noise", "method", "last", "best", "seeds"], lines)


def recipes_table(rows):
    """Last epoch of each recipe and of its backbone, and the gain seed by seed."""
    lines = []
    for noise in RECIPE_NOISES:
        for recipe, pair in RECIPES.items():
            found = [grouped(rows, "small", tag)[m, *noise] for m, tag in pair]
            before, after = ({row["seed"]: row for row in each} for each in found)
            seeds = sorted(before.keys() & after.keys())
            gains = [{"last": after[s]["last"] - before[s]["last"]} for s in seeds]
            pair = [[each[s] for s in seeds] for each in (before, after)]
            cells = [*map(cell, pair), cell(gains), str(len(seeds))]
            lines.append([_noise(*noise), f"`{recipe}`", *cells])
    header = ["noise", "recipe", "backbone", "recipe", "gain", "seeds"]
    return table(header, lines)


def labels_table(rows):
    """How many labels in a hundred are right: given, and mended."""
    header = ["noise", "method", "given", "mended", "gain", "each iteration", "seeds"]
    lines = []
    for (method, *noise), found in grouped(rows, "small").items():
        if found[0].get("labels"):
            labels = [row["labels"] for row in found]
            mended = np.mean([row["mended"] for row in labels], axis=0)
            ends = [{"given": row["given"], "end": row["mended"][-1]} for row in labels]
            ends = [row | {"gain": row["end"] - row["given"]} for row in ends]
            cells = [cell(ends, key) for key in ("given", "end", "gain")]
            cells += [", ".join(f"{value:.1f}" for value in mended), str(len(found))]
            lines.append([_noise(*noise), f"`{method}`", *cells])
    return table(header, sorted(lines, reverse=True))


def ablation_table(rows):
    """Table 4 of Tai et al.: what each part gives, at the last and best epoch."""
    header = ["parts"]
    for noise in RECIPE_NOISES:
        header += [f"{_noise(*noise)}, {epoch}" for epoch in ("last", "best")]
    lines = []
    for parts, (method, tag) in ABLATION.items():
        found = [grouped(rows, "small", tag)[method, *noise] for noise in RECIPE_NOISES]
        found = [[row for row in each if row["seed"] == 0] for each in found]
        cells = [cell(each, key) for each in found for key in ("last", "best")]
        lines.append([parts, *cells])
    return table(header, lines)


def _noise(name, rate):
    return f"{name} {rate:.0%}" if rate else name


def speed_table(path):
    """Time over the bare network's, and speed over the peers'."""
    lines = []
    for row in json.loads(path.read_text())["rows"]:
        rounds = f"{min(row['rounds']):.2f} to {max(row['rounds']):.2f}"
        peers = ", ".join(
            f"{peer} {times:.2f}x"
            for peer, times in row["speedup_over"].items()
            if peer not in ("limit", "sknoisy")
        )
        ratio = f"{row['ratio_to_limit']['sknoisy']:.2f}"
        rate = f"{row['samples_per_s']['sknoisy']:.0f}"
        lines.append([row["config"], rate, ratio, rounds, peers])
    header = ["configuration", "samples/s", "time / limit", "range over rounds"]
    return table([*header, "times as fast as"], lines)


def fill(page, name, text):
    """Replace what stands between the comments of a table."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(page):
        raise SystemExit(f"{PAGE} has no {begin}")
    return pattern.sub(lambda _: f"{begin}\n\n{text}\n\n{end}", page)


def plot(rows, path):
    """Draw accuracy over the rate of symmetric noise."""
    import matplotlib

    matplotlib.use("agg")
    matplotlib.rcParams["svg.hashsalt"] = "sknoisy"  # equal rows, equal file
    from matplotlib import pyplot as plt

    groups = grouped(rows, "small")
    # Okabe and Ito's colours, which the colour-blind tell apart.
    colors = {"ce": "#999999", "gce": "#E69F00", "nfl_rce": "#56B4E9", "elr": "#009E73"}
    styles = {"": "o--", "simclr+": "s-", "barlow+": "^:"}
    noises = [noise for noise in STANDARD_NOISES if noise[0] in SYMMETRIC]
    fig, axes = plt.subplots(figsize=(7.5, 4), layout="constrained")
    for loss, color in colors.items():
        for pretrainer, style in styles.items():
            method = pretrainer + loss
            found = [groups[method, *noise] for noise in noises]
            points = [
                (100 * rate, np.mean([row["last"] for row in each]))
                for (_, rate), each in zip(noises, found, strict=True)
                if each
            ]
            if points:
                axes.plot(*zip(*points, strict=True), style, color=color, label=method)
    axes.set(xlabel="Wrong labels, symmetric noise (%)")
    axes.set(ylabel="Test accuracy after the last epoch (%)")
    if axes.lines:
        fig.legend(loc="outside right center", frameon=False)
    fig.savefig(path, metadata={"Date": None})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=Path, default=HERE / "accuracy.jsonl")
    parser.add_argument("--speed", type=Path, default=HERE / "speed.json")
    args = parser.parse_args()
    rows = read_rows(args.rows)
    page = PAGE.read_text()
    page = fill(page, "memorisation", memorisation_table(rows))
    page = fill(page, "stopping", stopping_table(known(HERE / "stopping.jsonl")))
    page = fill(page, "losses", losses_table(rows))
    page = fill(page, "noise", noise_table(rows))
    page = fill(page, "gains", gains_table(rows))
    page = fill(page, "networks", networks_table(rows))
    page = fill(page, "estimates", estimates_table(read_rows(HERE / "estimates.jsonl")))
    found = read_rows(HERE / "detection.jsonl")
    page = fill(page, "detection", detection_table(found))
    found = read_rows(HERE / "detection_speed.jsonl")
    page = fill(page, "detection speed", detection_speed_table(found, "seconds"))
    page = fill(page, "detection memory", detection_speed_table(found, "bytes"))
    page = fill(page, "detection from files", file_table(found))
    found = read_rows(HERE / "selection.jsonl")
    page = fill(page, "selection", selection_table(found))
    page = fill(page, "recipes", recipes_table(rows))
    page = fill(page, "labels", labels_table(rows))
    page = fill(page, "ablation", ablation_table(rows))
    page = fill(page, "published", published_table(rows))
    found = published(read_rows(HERE / "vectors.jsonl"))
    page = fill(page, "vectors", summary_table(found))
    page = fill(page, "vectors by cell", cells_table(found))
    found = read_rows(HERE / "photographs.jsonl")
    page = fill(page, "photographs", photographs_table(found))
    found = read_rows(HERE / "annotators.jsonl")
    page = fill(page, "annotators", annotators_table(found))
    found = read_rows(HERE / "relabelling.jsonl")
    page = fill(page, "relabelling", relabelling_table(found))
    page = fill(page, "trusted", trusted_table(read_rows(HERE / "trusted.jsonl")))
    if args.speed.exists():
        page = fill(page, "speed", speed_table(args.speed))
    PAGE.write_text(page)
    plot(rows, PAGE.parent / "accuracy.svg")


if __name__ == "__main__":
    main()
