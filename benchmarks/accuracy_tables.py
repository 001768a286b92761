"""Tables of accuracy.jsonl and estimates.jsonl; a cell without a row is "open"."""

from collections import defaultdict

import numpy as np
from accuracy import CLASSIFIERS
from rows import table
from verified import how

from sknoisy.losses import LOSSES

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
    spread = f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
    return f"{np.mean(values):.1f}{spread}"


def minutes(rows):
    """Return the median minutes of a training, without pre-training."""
    seconds = [row["clf_seconds"] for row in rows]
    return f"{np.median(seconds) / 60:.1f}" if seconds else ""


def of_method(groups, method, noises=None):
    """Return the rows of a method at some noises, or at all."""
    return [
        row
        for (name, *noise), rows in groups.items()
        for row in rows
        if name == method and (noises is None or tuple(noise) in noises)
    ]


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
        lines.append([*line, minutes(of_method(groups, name, noises)), how(name)])
    return table([*header, "minutes", "verified"], lines)


def noise_table(rows):
    """Accuracy over the kinds and rates of noise."""
    groups = grouped(rows, "small")
    header = ["method", *(_short(*noise) for noise in STANDARD_NOISES)]
    lines = []
    for loss in STANDARD_LOSSES:
        for method in (loss, f"simclr+{loss}", f"barlow+{loss}"):
            cells = [cell(groups[method, *noise]) for noise in STANDARD_NOISES]
            time = minutes(of_method(groups, method, STANDARD_NOISES))
            lines.append([f"`{method}`", *cells, time, how(method)])
    return table([*header, "minutes", "verified"], lines)


def gains_table(rows):
    """Tell what SimCLR adds to a loss, seed by seed."""
    groups, noises = grouped(rows, "small"), STANDARD_NOISES
    lines = []
    for loss in STANDARD_LOSSES:
        pairs = [(groups[loss, *n], groups[f"simclr+{loss}", *n]) for n in noises]
        lines.append([f"`{loss}`", *(_gain(*pair) for pair in pairs)])
    return table(["loss", *(_short(*noise) for noise in noises)], lines)


def networks_table(rows):
    """Classifiers that choose and correct their samples, beside two losses."""
    groups = grouped(rows, "small")
    header = ["method", *(_short(*noise) for noise in NETWORK_NOISES)]
    lines = []
    for name in ["ce", "elr", *CLASSIFIERS]:
        for method in (name, f"simclr+{name}"):
            cells = [cell(groups[method, *noise]) for noise in NETWORK_NOISES]
            if set(cells) != {"open"}:
                time = minutes(of_method(groups, method, NETWORK_NOISES))
                lines.append([f"`{method}`", *cells, time, how(method)])
    return table([*header, "minutes", "verified"], lines)


def bfloat16_table(rows):
    """Accuracies of trainings in float32, and of those that are tagged "bfloat16"."""
    lines = []
    for protocol in ("digits", "small"):
        plain, rounded = (grouped(rows, protocol, tag) for tag in ("", "bfloat16"))
        for (method, *noise), found in sorted(rounded.items()):
            each = plain[method, *noise], found
            seeds = " and ".join(str(len(of)) for of in each)
            cells = [_short(*noise), f"`{method}`", *map(cell, each), seeds]
            lines.append([protocol, *cells])
    header = ["protocol", "noise", "method", "float32", "bfloat16", "seeds"]
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


def cifar10_cpu_table(rows):
    """All of CIFAR-10 with the small network."""
    return _whole_table(rows, "cifar10_cpu")


def cifar10_table(rows):
    """All of CIFAR-10 with a ResNet18."""
    return _whole_table(rows, "cifar10")


def longer_table(rows):
    """The same, with an encoder that was pre-trained longer."""
    return _whole_table(rows, "cifar10", "longer")


