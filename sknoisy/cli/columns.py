"""Tables of numbers, categories and texts as arrays of numbers."""

import re
import warnings
from contextlib import contextmanager

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted

from sknoisy.cli.words import apply_words, are_texts, fit_words
from sknoisy.data.labels import some
from sknoisy.data.ranges import check_columns, column_ranges, later_fences
from sknoisy.datasets.tables import without_marks
from sknoisy.estimators.saving import Saved

MOST = 50  # categories of a column; rarer ones are treated as unknown
ALIKE = 10  # columns of embeddings that share the variance, at least
FEW = 10  # rows, of which texts may all differ by chance
NUMBERS = {  # how texts of numbers may be written, and what makes numbers of them
    "1,234.5": (r"[-+]?([1-9]\d{0,2}(,\d{3})+|\d+)(\.\d+)?", {",": ""}),
    "1.234,5": (r"[-+]?([1-9]\d{0,2}(\.\d{3})+|\d+)(,\d+)?", {".": "", ",": "."}),
}
DATES = ("%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y")  # with a time or without
CLOCK = "%H:%M"  # also beyond 24 hours, and with seconds
OTHERS = (*DATES, "%Y-%m", CLOCK)
CURRENCY = (
    r"US\$|[$€£¥₹]|(?:AUD|BRL|CAD|CHF|CNY|CZK|DKK|EUR|GBP|HUF|INR|JPY|KRW|MXN|NOK|PLN"
    r"|SEK|USD|ZAR)"
)
MOSTLY = 0.9  # share of texts that look like numbers, where others may be mistakes
DISTINCT = 0.9  # share of texts that differ where they name rows, some of them twice
TIME = r"([^\sT]+)(?:[\sT]+(.+))?"  # the day, and the time of day
# What looks like numbers, with a currency or a unit, or like dates and times.
NUMBER = rf"[-+(]*({CURRENCY})?\s?[-+]?\d[\d.,']*\s?([^\d\s.,)]{{0,4}})\)?"
MONTHS = "(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
DATE = "|".join(
    [
        r"\d{4}[-/.]\d{1,2}(?:[-/.]\d{1,2}(?:[T ].*)?)?",
        r"\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}(?:[T ].*)?",
        r"\d{1,2}[-/.](?:19|20)\d{2}",
        rf"(?:\d{{1,2}}[ .-]+)?{MONTHS}[ .,-]+(?:\d{{1,2}},? )?(?:19|20)\d{{2}}",
        r"\d{4}[ -]?[QW]\d{1,2}",
        r"\d+:\d{2}(?::\d{2})?(?i: ?[ap]\.?m\.?)?",
    ]
)


