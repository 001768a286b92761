"""Draw the pictures of docs/benchmarks/ from the rows.

    python benchmarks/pictures.py

Equal rows give equal files. Text stays text, which keeps the files small.
"""

import json
from itertools import product
from pathlib import Path

import matplotlib
import numpy as np
from accuracy import CLASSIFIERS
from accuracy_tables import (
    NETWORK_NOISES,
    PUBLISHED,
    RATES,
    RECIPE_NOISES,
    RECIPES,
    grouped,
)
from annotators import TRAININGS as CONSENSUS
from people import best_of_people, found_of_people
from relabelling import ORDERS
from rows import read_rows
from selection import cells, regret
from trusted import NOISES as TRUST_NOISES
from trusted import TRAININGS as TRUST
from vector_tables import best_peer, label, mean_by_cell, ordered, published

from sknoisy.losses import LOSSES

matplotlib.use("agg")
from matplotlib import pyplot as plt

HERE = Path(__file__).parent
PAGES = HERE.parent / "docs" / "benchmarks"

# Okabe and Ito's colours, which the colour-blind tell apart.
GREY, ORANGE, SKY, GREEN = "#999999", "#E69F00", "#56B4E9", "#009E73"
BLUE, RED, PINK, BLACK = "#0072B2", "#D55E00", "#CC79A7", "#333333"
COLORS = {"ce": GREY, "gce": ORANGE, "nfl_rce": SKY, "elr": GREEN, "sop": PINK}
STYLES = {"": "o--", "simclr+": "s-", "barlow+": "^:"}
SYMMETRIC = ("none", "symmetric_exclusive", "symmetric_inclusive")
STYLE = {
    "svg.hashsalt": "sknoisy",
    "svg.fonttype": "none",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "axes.axisbelow": True,
    "axes.titlesize": 10,
}


def rows_of(name):
    return read_rows(HERE / f"{name}.jsonl")


def images():
    """Accuracy over symmetric noise: each protocol that has rows, and published."""
    rows = rows_of("accuracy")
    titles = {
        "small": "Ours: 10,000 images, small network",
        "cifar10_cpu": "Ours: all of CIFAR-10, small network",
        "cifar10": "Ours: all of CIFAR-10, ResNet18",
    }
    drawn = [p for p in titles if any(points_of(grouped(rows, p)).values())]
    size = 3 * len(drawn) + 6, 4.2
    fig, axes = plt.subplots(1, len(drawn) + 1, figsize=size, sharey=True)
    for ax, protocol in zip(axes, drawn, strict=False):
        curves(ax, grouped(rows, protocol))
        ax.set(title=titles[protocol])
    for loss, pairs in PUBLISHED["symmetric"].items():
        rates = [100 * rate for rate in RATES["symmetric"]]
        for prefix, values in zip(
            ("", "simclr+"), zip(*pairs, strict=True), strict=True
        ):
            axes[-1].plot(rates, values, STYLES[prefix], color=COLORS[loss])
    axes[-1].set(title="Published: all of CIFAR-10, ResNet18")
    axes[0].set(ylabel="Test accuracy after the last epoch (%)", ylim=(0, 100))
    for ax in axes:
        ax.set(xlabel="Wrong labels, symmetric noise (%)", xlim=(-3, 83))
    shown = {}
    for ax in axes:
        for handle, name in zip(*ax.get_legend_handles_labels(), strict=True):
            shown.setdefault(name, handle)
    fig.legend(shown.values(), shown.keys(), loc="outside right center", frameon=False)
    return fig


def curves(ax, groups):
    """Draw the mean accuracy of each loss and pre-training over symmetric noise."""
    for (prefix, loss), points in points_of(groups).items():
        if points:
            x, y = zip(*points, strict=True)
            ax.plot(x, y, STYLES[prefix], color=COLORS[loss], label=prefix + loss)


