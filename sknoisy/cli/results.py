"""What a check writes, and what it tells."""

import csv
import os

from sknoisy.cli.messages import printable
from sknoisy.datasets.cells import as_text
from sknoisy.estimators.saving import save
from sknoisy.files import replacing

SHOWN = 5  # samples in the summary
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
    write_rows(os.path.join(out, "samples.csv"), COLUMNS, _rows(detector, found))
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


def write_rows(path, columns, rows, separator=",", line_end="\r\n", encoding="utf-8"):
    """Write a CSV file, at once or not at all.

    Bytes in names of files that are no UTF-8 are escaped.
    """
    how = {"newline": "", "encoding": encoding, "errors": "backslashreplace"}
    with replacing(path, mode="w", **how) as file:
        writer = csv.writer(file, delimiter=separator, lineterminator=line_end)
        writer.writerow(columns)
        writer.writerows(rows)


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
    lines = [
        f"{n_errors:,} of {n:,} labels are called wrong. About {rate} of all are "
        f"({low} to {high})."
    ]
    for i in detector.ranked()[:SHOWN]:
        lines.append(
            f"  {found.names[i]}: {found.y[i]!s} -> {detector.suggested_labels_[i]!s} "
            f"({detector.suggestion_confidence_[i]:.0%} sure)"
        )
    if n_errors > SHOWN:
        lines.append(f"  and {n_errors - SHOWN:,} more")
    if copies is not None:
        lines.append(_of_copies(found.y, copies))
    if found.skipped:
        lines.append(f"Left out {len(found.skipped):,}:")
        lines += [f"  {path} {reason}" for path, reason in found.skipped[:SHOWN]]
        if len(found.skipped) > SHOWN:
            lines.append(f"  and {len(found.skipped) - SHOWN:,} more")
    return "\n".join(map(printable, lines))


def _of_copies(y, copies):
    """Return how many files are copies, and of how many the labels differ."""
    labels = {}
    for group, label in zip(copies.tolist(), y.tolist(), strict=True):
        labels.setdefault(group, set()).add(label)
    n_differ = sum(len(of_group) > 1 for of_group in labels.values())
    n_copies = len(copies) - len(labels)
    return (
        f"Exact copies of other files: {n_copies:,}. Photographs whose copies have "
        f"different labels: {n_differ:,}."
    )
