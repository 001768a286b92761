"""Columns of texts as numbers: their words, and what these have in common."""

import numpy as np

MOST_WORDS = 10_000  # that are counted
MOST_VECTORS = 256
LEAST = 5  # words of half of the texts, at least: fewer are names or categories


def are_texts(column):
    """Whether a column of strings holds texts of several words."""
    return column.dropna().astype(str).str.split().str.len().median() >= LEAST


def fit_words(column):
    """Learn which words matter.

    Parameters
    ----------
    column : pandas.Series
        Texts, or missing values.

    Returns
    -------
    learned : dict of str to list or ndarray, or None if hardly a word occurs twice
        The words, their weights by how few texts have them, and the singular vectors of
        TF-IDF.
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    tfidf = TfidfVectorizer(sublinear_tf=True, min_df=2, max_features=MOST_WORDS)
    try:
        table = tfidf.fit_transform(_texts(column))
    except ValueError:  # no word is left
        return None
    n_vectors = min(MOST_VECTORS, *table.shape)
    if n_vectors < 2:
        return None
    svd = TruncatedSVD(n_vectors, random_state=0).fit(table)
    return {
        "words": tfidf.get_feature_names_out().tolist(),
        "idf": tfidf.idf_,
        "vectors": svd.components_.astype(np.float32),
    }


def apply_words(learned, column):
    """Return an array (n_samples, n_vectors) of what was learned by `fit_words`."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    tfidf = TfidfVectorizer(sublinear_tf=True, vocabulary=learned["words"])
    tfidf.idf_ = learned["idf"]
    return tfidf.transform(_texts(column)) @ learned["vectors"].T.astype(float)


def _texts(column):
    return column.astype("string").fillna("").tolist()