def points_of(groups):
    """Return rates and mean accuracies by pre-training and loss; none of few rates."""
    found = {}
    for loss, prefix in product(COLORS, STYLES):
        points = sorted(
            (100 * rate, np.mean([row["last"] for row in rows]))
            for (method, noise, rate), rows in groups.items()
            if method == prefix + loss and noise in SYMMETRIC
        )
        found[prefix, loss] = points if len(points) > 2 else []
    return found


def accuracy():
    """Draw the picture of the README and of the home page: our rows alone."""
    fig, ax = plt.subplots(figsize=(7.5, 4))
    curves(ax, grouped(rows_of("accuracy"), "small"))
    ax.set(xlabel="Wrong labels, symmetric noise (%)")
    ax.set(ylabel="Test accuracy after the last epoch (%)")
    fig.legend(loc="outside right center", frameon=False)
    return fig


def before_and_after(ax, names, pairs):
    """Draw two dots a line, which are joined."""
    before, after = np.transpose(pairs)
    at = np.arange(len(names))
    ax.hlines(at, before, after, color="#cccccc")
    ax.plot(before, at, "o", color=GREY)
    ax.plot(after, at, "o", color=GREEN)
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)


def ends(fig, before, after):
    """Add a legend of the two dots above the panels."""
    marks = [
        plt.Line2D([], [], marker="o", ls="", color=color, label=name)
        for name, color in ((before, GREY), (after, GREEN))
    ]
    fig.legend(handles=marks, loc="outside upper center", ncols=2, frameon=False)


def last(groups, method, noise):
    """Return the mean accuracy of a method at a noise, after the last epoch."""
    return np.mean([row["last"] for row in groups[method, *noise]])


def losses():
    """Every loss, from scratch and pre-trained, sorted by the pre-trained one."""
    groups = grouped(rows_of("accuracy"), "small")
    noises = {
        "symmetric 40%": ("symmetric_exclusive", 0.4),
        "symmetric 80%": ("symmetric_exclusive", 0.8),
        "asymmetric 40%": ("asymmetric_cifar10", 0.4),
    }
    fig, axes = plt.subplots(1, 3, figsize=(10, 6.5))
    for ax, (title, noise) in zip(axes, noises.items(), strict=True):
        pairs = {
            name: [last(groups, f"{p}{name}", noise) for p in ("", "simclr+")]
            for name in LOSSES
            if {(name, *noise), (f"simclr+{name}", *noise)} <= groups.keys()
        }
        names = sorted(pairs, key=lambda name: -pairs[name][1])
        before_and_after(ax, names, [pairs[name] for name in names])
        ax.set(title=title, xlabel="Test accuracy (%)")
    ends(fig, "from scratch", "pre-trained by SimCLR")
    return fig


def networks():
    """Classifiers that choose and correct their samples, beside two losses."""
    groups = grouped(rows_of("accuracy"), "small")
    names = [
        name
        for name in ("ce", "elr", *CLASSIFIERS)
        if all((name, *noise) in groups for noise in NETWORK_NOISES)
    ]
    names.sort(key=lambda name: last(groups, name, NETWORK_NOISES[0]))
    fig, axes = plt.subplots(1, 4, figsize=(10, 3.6), sharey=True)
    for ax, noise in zip(axes, NETWORK_NOISES, strict=True):
        values = [last(groups, name, noise) for name in names]
        color = [GREY if name in LOSSES else BLUE for name in names]
        ax.barh(names, values, color=color)
        for y, value in enumerate(values):
            ax.text(value + 0.5, y, f"{value:.0f}", va="center", fontsize=8)
        ax.set(title=title_of(*noise), xlabel="Accuracy (%)")
        ax.grid(visible=False)
    return fig


