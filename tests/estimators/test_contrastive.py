"""Contrastive fine-tuning: its steps worked by hand, and the estimator."""

import pickle

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknoisy import (
    ContrastiveFineTuner,
    NoisyRobustClassifier,
    PretrainedEncoder,
    SSLPretrainer,
    SupCon,
)
from sknoisy.noise import symmetric_exclusive
from sknoisy.scores import gmm_clean_probability


def supcon(**params):
    params = {"method": "supcon", "max_epochs": 2, "random_state": 0} | params
    return SSLPretrainer(**params)


def classifier(**params):
    params = {"loss": "elr", "max_epochs": 3, "lr": 0.1, "random_state": 0} | params
    return NoisyRobustClassifier(**params)


@pytest.fixture(scope="module")
def noisy(digits):
    X, y = digits[0].reshape(300, -1), digits[1]
    return X, y, symmetric_exclusive(y, 0.3, random_state=0).y


# The steps, with a classifier whose probabilities are written down ------------------


class Table(ClassifierMixin, BaseEstimator):
    """Predicts the probabilities that each sample holds; keeps the labels."""

    def fit(self, X, y):
        self.classes_, self.y_ = np.unique(y), np.array(y)
        return self

    def predict_proba(self, X):
        return np.array(X, dtype=float)


TABLE = np.array([[0.9, 0.1], [0.1, 0.9], [0.2, 0.8], [0.55, 0.45]] * 2)
GIVEN = np.array([*"aaab"] * 2)


def test_pseudo_labels_losses_and_weights_by_hand():
    tuner = ContrastiveFineTuner(Table(), supcon(), LogisticRegression())
    tuner.fit(TABLE, GIVEN)
    assert tuner.pseudo_labels_.tolist() == [*"abba"] * 2
    losses = -np.log([0.9, 0.9, 0.8, 0.55] * 2)
    np.testing.assert_allclose(tuner.losses_, losses)
    np.testing.assert_array_equal(tuner.clean_proba_, gmm_clean_probability(losses))
    assert tuner.clean_proba_[0] > 0.9 > 0.1 > tuner.clean_proba_[3]


def test_losses_of_given_labels():
    tuner = ContrastiveFineTuner(
        Table(), supcon(), LogisticRegression(), loss_of="label"
    ).fit(TABLE, GIVEN)
    np.testing.assert_allclose(tuner.losses_, -np.log([0.9, 0.1, 0.2, 0.45] * 2))
    assert tuner.pseudo_labels_.tolist() == [*"abba"] * 2


class Remembering(LogisticRegression):
    """Keeps what it was fitted on."""

    def fit(self, X, y):
        self.seen_ = np.asarray(X), np.array(y)
        return super().fit(X, y)


@pytest.mark.parametrize("final_labels", ["pseudo", "given"])
def test_the_last_classifier_gets_new_features_and_its_labels(final_labels):
    tuner = ContrastiveFineTuner(Table(), supcon(), Remembering(), final_labels)
    tuner.fit(TABLE, GIVEN)
    X, y = tuner.estimator_["classifier"].seen_
    expected = tuner.pseudo_labels_ if final_labels == "pseudo" else GIVEN
    assert y.tolist() == expected.tolist()
    np.testing.assert_array_equal(X, tuner.encoder_.transform(TABLE))


def test_the_encoder_is_what_the_pretrainer_makes_of_weighted_pseudo_labels(digits):
    X, y = digits
    features = SSLPretrainer(encoder="mlp", max_epochs=1, random_state=0)
    features = features.fit_transform(X)
    tuner = ContrastiveFineTuner(LogisticRegression(), supcon(), random_state=0)
    tuner.fit(features, y)
    by_hand = supcon().fit(
        features, tuner.pseudo_labels_, sample_weight=tuner.clean_proba_
    )
    expected = by_hand.encoder_.transform(X)
    np.testing.assert_array_equal(tuner.encoder_.transform(X), expected)
    assert not np.array_equal(expected, features)


# The estimator -----------------------------------------------------------------------


def test_after_a_pretrainer_in_a_pipeline_and_around_one(digits):
    X, y = digits
    noisy = np.array([*"abcdefghij"])[symmetric_exclusive(y, 0.3, random_state=0).y]
    ssl = SSLPretrainer(encoder="mlp", max_epochs=1, random_state=0)
    inside = make_pipeline(ssl, ContrastiveFineTuner(classifier(), supcon()))
    around = ContrastiveFineTuner(make_pipeline(ssl, classifier()), supcon())
    probs = inside.fit(X, noisy).predict_proba(X)
    np.testing.assert_array_equal(probs, around.fit(X, noisy).predict_proba(X))
    assert inside.classes_.tolist() == [*"abcdefghij"]
    assert set(inside.predict(X)) <= {*"abcdefghij"}
    assert [name for name, _ in around.estimator_.steps] == [
        "sslpretrainer",
        "contrastive",
        "classifier",
    ]
    np.testing.assert_array_equal(X, digits[0])


def test_alone_learns_from_noisy_labels(noisy):
    X, y, given = noisy
    tuner = ContrastiveFineTuner(classifier(max_epochs=15), supcon(max_epochs=10)).fit(
        X, given
    )
    assert (tuner.pseudo_labels_ == y).mean() > (given == y).mean() + 0.05
    assert tuner.score(X, y) > (given == y).mean() + 0.05
    right = tuner.pseudo_labels_ == y
    assert tuner.clean_proba_[right].mean() > tuner.clean_proba_[~right].mean()


