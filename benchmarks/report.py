"""Fill the tables of docs/benchmarks/, and draw its pictures, from the rows.

    python benchmarks/report.py

Tables stand between comments, such as ``<!-- losses -->`` and ``<!-- /losses -->``;
what is between them is replaced, the rest of the pages is written by hand. A cell
without a row is "open": nothing is guessed. The pictures are those of pictures.py.
"""

import argparse
import json
import re
from collections import Counter
from pathlib import Path

import accuracy_tables as of_accuracy
import numpy as np
from annotators import annotators_table
from detection import detection_table
from detection_speed import file_table
from detection_speed import speed_table as detection_speed_table
from detectors import detectors_table
from encoders import encoders_table
from few import few_table
from people import people_errors_table, people_table
from photographs import photographs_table
from pictures import draw_all
from rare import rare_table
from relabelling import relabelling_table
from rows import read_rows, table
from selection import selection_table
from stopping import known, stopping_table
from texts import text_errors_table, texts_table
from trusted import trusted_on_tables, trusted_table
from unseen import unseen_table
from vector_speed import vector_speed_table
from vector_tables import (
    cells_table,
    cleaned_table,
    networks_table,
    published,
    summary_table,
)

HERE = Path(__file__).parent
PAGES = HERE.parent / "docs" / "benchmarks"

# Rows by the page that shows them.
FILES = {
    "accuracy": "images, losses, networks, recipes",
    "estimates": "networks",
    "vectors": "embeddings and tables",
    "unseen": "embeddings and tables",
    "rare": "embeddings and tables",
    "few": "embeddings and tables",
    "texts": "texts",
    "people": "labels of people",
    "photographs": "a few photographs",
    "detection": "wrong labels",
    "detectors": "wrong labels",
    "detection_speed": "wrong labels",
    "relabelling": "wrong labels",
    "selection": "choosing and stopping",
    "stopping": "choosing and stopping",
    "encoders": "choosing and stopping",
    "annotators": "annotators and trusted labels",
    "trusted": "annotators and trusted labels",
}


def speed_table(path):
    """Time over the bare network's, and speed over the peers'."""
    lines = []
    for row in json.loads(path.read_text())["rows"]:
        if "rounds" not in row:  # a time to the first result
            continue
        rounds = f"{min(row['rounds']):.2f} to {max(row['rounds']):.2f}"
        peers = ", ".join(
            f"{peer} {times:.2f}x"
            for peer, times in row["speedup_over"].items()
            if peer not in ("limit", "sknoisy")
        )
        ratio = f"{row['ratio_to_limit']['sknoisy']:.2f}"
        rate = f"{row['samples_per_s']['sknoisy']:.0f}"
        precision = row.get("precision", "float32")
        lines.append([row["config"], precision, rate, ratio, rounds, peers])
    header = [
        "configuration",
        "precision",
        "samples/s",
        "time / limit",
        "range over rounds",
    ]
    return table([*header, "times as fast as"], lines)


def waits_table(path):
    """Seconds until the first result, and over the limit's."""
    rows = [row for row in json.loads(path.read_text())["rows"] if "seconds" in row]
    lines = [
        [
            row["config"],
            *(f"{row['seconds'][name]:.2f}" for name in ("sknoisy", "limit")),
            f"{row['ratio_to_limit']['sknoisy']:.2f}",
        ]
        for row in rows
    ]
    return table(["what", "seconds", "limit", "time / limit"], lines)


def encoder_minutes_table(path):
    """Accuracy of the linear probe over minutes on a CPU, by the network's width.

    The accuracies are those of a GPU, the minutes follow from the images that a CPU
    trains on in a second.
    """
    speeds = {
        (row["config"], row.get("precision")): row["samples_per_s"]["sknoisy"]
        for row in json.loads(path.read_text())["rows"]
        if "samples_per_s" in row
    }
    lines = []
    for name in ("narrow", "convnet", "wide"):
        found = json.loads((HERE / f"cifar10_simclr_{name}.json").read_text())
        for epoch, _, accuracy in found["probe"]:
            minutes = [
                f"{epoch * found['n_train'] / speeds[key] / 60:.0f}"
                if (key := (f"simclr/{name}", precision)) in speeds
                else "open"
                for precision in ("float32", "bfloat16")
            ]
            lines.append([name, str(epoch), f"{accuracy:.1f}", *minutes])
    header = ["network", "epochs", "linear probe", "minutes in float32"]
    return table([*header, "in bfloat16"], lines)