def recipes():
    """Each recipe beside its own backbone."""
    rows = rows_of("accuracy")
    fig, axes = plt.subplots(1, 2, figsize=(10, 3.4), sharey=True)
    for ax, noise in zip(axes, RECIPE_NOISES, strict=True):
        pairs = []
        for steps in RECIPES.values():
            found = [grouped(rows, "small", tag)[m, *noise] for m, tag in steps]
            seeds = set.intersection(*({r["seed"] for r in each} for each in found))
            pairs.append(
                [np.mean([r["last"] for r in e if r["seed"] in seeds]) for e in found]
            )
        before_and_after(ax, [*RECIPES], pairs)
        ax.set(title=title_of(*noise), xlabel="Test accuracy (%)")
    ends(fig, "backbone alone", "with what the recipe adds")
    return fig


def embeddings():
    """Mean accuracy over symmetric noise, of the data sets that all have."""
    rows = published(rows_of("vectors"))
    means, (methods, all_cells) = mean_by_cell(rows), ordered(rows)
    rates = (0.0, 0.2, 0.4, 0.6)
    fig, axes = plt.subplots(1, 2, figsize=(10, 4))
    symmetric = [c for c in all_cells if c[1] in ("none", *SYMMETRIC)]
    names = {c[0] for c in symmetric}
    names = [n for n in names if {c[2] for c in symmetric if c[0] == n} >= {*rates}]
    wanted = [
        [c for c in symmetric if c[0] in names and c[2] == rate] for rate in rates
    ]
    wanted = [[c for c in cs if all(c in means[m] for m in methods)] for cs in wanted]
    shades = [GREY, SKY, BLUE, PINK, ORANGE, RED, "#F0E442", BLACK]
    for method, color in zip(methods, [GREEN, *shades], strict=False):
        values = [np.mean([means[method][c] for c in cs]) for cs in wanted]
        style = {"lw": 3, "zorder": 3} if method == "default" else {"lw": 1.5}
        axes[0].plot(np.multiply(rates, 100), values, "o-", ms=4, color=color, **style)
        axes[0].lines[-1].set_label(method)
    axes[0].set(xlabel="Wrong labels, symmetric noise (%)", ylabel="Test accuracy (%)")
    axes[0].set(title=f"Mean of {len(wanted[0])} data sets")
    axes[0].legend(fontsize=8, frameon=False, loc="lower left")
    best = best_peer(means, all_cells)
    gaps = sorted(means["default"][c] - best[c] for c in best if c in means["default"])
    colors = [GREEN if gap >= 0 else RED for gap in gaps]
    axes[1].bar(range(len(gaps)), gaps, color=colors, width=1)
    axes[1].set(xlabel="Cells, sorted", ylabel="Points above the best peer")
    axes[1].set(title=f"default in {len(gaps)} cells of data and noise")
    return fig


def photographs():
    """Accuracy, and labels found, of each method."""
    rows = rows_of("photographs")
    rates = sorted({row["rate"] for row in rows})
    methods = list(dict.fromkeys(row["method"] for row in rows))
    fig, axes = plt.subplots(1, 3, figsize=(10, 3))
    for ax, score in zip(axes, ("accuracy", "precision", "recall"), strict=True):
        for i, (rate, color) in enumerate(zip(rates, (SKY, BLUE), strict=False)):
            means = [
                np.mean(
                    [r[score] for r in rows if (r["method"], r["rate"]) == (m, rate)]
                )
                for m in methods
            ]
            at = np.arange(len(methods)) + 0.4 * i - 0.2
            ax.bar(at, means, 0.38, color=color, label=f"{rate:.0%} wrong")
        ax.set_xticks(range(len(methods)), methods)
        ax.set(
            title=score if score == "accuracy" else f"{score} of labels called wrong"
        )
        ax.set(ylim=(0, 100))
        ax.grid(visible=False, axis="x")
    axes[0].set(ylabel="%")
    fig.legend(
        *axes[0].get_legend_handles_labels(),
        loc="outside upper center",
        ncols=2,
        frameon=False,
    )
    return fig


