"""What a check writes, and what it tells."""

import csv
import os

import numpy as np

from sknoisy.cli.messages import printable
from sknoisy.datasets.cells import as_text
from sknoisy.estimators.saving import save
from sknoisy.files import replacing

BY_CHANCE = "predictions agree with the labels no more than they may by chance"
SHOWN = 5  # samples in the summary
WIDE = 30  # columns of a table, of which samples.csv repeats no more
COLUMNS = (
    "sample name given quality flagged suggested confidence error_probability "
    "decision label"
).split()


def write_all(out, detector, model, found, args):
    """Write report, tables and model to a folder; return the names of the files.

    Parameters
    ----------
    out : str
        The folder, which is made if it is not there.
    detector : LabelErrorDetector
        Fitted.
    model : classifier
        Fitted.
    found : Bunch
        What was read.
    args : argparse.Namespace
        Arguments of the command.

    Returns
    -------
    written : list of str
        Names of files.
    """
    os.makedirs(out, exist_ok=True)
    written = ["samples.csv", "model.safetensors"]
    columns, values = _shown_values(found.X)
    write_rows(
        os.path.join(out, "samples.csv"),
        [*COLUMNS, *columns],
        ([*row, *values[row[0]]] for row in _rows(detector, found)),
    )
    save(model, os.path.join(out, "model.safetensors"))
    if os.path.isdir(args.data):
        rows = zip(found.names, found.y, strict=True)
        write_rows(os.path.join(out, "labels.csv"), ["file", "label"], rows)
        written.append("labels.csv")
    skipped = os.path.join(out, "skipped.csv")
    if found.skipped or os.path.exists(skipped):  # of an earlier check
        write_rows(skipped, ["file", "why"], found.skipped)
        written.append("skipped.csv")
    detector.to_html(
        os.path.join(out, "report.html"),
        found.X,
        names=found.names,
        title=f"Labels of {os.path.basename(os.path.normpath(args.data))}",
        unreadable=found.skipped,
    )
    return ["report.html", *written]


def write_rows(
    path,
    columns,
    rows,
    separator=",",
    line_end="\r\n",
    encoding="utf-8",
    before="",
):
    """Write a CSV file, at once or not at all, after a line that is no row.

    Bytes in names of files that are no UTF-8 are escaped.
    """
    how = {"newline": "", "encoding": encoding, "errors": "backslashreplace"}
    with replacing(path, mode="w", **how) as file:
        file.write(before)
        writer = csv.writer(file, delimiter=separator, lineterminator=line_end)
        writer.writerow(columns)
        writer.writerows(rows)


def _shown_values(X):
    """Return columns of a table for people to look at, and the rows of their values.

    Paths of images have none. A column that is called like one of ours is renamed.
    """
    if isinstance(X, np.ndarray):
        return [], np.empty((len(X), 0))
    X = X.iloc[:, :WIDE]
    names = [str(name) for name in X.columns]
    names = [f"{name} (table)" if name in COLUMNS else name for name in names]
    values = X.astype(object).where(X.notna(), "").map(as_text)
    return [as_text(name) for name in names], values.to_numpy()


def _rows(detector, found):
    """Yield the rows of samples.csv, worst labels first."""
    for i in detector.ranked(all_samples=True):
        yield (
            i,
            as_text(found.names[i]),
            as_text(found.y[i]),
            f"{detector.label_quality_[i]:.4f}",
            int(detector.label_errors_[i]),
            as_text(detector.suggested_labels_[i]),
            f"{detector.suggestion_confidence_[i]:.4f}",
            f"{detector.error_probability_[i]:.4f}",
            "",
            "",
        )


def summarize(detector, found, copies):
    """Return what was found, for people, in a few lines."""
    n, n_errors = len(found.y), int(detector.label_errors_.sum())
    shares = [detector.noise_rate_, *detector.noise_rate_interval_]
    rate, low, high = (f"{max(share, 0) + 0.0:.0%}" for share in shares)  # 0.0: no -0%
    about = f"About {rate} of all are ({low} to {high})."
    if detector.by_chance_:
        about = f"How many are cannot be told: {BY_CHANCE}."
    lines = [f"{n_errors:,} of {n:,} labels are called wrong. {about}"]
    for i in detector.ranked()[:SHOWN]:
        lines.append(
            f"  {found.names[i]}: {found.y[i]!s} -> {detector.suggested_labels_[i]!s} "
            f"({detector.suggestion_confidence_[i]:.0%} sure)"
        )
    if n_errors > SHOWN:
        lines.append(f"  and {n_errors - SHOWN:,} more")
    if copies is not None:
        lines.append(_of_copies(found, copies))
    if found.skipped:
        lines.append(f"Left out {len(found.skipped):,}:")
        lines += [f"  {path} {reason}" for path, reason in found.skipped[:SHOWN]]
        if len(found.skipped) > SHOWN:
            lines.append(f"  and {len(found.skipped) - SHOWN:,} more")
    return "\n".join(map(printable, lines))


def _of_copies(found, copies):
    """Return how many samples are copies, and of how many the labels differ."""
    rows, samples = "files", "photographs"
    if not isinstance(found.X, np.ndarray):
        rows = samples = "rows"
    labels = {}
    for group, label in zip(copies.tolist(), found.y.tolist(), strict=True):
        labels.setdefault(group, set()).add(label)
    n_differ = sum(len(of_group) > 1 for of_group in labels.values())
    return (
        f"Exact copies of other {rows}: {len(copies) - len(labels):,}. "
        f"{samples.capitalize()} whose copies have different labels: {n_differ:,}."
    )