def test_from_scratch_the_encoder_is_the_classifiers(digits):
    tuner = ContrastiveFineTuner(classifier(encoder="mlp"), supcon())
    tuner.fit(*digits)
    assert tuner.encoder_.blueprint.encoder == "mlp"


def test_the_encoder_is_fine_tuned_whatever_transformers_give(noisy):
    X, _, given = noisy
    tuner = ContrastiveFineTuner(classifier(), supcon())
    expected = tuner.fit(X, given).predict_proba(X)
    with config_context(transform_output="pandas"):
        probs = tuner.fit(X, given).predict_proba(X)
    np.testing.assert_array_equal(probs, expected)


def test_any_classifier_and_any_steps(noisy):
    X, y, given = noisy
    pipe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    tuner = ContrastiveFineTuner(pipe, supcon(encoder="mlp")).fit(X, given)
    assert tuner.predict_proba(X).shape == (300, 10)
    assert tuner.n_features_in_ == 64


def test_classes_without_pseudo_labels_have_columns():
    given = np.array([*"aabb", *"aabc"])
    table = np.c_[TABLE, np.zeros(8)]
    tuner = ContrastiveFineTuner(Table(), supcon(), LogisticRegression())
    probs = tuner.fit(table, given).predict_proba(table)
    assert tuner.classes_.tolist() == [*"abc"]
    assert probs.shape == (8, 3) and (probs[:, 2] == 0).all()
    np.testing.assert_allclose(probs.sum(axis=1), 1, rtol=1e-6)


def test_equal_seeds_give_equal_results_and_reach_all_parts(noisy):
    X, _, given = noisy
    parts = classifier(random_state=None), supcon(random_state=None)
    first, second, other = (
        ContrastiveFineTuner(*parts, random_state=seed).fit(X, given)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    assert not np.array_equal(first.predict_proba(X), other.predict_proba(X))
    assert parts[0].random_state is None


def test_clone_pickle_and_search(noisy):
    X, _, given = noisy
    tuner = ContrastiveFineTuner(classifier(), supcon(method=SupCon()))
    search = GridSearchCV(
        tuner,
        {"contrastive__method__form": ["mean_of_log", "log_of_mean"]},
        cv=2,
        error_score="raise",
    ).fit(X, given)
    assert len(search.cv_results_["params"]) == 2
    best = search.best_estimator_
    loaded = pickle.loads(pickle.dumps(best))
    np.testing.assert_array_equal(best.predict_proba(X), loaded.predict_proba(X))
    again = clone(best).fit(X, given)
    np.testing.assert_array_equal(best.predict_proba(X), again.predict_proba(X))


class Unreachable(TransformerMixin, BaseEstimator):
    """A step before the classifier, which no faulty fit gets to."""

    def fit(self, X, y=None):
        raise AssertionError("training started")


@pytest.mark.parametrize(
    "params, message",
    [
        ({"estimator": "elr"}, "estimator='elr' is not valid"),
        ({"final_estimator": NoisyRobustClassifier}, "final_estimator=.*not valid"),
        ({"final_labels": "y"}, "final_labels='y' is not valid.*'pseudo', 'given'"),
        ({"loss_of": "both"}, "loss_of='both' is not valid.*'prediction', 'label'"),
        ({"contrastive": "supcon"}, "contrastive='supcon' is not valid"),
        ({"contrastive": supcon(method="simclr")}, "contrastive__method='simclr'"),
        ({"contrastive": supcon(max_epochs=0)}, "max_epochs=0 is not valid"),
        ({"contrastive": supcon(method=SupCon(form="x"))}, "form='x' is not valid"),
        ({"final_estimator": classifier(loss="x")}, "loss='x' is not valid"),
        ({"final_estimator": StandardScaler()}, "final_estimator=StandardScaler()"),
    ],
)
def test_bad_parameters_are_named_before_training(params, message):
    tuner = ContrastiveFineTuner(make_pipeline(Unreachable(), classifier()))
    tuner.set_params(**params)
    with pytest.raises(ValueError, match=message.replace("()", r"\(\)")):
        tuner.fit(TABLE, GIVEN)


def test_bad_estimators_encoders_and_labels_are_refused_before_training(digits):
    with pytest.raises(ValueError, match="classifier with predict_proba"):
        ContrastiveFineTuner(make_pipeline(Unreachable())).fit(TABLE, GIVEN)
    for encoder in (SSLPretrainer(), PretrainedEncoder()):
        pipe = make_pipeline(Unreachable(), encoder, classifier())
        with pytest.raises(ValueError, match="contrastive__encoder='mlp' is not valid"):
            ContrastiveFineTuner(pipe, supcon(encoder="mlp")).fit(TABLE, GIVEN)
    tuner = ContrastiveFineTuner(make_pipeline(Unreachable(), classifier()))
    with pytest.raises(ValueError, match="only one class"):
        tuner.fit(TABLE, ["a"] * 8)
    with pytest.raises(ValueError, match="inconsistent numbers"):
        tuner.fit(TABLE, GIVEN[1:4])


def test_one_pseudo_label_for_all_is_an_error_with_its_cause():
    with pytest.raises(ValueError, match="predicts 'a' for every sample"):
        ContrastiveFineTuner(Table(), supcon()).fit(TABLE[[0, 3, 0, 3]], [*"abab"])
