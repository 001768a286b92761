"""The page that shows people what a detector found, and takes their decisions."""

import base64
import datetime
import hashlib
import io
import os
from numbers import Real
from pathlib import Path
from urllib.parse import quote

import numpy as np

from sknoisy import _version
from sknoisy.data.inputs import IMAGE_SUFFIXES, is_paths, paths_of
from sknoisy.data.labels import is_missing
from sknoisy.data.pictures import as_images, as_picture, as_samples, thumbnail
from sknoisy.estimators.findings import percent
from sknoisy.scores.estimates import count_pairs

SIDE = 160  # pixels of a thumbnail
QUALITY = 80  # of its JPEG
LARGEST_MATRIX = 20  # classes
N_PAIRS = 20  # of confused classes, where there are more classes than that
N_UNREADABLE = 500
N_VALUES = 12  # columns of a table
N_CHARACTERS = 1000  # of a text
DOUBTFUL = 0.5  # probability of an error from which a label is worth a look
WRONG, UNSURE = "wrong label", "doubtful label"
OTHERS = {  # kinds of issues_, as people read them
    "conflicting_duplicate": "near-duplicate with another label",
    "near_duplicate": "near-duplicate",
    "outlier": "outlier",
}


def render(detector, X, names, n_shown, title, unreadable, folder):
    """Return the page as a string; see LabelErrorDetector.to_html.

    Parameters
    ----------
    detector : LabelErrorDetector
        Fitted.
    X : array-like of shape (n_samples, ...) or None
        What to show of the samples.
    names : sequence of str or None
        What to call them.
    n_shown : int
        How many of them, at most.
    title : str
        Heading of the page.
    unreadable : sequence of (str, str)
        Files that are not among the samples, and why.
    folder : path-like
        Where the page will lie; files are linked from there.

    Returns
    -------
    page : str
        HTML, with everything that it needs.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sknoisy.detection"),
        autoescape=True,
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    classes = [str(name) for name in detector.classes_]
    pairs = count_pairs(detector._codes, detector._suggested, len(classes))
    np.fill_diagonal(pairs, 0)
    findings = _findings(detector)
    rows = _chosen(findings, n_shown)
    cards = _cards(detector, rows, findings)
    are_files = X is getattr(detector, "_paths", None)  # even where they are gone
    looks = _looks(X, names, rows, folder, are_files)
    for card, more in zip(cards, looks, strict=True):
        card.update(more)
    return environment.get_template("page.html").render(
        title=title,
        version=_version.__version__,
        date=datetime.date.today().isoformat(),
        tiles=_tiles(detector),
        facts=_facts(detector),
        warnings=_caveats(detector),
        classes=_class_rows(detector, classes),
        pairs=_pairs(pairs, classes),
        matrix=_matrix(pairs) if len(classes) <= LARGEST_MATRIX else None,
        unreadable=unreadable[:N_UNREADABLE],
        n_unreadable=len(unreadable),
        shown=_shown(len(rows), len(findings)),
        data={"classes": classes, "cards": cards, "key": _key(detector)},
    )


def _findings(detector):
    """Return kinds and group of each sample that deserves a look, by its position.

    They come in the order of the page: wrong labels, doubtful ones, duplicates by
    their groups, and outliers.
    """
    wrong, sure = detector.label_errors_, detector.error_probability_
    found = {}
    for i in np.lexsort((-sure, ~wrong)).tolist():
        if wrong[i] or sure[i] > DOUBTFUL:
            found[i] = {"kinds": [WRONG if wrong[i] else UNSURE], "group": -1}
    issues = detector._found_issues()
    columns = (list(issues[name]) for name in ("sample", "kind", "group", "severity"))
    others = [row for row in zip(*columns, strict=True) if row[1] in OTHERS]
    others.sort(key=lambda row: (list(OTHERS).index(row[1]), row[2], -row[3]))
    for i, kind, group, _ in others:
        entry = found.setdefault(int(i), {"kinds": [], "group": -1})
        entry["kinds"].append(OTHERS[kind])
        entry["group"] = max(entry["group"], int(group))
    return found


def _chosen(findings, n_shown):
    """Return what is shown: so many labels, and a third of that of each other kind."""
    left = {WRONG: n_shown, **dict.fromkeys(OTHERS.values(), -(-n_shown // 3))}
    chosen = []
    for i, entry in findings.items():
        kinds = [WRONG if kind == UNSURE else kind for kind in entry["kinds"]]
        if any(left[kind] > 0 for kind in kinds):
            chosen.append(i)
            for kind in kinds:
                left[kind] -= 1
    return np.array(chosen, dtype=np.int64)


def _cards(detector, rows, findings):
    """Return what the page knows of each chosen sample but its looks."""
    return [
        {
            "sample": int(i),
            "given": int(detector._codes[i]),
            "suggested": int(detector._suggested[i]),
            "wrong": round(float(detector.error_probability_[i]), 4),
            "sure": round(float(detector.suggestion_confidence_[i]), 4),
            **findings[int(i)],
        }
        for i in rows
    ]


def _looks(X, names, rows, folder, are_files):
    """Return name, and picture, values or text, of each of some samples."""
    names = [f"#{i}" for i in rows] if names is None else [str(names[i]) for i in rows]
    # Bytes in names of files that are no UTF-8: a browser would replace them.
    names = [name.encode("utf-8", "backslashreplace").decode() for name in names]
    looks = [{"name": name} for name in names]
    if X is None or len(rows) == 0:
        return looks
    columns = getattr(X, "columns", None)
    is_pandas = hasattr(X, "iloc")
    if columns is not None and not is_pandas:
        columns = getattr(X, "column_names", columns)  # so called by PyArrow
        X = np.asarray(X)
    if columns is not None and len(columns) != 1:  # perhaps with categories, or none
        values = X.iloc[rows].astype(object).to_numpy() if is_pandas else X[rows]
        return [
            look | {"values": _values(row, columns)}
            for look, row in zip(looks, values, strict=True)
        ]
    X = as_samples(_without_gaps(X))
    if is_paths(X) and not are_files and _are_texts(X):
        more = [{"text": _shortened(str(X[i]))} for i in rows]
    elif is_paths(X):
        more = [_of_file(X[i], folder) for i in rows]
    elif len(X.shape) == 2:
        more = [{"values": _values(row, columns)} for row in np.asarray(X)[rows]]
    else:
        images = as_images(X, rows, "auto", None)
        more = [{"picture": _encoded(_fitted(as_picture(image)))} for image in images]
    return [look | other for look, other in zip(looks, more, strict=True)]


def _are_texts(X):
    """Whether strings name no files: none that exist, nor images that are gone."""
    named = all(str(value).lower().endswith(IMAGE_SUFFIXES) for value in X)
    return not named and paths_of(X) is None


def _of_file(path, folder):
    """Return the link and the picture of an image file, or why it has none."""
    try:
        link = Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # on another drive
        link = Path(path).absolute().as_uri()
    else:
        link = quote(os.fsencode(link))
    try:
        return {"link": link, "picture": _encoded(thumbnail(path, SIDE))}
    except Exception as error:  # decoders raise anything on damaged files
        return {"link": link, "blank": f"cannot be shown ({type(error).__name__})"}


def _fitted(picture):
    picture.thumbnail((SIDE, SIDE))
    return picture


def _without_gaps(X):
    """Return texts with empty ones in the place of missing ones; else X as it is."""
    column = X.iloc[:, 0] if hasattr(X, "columns") else X
    if isinstance(X, np.ndarray) and X.shape[1:] == (1,):
        column = X[:, 0]
    if getattr(column, "ndim", 1) != 1:
        return X
    texts = ["" if is_missing(value) else value for value in column]
    if not any(texts) or not all(isinstance(text, str) for text in texts):
        return X
    return np.array(texts, dtype=object)


def _shortened(text):
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= N_CHARACTERS else text[:N_CHARACTERS] + " …"


def _encoded(picture):
    """Return a picture as a data URL, of the smaller of two formats."""
    small = max(picture.size) <= 48  # where blocks of a JPEG would show
    buffer = io.BytesIO()
    picture.save(buffer, "PNG" if small else "JPEG", quality=QUALITY)
    kind = "png" if small else "jpeg"
    return f"data:image/{kind};base64," + base64.b64encode(buffer.getvalue()).decode()


def _values(row, columns):
    """Return names and values of the first cells of a row, as text."""
    names = range(len(row)) if columns is None else columns
    shown = list(zip(names, row, strict=True))[:N_VALUES]
    values = [[str(name), _as_text(value)] for name, value in shown]
    if len(row) > N_VALUES:
        values.append(["…", f"{len(row) - N_VALUES} more"])
    return values


def _as_text(value):
    return f"{value:.4g}" if isinstance(value, Real) else _shortened(str(value))


def _tiles(detector):
    """Return the numbers at the top of the page."""
    errors = detector.label_errors_
    low, high = detector.noise_rate_interval_
    tiles = [
        _tile(f"{len(errors):,}", "labels checked"),
        _tile(
            "unknown" if detector.by_chance_ else percent(detector.noise_rate_),
            "estimated share of wrong labels",
            f"with 95% between {percent(low)} and {percent(high)}",
        ),
        _tile(f"{errors.sum():,}", "called wrong", _false_alarms(detector)),
        _tile(
            f"{(detector._codes != detector._suggested).sum():,}",
            "another label suggested",
        ),
    ]
    if detector.agreement_ is not None:
        tiles.append(
            _tile(percent(detector.agreement_), "of labels agree with predictions")
        )
    return tiles


def _tile(value, text, note=""):
    return {"value": value, "text": text, "note": note}


def _false_alarms(detector):
    errors = detector.label_errors_
    if not errors.any():
        return ""
    share = 1 - detector.error_probability_[errors].mean()
    return f"of which {percent(share)} are expected to be right"


def _facts(detector):
    """Return what was checked, and how: names and texts."""
    allowed = detector.max_false_alarms
    rule = "by the rule of the method"
    if allowed is not None:
        rule = (
            "labels that are probably wrong; at most "
            f"{percent(allowed)} of them are expected to be right"
        )
    facts = [
        ("Classifier", " ".join(repr(detector._classifier).split())),
        ("Evidence", getattr(detector, "_source", None)),  # not of earlier versions
        ("Method", str(detector.method)),
        ("Called wrong", rule),
        ("Classes", f"{len(detector.classes_):,}"),
    ]
    return [(name, text) for name, text in facts if text is not None]


def _caveats(detector):
    """Return why the noise rate is not known, as a list of at most one sentence."""
    doubt = getattr(detector, "_doubt", None)  # of an earlier version, it is not known
    if doubt is None:
        return []
    return [
        f"{doubt[0].upper()}{doubt[1:]}. Look at each suggestion before you take it."
    ]


def _class_rows(detector, classes):
    """Return the rows of the table of classes."""
    table = detector.report()
    rates = [0.0 if rate is None else float(rate) for rate in table["noise_rate"]]
    largest = max([*rates, 1e-12])
    columns = ("n_labels", "n_errors", "missed", "suggested")
    columns = zip(classes, rates, *(table[name] for name in columns), strict=True)
    return [
        {
            "name": name,
            "labels": int(labels),
            "errors": int(errors),
            "rate": percent(rate) if labels else "",
            "width": round(100 * rate / largest),
            "missed": int(missed),
            "suggested": "" if is_missing(suggested) else str(suggested),
        }
        for name, rate, labels, errors, missed, suggested in columns
    ]


def _pairs(counts, classes):
    """Return the pairs of classes that are confused most often."""
    order = np.argsort(-counts, axis=None, kind="stable")[:N_PAIRS]
    given, suggested = np.unravel_index(order, counts.shape)
    return [
        {"given": classes[i], "suggested": classes[j], "count": int(counts[i, j])}
        for i, j in zip(given, suggested, strict=True)
        if counts[i, j]
    ]


def _matrix(counts):
    """Return counts with their shares of the largest, which shade the cells."""
    largest = max(int(counts.max()), 1)
    return [
        [{"count": int(n), "share": round(n / largest, 3)} for n in row]
        for row in counts.tolist()
    ]


def _shown(n, n_listed):
    if n_listed == 0:
        return "No label looks wrong."
    if n < n_listed:
        return (
            f"The {n:,} most suspicious of {n_listed:,} samples that deserve a look. "
            "Raise n_shown to see more."
        )
    return f"The {n:,} samples that deserve a look, most suspicious first."


def _key(detector):
    """Return a name under which a browser keeps decisions on just these labels."""
    found = hashlib.sha256()
    for codes in (detector._codes, detector._suggested):
        found.update(np.ascontiguousarray(codes).tobytes())
    found.update("\0".join(map(str, detector.classes_)).encode())
    return f"sknoisy-{found.hexdigest()[:16]}"