def wrong_labels():
    """F1 of the labels that were found, from scratch and pre-trained."""
    rows = [r for r in rows_of("detection") if not r["tag"]]
    noises = list(dict.fromkeys((row["noise"], row["rate"]) for row in rows))
    names = list(dict.fromkeys((row["method"], row["source"]) for row in rows))
    fig, axes = plt.subplots(1, len(noises), figsize=(11, 3.6), sharey=True)
    for ax, noise in zip(axes, noises, strict=True):
        found = {
            (r["method"], r["source"], r["features"]): r["f1"]
            for r in rows
            if (r["noise"], r["rate"]) == noise
        }
        pairs = [[found[(*name, f)] for f in ("scratch", "simclr")] for name in names]
        shown = [f"{method}, {source}" for method, source in names]
        before_and_after(ax, shown, pairs)
        ax.set(title=title_of(*noise), xlabel="F1", xlim=(0.1, 0.9))
    ends(fig, "network from scratch", "pre-trained by SimCLR")
    return fig


def relabelling():
    """Right labels after each round of second looks."""
    rows = rows_of("relabelling")
    cases = sorted({(row["data"], row["noise"]) for row in rows})
    fig, axes = plt.subplots(2, len(cases) // 2, figsize=(11, 5), sharex=True)
    for ax, (data, noise) in zip(axes.flat, cases, strict=True):
        for order, color in zip(ORDERS, (GREY, SKY, GREEN), strict=True):
            found = [
                r["labels_right"]
                for r in rows
                if (r["data"], r["noise"], r["order"]) == (data, noise, order)
            ]
            ax.plot(np.mean(found, axis=0), color=color, label=order)
        kind, _, rate = noise.partition(":")
        ax.set_title(f"{data}\n{short(kind)} {rate}", fontsize=9)
    for ax in axes[-1]:
        ax.set(xlabel="rounds")
    for ax in axes[:, 0]:
        ax.set(ylabel="right labels (%)")
    handles = axes.flat[0].get_legend_handles_labels()
    fig.legend(*handles, loc="outside upper center", ncols=3, frameon=False)
    return fig


def choosing():
    """What a choice by noisy labels costs, beside the worst choice."""
    found = cells(rows_of("selection"))
    kinds = list(dict.fromkeys(key[:3] for key in found))
    fig, ax = plt.subplots(figsize=(9, 4))
    at = np.arange(len(kinds))
    worst, noisy, corrected = [], [], []
    for kind in kinds:
        of = [rows for key, rows in found.items() if key[:3] == kind]
        spread = [np.ptp([row["accuracy"] for row in rows]) for rows in of]
        worst.append(np.mean(spread))
        noisy.append(np.mean([regret(rows, "noisy") for rows in of]))
        corrected.append(np.mean([regret(rows, "corrected") for rows in of]))
    ax.barh(at, worst, 0.8, color="#e0e0e0", label="worst loss")
    ax.barh(at - 0.2, noisy, 0.35, color=ORANGE, label="chosen by noisy accuracy")
    ax.barh(
        at + 0.2, corrected, 0.35, color=GREEN, label="chosen by corrected accuracy"
    )
    ax.set_yticks(at, [f"{data}, {label(*rest)}" for data, *rest in kinds])
    ax.invert_yaxis()
    ax.set(xlabel="Points of clean accuracy lost by the choice")
    ax.legend(frameon=False)
    ax.grid(visible=False, axis="y")
    return fig


def annotators():
    """Accuracy by what is trained on: several annotators, and trusted labels."""
    fig, axes = plt.subplots(1, 2, figsize=(10, 3.6), sharex=True)
    rows = [row for row in rows_of("annotators") if "of" not in row]
    dots(axes[0], rows, CONSENSUS, BLUE, "o", None)
    axes[0].set(title="Three annotators", xlabel="Test accuracy (%)")
    rows = [row for row in rows_of("trusted") if row["size"] == "small"]
    noises = list(dict.fromkeys(row["noise"] for row in rows))
    looks = zip(noises, (GREEN, SKY, ORANGE, RED), "os^D", strict=True)
    for name, color, marker in looks:
        of = [row for row in rows if row["noise"] == name]
        dots(axes[1], of, TRUST, color, marker, title_of(*TRUST_NOISES[name]))
    axes[1].set(title="500 trusted labels", xlabel="Test accuracy (%)")
    fig.legend(loc="outside lower right", ncols=3, frameon=False)
    return fig


def people():
    """Accuracy and labels found where people made the noise, ours beside others'."""
    fig, axes = plt.subplots(1, 2, figsize=(10, 3.8), sharey=True)
    rows = rows_of("people")
    best = best_of_people(rows)
    titles = [title for title, *_ in best]
    looks = (("default", GREEN, "o"), ("the best other method", GREY, "s"))
    for at, (name, color, marker) in enumerate(looks, start=1):
        axes[0].plot(
            [cell[at] for cell in best], titles, marker, color=color, label=name
        )
    found = found_of_people(rows)
    looks = (("ours", GREEN, "o"), ("cleanlab", GREY, "s"))
    for name, color, marker in looks:
        scores = [found[name][title] for title in titles]
        axes[1].plot(scores, titles, marker, color=color, label=name)
    axes[0].invert_yaxis()
    axes[0].set(title="Classifiers", xlabel="Test accuracy (%)")
    axes[1].set(title="Wrong labels", xlabel="Average precision (%)")
    for ax in axes:
        ax.legend(frameon=False)
    return fig


def dots(ax, rows, trainings, color, marker, name):
    """Draw the mean accuracy of each training."""
    for at, training in enumerate(trainings):
        of = [row["accuracy"] for row in rows if row["training"] == training]
        if of:
            ax.plot(np.mean(of), at, marker, color=color, label=name)
            name = None  # once in the legend
    titles = [title.replace("`", "") for title in trainings.values()]
    ax.set_yticks(range(len(trainings)), titles)
    ax.set_ylim(len(trainings) - 0.5, -0.5)


def short(noise):
    """Return the name of a noise without the protocol that it is of."""
    return noise.removesuffix("_exclusive").removesuffix("_cifar10").replace("_", "-")


def title_of(noise, rate):
    return f"{short(noise)} {rate:.0%}"


def speed():
    """Time over the limit, the bare network's: ours and the peers'."""
    rows = json.loads((HERE / "speed.json").read_text())["rows"]
    rows = [row for row in rows if "rounds" in row]  # not times to the first result
    fig, ax = plt.subplots(figsize=(9, 6.5))
    colors = {
        "lightly": ORANGE,
        "lightly, 2 workers": RED,
        "kornia": SKY,
        "skorch": PINK,
    }
    colors["lightly, not channels_last"] = "#F0E442"
    seen = set()
    for y, row in enumerate(rows):
        for peer, ratio in row["ratio_to_limit"].items():
            if peer in colors:
                name = None if peer in seen else peer
                ax.plot(ratio, y, "o", color=colors[peer], label=name)
                seen.add(peer)
        ours = row["ratio_to_limit"]["sknoisy"]
        ax.plot(ours, y, "D", color=GREEN)
    ax.plot([], [], "D", color=GREEN, label="sknoisy")
    ax.axvline(1, color=BLACK, lw=1)
    ax.set_yticks(
        range(len(rows)),
        [f"{row['config']}, {row.get('precision', 'float32')}" for row in rows],
    )
    ax.invert_yaxis()
    ax.set(xlabel="Time of an epoch over the time of the bare network")
    fig.legend(loc="outside right center", frameon=False)
    return fig


PICTURES = [
    images,
    losses,
    networks,
    recipes,
    embeddings,
    photographs,
    wrong_labels,
    relabelling,
    choosing,
    annotators,
    people,
    speed,
]


def draw_all(folder):
    """Write every picture into the folder, and that of the README above it."""
    with plt.rc_context(STYLE | {"figure.constrained_layout.use": True}):
        for draw in PICTURES:
            draw().savefig(folder / f"{draw.__name__}.svg", metadata={"Date": None})
        accuracy().savefig(folder.parent / "accuracy.svg", metadata={"Date": None})
    plt.close("all")


if __name__ == "__main__":
    draw_all(PAGES)