class Columns(TransformerMixin, Saved):
    """Give each category a column of its own, beside scaled columns of numbers.

    Numbers of one unit, such as the components of embeddings, stay as they are, for
    they need one scale for all, which what learns from them decides. Of texts there are
    singular vectors of their words, which vary as much as all other columns together.
    Unlike scikit-learn's transformers, it is saved to files without code.

    Attributes
    ----------
    columns_ : list of str
        Columns of the training table.
    numbers_ : list of str
        Those that hold numbers, or texts that are read as numbers.
    readings_ : dict of str to str
        How these texts are written: as numbers with commas, amounts of one currency, or
        as dates, months and times, which become days.
    moments_ : ndarray of shape (3, n_numbers), float64
        Their median, which stands for missing values, and what is subtracted from them
        and what they are divided by: mean and standard deviation, or 0 and 1.
    ranges_ : ndarray of shape (6, n_numbers), float64
        Their mean and standard deviation, lowest and highest value, and bounds beyond
        which there are outliers, to tell of a later table of another scale.
    categories_ : dict of str to list of str
        The most frequent values of the other columns.
    words_ : dict of str to dict
        What was learned of columns of texts, see
        :func:`~sknoisy.cli.words.fit_words`.
    ignored_ : list of str
        Columns that only name the rows: a word or a few, others in nearly every row,
        and numbers that count them, as the index does that pandas writes.
    unread_ : list of str
        Columns of numbers or dates that can be read in several ways or in none, and so
        are taken for categories, or are ignored.
    """

    def fit(self, X, y=None):
        """Learn from a pandas.DataFrame; warn of outliers in columns of numbers."""
        self.columns_ = [str(name) for name in X.columns]
        X = X.set_axis(self.columns_, axis="columns")
        self.readings_ = _readings(X)
        X = self._read(X)
        numbers = [*_numeric(X)]
        counts = [name for name in numbers if _counts_rows(X[name])]
        self.numbers_ = [name for name in numbers if name not in counts]
        values = X[self.numbers_].astype(float).replace([np.inf, -np.inf], np.nan)
        medians = values.median().fillna(0)
        filled = values.fillna(medians)
        deviations = filled.std(ddof=0)
        self.ranges_ = _ranges(filled)
        moments = [medians, filled.mean(), deviations.where(deviations > 0, 1)]
        others = [name for name in self.columns_ if name not in numbers]
        others = {name: X[name].astype(str).value_counts() for name in others}
        names = [k for k, v in others.items() if len(v) >= DISTINCT * len(X) > FEW]
        many = [k for k, v in others.items() if len(v) > MOST or k in names]
        self.words_ = _words(X[many])
        others = {k: v for k, v in others.items() if k not in self.words_}
        names = [name for name in names if name in others]
        self.ignored_ = counts + names
        self.categories_ = {
            name: counts.index[:MOST].tolist()
            for name, counts in others.items()
            if name not in self.ignored_
        }
        if not self.categories_ and _has_one_unit(deviations.to_numpy()):
            moments[1:] = np.zeros(len(medians)), np.ones(len(medians))
        self.moments_ = np.array(moments).reshape(3, len(self.numbers_))
        if self.words_:  # they vary as much together as all other columns
            rest = np.hstack([np.empty((len(X), 0)), *self._other_parts(X)])
            wanted = (rest.var(axis=0).sum() or 1) / len(self.words_)
            for learned in self.words_.values():
                learned["vectors"] = np.float32(learned["vectors"] * np.sqrt(wanted))
        self.unread_ = [name for name in others if _is_quantity(X[name])]
        if not self.needed_:
            raise ValueError(
                "the table has no column to learn from: nearly every row has a "
                f"different value in {some(self.ignored_)}. If these are texts "
                "without spaces between words, compute embeddings first"
            )
        return self

    @property
    def needed_(self):
        """Names of the columns that are used."""
        return [*self.numbers_, *self.categories_, *self._words]

    @property
    def _words(self):
        return getattr(self, "words_", {})  # files of before have none

    def _read(self, X):
        readings = getattr(self, "readings_", {})  # files of before have none
        here = {name: how for name, how in readings.items() if name in X.columns}
        return X.assign(**{name: _numbers(X[name], how) for name, how in here.items()})

    @property
    def texts_(self):
        """Names of the columns that are read from text."""
        return [*self.categories_, *self._words, *getattr(self, "readings_", {})]

    def describe(self):
        """Return what is made of the columns, a sentence."""
        texts = [f"{name!r} ({len(v)})" for name, v in self.categories_.items()]
        read = [f"{name!r} ({how})" for name, how in self.readings_.items()]
        told = [
            f"numbers {some(self.numbers_)}" if self.numbers_ else "",
            f"of these read from text {', '.join(read)}" if read else "",
            f"categories {', '.join(texts)}" if texts else "",
            f"words of {some([*self.words_])}" if self.words_ else "",
            f"ignored, as they only name the rows, {some(self.ignored_)}"
            if self.ignored_
            else "",
        ]
        return f"Columns: {'; '.join(filter(None, told))}."

    def doubt(self):
        """Return a sentence on what could be read better; empty if there is nothing."""
        if not self.unread_:
            return ""
        kinds = {"categories": self.categories_, "names of the rows": self.ignored_}
        kinds = [kind for kind, names in kinds.items() if {*names} & {*self.unread_}]
        return (
            f"taken for {' or '.join(kinds)}, though they look like numbers or dates: "
            f"{some(self.unread_)}. Write numbers like 1234.5, and dates like "
            "2024-12-31, to have them as quantities."
        )

    def doubt_new(self, X):
        """Return a sentence on columns whose values are new to the model, or "".

        Of numbers on another scale there is a warning.
        """
        X = X.set_axis([str(name) for name in X.columns], axis="columns")
        self._check_numbers(X)
        texts = {name: X[name].dropna() for name in self.texts_ if name in X.columns}
        read = self._read(X)
        told = []
        for name, given in texts.items():
            if name in self.categories_:
                is_new = ~given.astype(str).isin(self.categories_[name])
            elif name in self._words:
                is_new = ~apply_words(self._words[name], given).any(axis=1)
            else:
                is_new = read.loc[given.index, name].isna()
            if len(given) and is_new.mean() >= MOSTLY:
                told.append(f"{name!r} ({is_new.sum():,} of {len(given):,})")
        if not told:
            return ""
        return (
            "nearly all values are unlike those that the model was trained on, and say "
            f"nothing to it, in {', '.join(told)}"
        )

    def _check_numbers(self, X):
        ranges = getattr(self, "ranges_", None)  # files of before have none
        if ranges is None or 0 in (ranges.shape[1], len(X)):
            return
        values = self._numbers_of(self._read(X))
        mean, std, *ends = ranges
        limits, bounds = np.reshape(ends, (2, 2, -1))
        told = check_columns(values, mean, std, limits, self.numbers_)
        later_fences(values, limits, bounds, quiet=told, names=self.numbers_)

    def transform(self, X):
        """Return an array (n_samples, n_features), float64, of a DataFrame."""
        check_is_fitted(self)
        X = self._read(X.set_axis([str(name) for name in X.columns], axis="columns"))
        missing = [name for name in self.needed_ if name not in X.columns]
        if missing:
            raise ValueError(
                f"the table lacks the columns {missing}, which the model was trained on"
            )
        words = [apply_words(learned, X[name]) for name, learned in self._words.items()]
        return np.hstack([*self._other_parts(X), *words]).astype(float)

    def _other_parts(self, X):
        """Return the arrays of numbers and of each column of categories."""
        _, means, deviations = self.moments_
        parts = [(self._numbers_of(X) - means) / deviations]
        for name, values in self.categories_.items():
            given = np.array(X[name].astype(str), dtype=object)
            parts.append(given[:, None] == np.array(values, dtype=object))
        return parts

    def _numbers_of(self, X):
        """Return an array of the columns of numbers, without gaps."""
        numbers = [_as_numbers(name, X[name]) for name in self.numbers_]
        numbers = np.array(numbers, dtype=float).reshape(-1, len(X)).T
        return np.where(np.isfinite(numbers), numbers, self.moments_[0])


