"""Columns of texts as numbers: their words, and what these have in common."""

import numpy as np

from sknoisy.detection.features import MOST_COLUMNS

MOST_WORDS = 10_000  # that are counted
LEAST = 5  # words of half of the texts, at least: fewer are names or categories
TRIAL = 1000  # texts that are looked at
WORD = r"[^\W\d_]{2,}"


def are_texts(column):
    """Whether a column of strings holds texts: words, and not numbers or a date."""
    texts = column.dropna().iloc[:TRIAL].astype(str)
    return texts.str.count(WORD).median() >= LEAST


def fit_words(column):
    """Learn which words matter.

    Parameters
    ----------
    column : pandas.Series
        Texts, or missing values.

    Returns
    -------
    learned : dict of str to list or ndarray, or None if fewer than two words recur
        The words, their weights by how few texts have them, and the singular vectors of
        TF-IDF, scaled so that what :func:`apply_words` returns has a variance of 1 in
        all.
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    tfidf = TfidfVectorizer(sublinear_tf=True, min_df=2, max_features=MOST_WORDS)
    try:
        table = tfidf.fit_transform(_texts(column))
    except ValueError:  # no word is left
        return None
    n_vectors = min(MOST_COLUMNS, *table.shape)
    if n_vectors < 2:
        return None
    svd = TruncatedSVD(n_vectors, random_state=0)
    variance = svd.fit_transform(table).var(axis=0).sum()
    return {
        "words": tfidf.get_feature_names_out().tolist(),
        "idf": tfidf.idf_,
        "vectors": svd.components_ / np.sqrt(variance or 1),
    }


def apply_words(learned, column):
    """Return an array (n_samples, n_vectors) by what :func:`fit_words` learned."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    tfidf = TfidfVectorizer(sublinear_tf=True, vocabulary=learned["words"])
    tfidf.idf_ = learned["idf"]
    return tfidf.transform(_texts(column)) @ learned["vectors"].T


def _texts(column):
    return column.astype("string").fillna("").tolist()