def _whole_table(rows, protocol, tag=""):
    """Every method and noise of a protocol that has rows."""
    groups = grouped(rows, protocol, tag)
    noises = sorted({tuple(noise) for _, *noise in groups}, key=_in_order)
    header = ["method", *(_short(*noise) for noise in noises), "hardware", "minutes"]
    lines = []
    for method in sorted({method for method, *_ in groups}, key=_after_plus):
        found = of_method(groups, method)
        cells = [cell(groups[method, *noise]) for noise in noises]
        places = sorted({row.get("gpu") or row["device"] for row in found})
        cells += [", ".join(places), minutes(found), how(method)]
        lines.append([f"`{method}`", *cells])
    return table([*header, "verified"], lines)


def epochs_table(rows):
    """How the accuracy of a ResNet18 goes on over the epochs, to show memorisation."""
    shown = (1, 5, 10, 20)
    found = [
        ([_short(row["noise"], row["rate"]), f"`{row['method']}`"], row)
        for row in rows
        if row["protocol"] == "cifar10" and row.get("curve") and not row["tag"]
    ]
    lines = [
        [*names, *(f"{row['curve'][e - 1]:.1f}" for e in shown), f"{row['last']:.1f}"]
        for names, row in sorted(found, key=lambda pair: pair[0])
    ]
    return table(["noise", "method", *(f"epoch {e}" for e in shown), "last"], lines)


def cifar10_cpu_gains_table(rows):
    """Tell what SimCLR adds on all of CIFAR-10."""
    groups = grouped(rows, "cifar10_cpu")
    noises = sorted({tuple(noise) for _, *noise in groups}, key=_in_order)
    lines = []
    for name in sorted(
        {m for m, *_ in groups if f"simclr+{m}" in {n for n, *_ in groups}}
    ):
        pairs = [(groups[name, *n], groups[f"simclr+{name}", *n]) for n in noises]
        lines.append([f"`{name}`", *(_gain(*pair) for pair in pairs)])
    return table(["method", *(_short(*noise) for noise in noises)], lines)


def cifar10_cpu_longer_table(rows):
    """Tell what 242 epochs of SimCLR add to 48, on all of CIFAR-10."""
    shorter, longer = (grouped(rows, "cifar10_cpu", tag) for tag in ("48 epochs", ""))
    noises = sorted({tuple(noise) for _, *noise in shorter}, key=_in_order)
    lines = []
    for name in sorted({name for name, *_ in shorter}, key=_after_plus):
        pairs = [(shorter[name, *n], longer[name, *n]) for n in noises]
        lines.append([f"`{name}`", *(_gain(*pair) for pair in pairs)])
    return table(["method", *(_short(*noise) for noise in noises)], lines)


def _gain(before, after):
    """Return by how much rows are better than others, seed by seed."""
    before, after = ({row["seed"]: row["last"] for row in r} for r in (before, after))
    seeds = before.keys() & after.keys()
    return cell([{"last": after[seed] - before[seed]} for seed in seeds])


def _in_order(noise):
    kinds = ["none", "symmetric_inclusive", "asymmetric_cifar10", "instance_dependent"]
    return (*(kind != noise[0] for kind in kinds), *noise)


def _after_plus(method):
    return method.rpartition("+")[2], method


def memorisation_table(rows):
    """Last against best epoch."""
    lines = []
    for protocol in ("digits", "small"):
        for (method, noise, rate), found in sorted(grouped(rows, protocol).items()):
            if rate == 0.6 and method in ("ce", "simclr+ce", "simclr+elr"):
                numbers = cell(found), cell(found, "best"), str(len(found))
                line = [protocol, f"{noise} {rate:.0%}", f"`{method}`", *numbers]
                lines.append([*line, minutes(found)])
    header = ["protocol", "noise", "method", "last", "best", "seeds", "minutes"]
    return table(header, lines)


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
            cells = [*map(cell, pair), cell(gains), str(len(seeds)), minutes(pair[1])]
            lines.append([_noise(*noise), f"`{recipe}`", *cells])
    header = ["noise", "recipe", "backbone", "recipe", "gain", "seeds", "minutes"]
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


def _short(name, rate):
    """Return the name of a noise without its protocol, for the head of a column."""
    if name.endswith("_label"):
        return "CIFAR-10N, " + name.removesuffix("_label").replace("worse", "worst")
    return _noise(name.split("_")[0].replace("instance", "instance-dependent"), rate)