@contextmanager
def told_by_name():
    """Where columns are told of by their names, no warning tells their positions.

    These are positions in what :class:`Columns` returns, which nobody sees.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"X (has|holds|seems) .*\bcolumns? \d")
        yield


def _ranges(values):
    """Return what :meth:`Columns.doubt_new` compares with; warn of outliers."""
    names, values = [*values.columns], values.to_numpy()
    if not names:
        return np.empty((6, 0))
    limits, bounds = column_ranges(values, names)
    if bounds is None:
        bounds = np.repeat([[-np.inf], [np.inf]], len(names), axis=1)
    values = values.clip(*bounds)
    with np.errstate(over="ignore"):
        mean, std = values.mean(axis=0), values.std(axis=0)
    return np.stack([mean, np.where(std > 0, std, 1), *limits, *bounds])


def _words(X):
    """Return what is learned of those columns of a frame that hold texts."""
    found = {name: fit_words(X[name]) for name in X if are_texts(X[name])}
    return {name: learned for name, learned in found.items() if learned is not None}


def _has_one_unit(deviations):
    """Whether many columns share the variance, as those of embeddings do.

    Where units differ, one or two columns of large numbers have nearly all of it.
    """
    shares = deviations**2 / max((deviations**2).sum(), 1e-300)
    return len(shares) > 0 and 1 / max((shares**2).sum(), 1e-300) >= ALIKE


def _as_numbers(name, column):
    """Return a column of numbers, or raise ``ValueError`` by its name."""
    if column.dtype.kind not in "biufc":
        column = without_marks(column, least=0)
    try:
        return column.to_numpy(dtype=float, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"the column {name!r} holds more than the numbers that the model was "
            f"trained on: {error}"
        ) from error


def _counts_rows(column):
    """Whether numbers are those of the rows, up to where the count begins."""
    if len(column) <= FEW or column.dtype.kind not in "iu":
        return False
    return len(np.unique(column.to_numpy() - column.index.to_numpy())) == 1


def _numeric(X):
    return X.select_dtypes(["number", "bool"]).columns


def _readings(X):
    """Return how those columns of text are written that can be read in one way."""
    found = {}
    for name in X.columns.difference(_numeric(X)):
        texts = without_marks(X[name]).dropna()
        ways = [how for how in NUMBERS if _can_be_read(texts, how)][:1]
        ways = ways or [how for how in OTHERS if _can_be_read(texts, how)]
        ways = ways or [how for how in _amounts(texts) if _can_be_read(texts, how)][:1]
        if len(texts) and len(ways) == 1:
            found[name] = ways[0]
    return found


def _amounts(texts):
    """Return how amounts of one currency may be written, such as "1,234.5 EUR"."""
    found = texts.str.extract(f"({CURRENCY})")[0].dropna().unique()
    return [f"{how} {found[0]}" for how in NUMBERS] if len(found) == 1 else []


def _can_be_read(texts, how):
    return all(_read(part, how).notna().all() for part in (texts[:FEW], texts))


def _numbers(column, how):
    """Return numbers of texts; another table may have them written as Python does."""
    import pandas as pd

    plain = pd.to_numeric(column.astype("string"), errors="coerce")
    read = _read(column, how)
    return (read if read.notna().sum() >= plain.notna().sum() else plain).astype(float)


def _read(column, how):
    """Return numbers of texts, or days of dates; NaN of all else."""
    import pandas as pd

    texts = column.astype("string").str.strip()
    way, _, currency = how.partition(" ")
    if how == CLOCK:
        texts = texts.where(texts.str.fullmatch(r"\d+:[0-5]\d(:[0-5]\d(\.\d+)?)?"))
        short = texts.str.count(":") == 1
        texts = texts.mask(short.fillna(False), texts + ":00")
        return pd.to_timedelta(texts, errors="coerce") / pd.Timedelta(days=1)
    if way not in NUMBERS:
        parts = texts.str.extract(f"^{TIME}$")
        days = pd.to_datetime(parts[0], format=how.split()[0], errors="coerce")
        times = parts[1].fillna("0:00").str.replace(r"^(\d:)", r"0\1", regex=True)
        dates = days.dt.strftime("%Y-%m-%dT") + times  # the time may have a zone
        dates = pd.to_datetime(dates, format="ISO8601", utc=True, errors="coerce")
        return (dates - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=1)
    if currency:
        unit = rf"(?:\s*{re.escape(currency)}\s*)?"
        parts = texts.str.extract(f"^([-+]?){unit}(.*?){unit}$")
        texts = parts[0] + parts[1]
    pattern, marks = NUMBERS[way]
    texts = texts.where(texts.str.fullmatch(pattern))
    for mark, other in marks.items():
        texts = texts.str.replace(mark, other, regex=False)
    return pd.to_numeric(texts).astype(float)


def _is_quantity(column):
    """Whether nearly all texts of a column look like numbers, or like dates."""
    import pandas as pd

    texts = without_marks(column).dropna()
    if not len(texts):
        return False
    units = texts.str.extract(f"^{NUMBER}$").fillna({0: ""})
    units = units.replace(f"^(?:{CURRENCY})$", "", regex=True)  # they may be mixed
    units = units.mask(pd.to_numeric(texts, errors="coerce").notna(), "")
    alike = [texts.str.fullmatch(DATE).sum(), *units.value_counts()]  # of one unit
    return max(alike) >= MOSTLY * len(texts)