def rows_table():
    """Which files there are, and of which device, versions and revisions they are."""
    lines = []
    for name, pages in FILES.items():
        rows = read_rows(HERE / f"{name}.jsonl")
        devices = Counter(row.get("gpu") or row.get("device", "cpu") for row in rows)
        torch = sorted({row["versions"]["torch"].split("+")[0] for row in rows})
        revisions = Counter(row.get("revision", "").rstrip("+") for row in rows)
        shown = [f"{r or 'not recorded'} ({n})" for r, n in revisions.most_common(8)]
        if len(revisions) > len(shown):
            shown.append(f"{len(revisions) - len(shown)} more")
        cells = [str(len(rows)), ", ".join(devices), ", ".join(torch)]
        lines.append([f"`{name}.jsonl`", pages, *cells, ", ".join(shown)])
    header = ["file", "page", "rows", "device", "torch", "revisions (rows)"]
    return table(header, lines)


def seconds_table(rows):
    """How long a fit takes on embeddings and tables, by method."""
    lines = []
    for method in dict.fromkeys(row["method"] for row in rows):
        of = [row for row in rows if row["method"] == method]
        on_cifar10 = [row for row in of if row["data"] == "cifar10_features"]
        medians = [
            f"{np.median([row['seconds'] for row in each]):.1f}" if each else "open"
            for each in (of, on_cifar10)
        ]
        lines.append([f"`{method}`", *medians])
    return table(["method", "all", "CIFAR-10"], sorted(lines))


def tables():
    """Return the text of every table by its name."""
    rows = {name: read_rows(HERE / f"{name}.jsonl") for name in FILES}
    vectors = published(rows["vectors"])
    of_images = (
        "memorisation losses noise gains networks recipes labels ablation published "
        "cifar10 longer epochs cifar10_cpu cifar10_cpu_gains cifar10_cpu_longer "
        "bfloat16"
    )
    found = {
        name: getattr(of_accuracy, f"{name}_table")(rows["accuracy"])
        for name in of_images.split()
    }
    return found | {
        "stopping": stopping_table(known(HERE / "stopping.jsonl")),
        "estimates": of_accuracy.estimates_table(rows["estimates"]),
        "detection": detection_table(rows["detection"]),
        "detectors": detectors_table(rows["detectors"]),
        "detection speed": detection_speed_table(rows["detection_speed"], "seconds"),
        "detection memory": detection_speed_table(rows["detection_speed"], "bytes"),
        "detection from files": file_table(rows["detection_speed"]),
        "selection": selection_table(rows["selection"]),
        "encoders": encoders_table(rows["encoders"]),
        "vectors": summary_table(vectors),
        "unseen": unseen_table(rows["unseen"]),
        "rare": rare_table(rows["rare"]),
        "few": few_table(rows["few"]),
        "few embeddings": few_table(
            [row for row in rows["few"] if row["data"] == "cifar10_features"]
        ),
        "texts": texts_table(rows["texts"]),
        "text_errors": text_errors_table(rows["texts"]),
        **{
            f"people {kind}": people_table(rows["people"], kind)
            for kind in ("features", "words", "embeddings")
        },
        "people errors": people_errors_table(rows["people"]),
        "annotators people": annotators_table(rows["annotators"], "people"),
        "vectors by cell": cells_table(vectors),
        "cleaned": cleaned_table(rows["vectors"]),
        "vector networks": networks_table(rows["vectors"]),
        "vector seconds": seconds_table(vectors),
        "photographs": photographs_table(rows["photographs"]),
        "annotators": annotators_table(rows["annotators"]),
        "relabelling": relabelling_table(rows["relabelling"]),
        "trusted": trusted_table(rows["trusted"], "small"),
        "trusted tables": trusted_on_tables(rows["trusted"]),
        "speed": speed_table(HERE / "speed.json"),
        "encoder minutes": encoder_minutes_table(HERE / "speed.json"),
        "vector speed": vector_speed_table(HERE / "speed_vectors.json"),
        "waits": waits_table(HERE / "speed.json"),
        "rows": rows_table(),
    }


def fill(pages, name, text):
    """Replace what stands between the comments of a table, on the page that has it."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    having = [path for path, page in pages.items() if pattern.search(page)]
    if len(having) != 1:
        raise SystemExit(f"{begin} stands on {len(having)} pages of {PAGES}, not on 1")
    pages[having[0]] = pattern.sub(
        lambda _: f"{begin}\n\n{text}\n\n{end}", pages[having[0]]
    )


def main():
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    pages = {path: path.read_text() for path in sorted(PAGES.glob("*.md"))}
    for name, text in tables().items():
        fill(pages, name, text)
    for path, page in pages.items():
        path.write_text(page)
    draw_all(PAGES)


if __name__ == "__main__":
    main()
