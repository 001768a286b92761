"""scikit-learn's own suite on 2-D input, and the same properties on images."""

import pickle

import numpy as np
import pytest
from nets import narrow
from sklearn.base import clone
from sklearn.utils import estimator_checks as checks
from sklearn.utils.validation import has_fit_parameter

from sknoisy import (
    ContrastiveFineTuner,
    CoTrainingClassifier,
    NoisyRobustClassifier,
    PseudoLabelRefiner,
    SSLPretrainer,
)


def expected_failures(estimator):
    """Checks that fail by design, and why."""
    if not has_fit_parameter(estimator, "sample_weight"):
        return {}
    reason = (
        "a network is trained by random batches of distinct samples, and its initial "
        "weights are the same only if it sees as many: a sample of weight 2 is not two"
    )
    return {
        "check_sample_weight_equivalence_on_dense_data": reason,
        "check_sample_weight_equivalence_on_sparse_data": reason,
    }


@checks.parametrize_with_checks(
    [
        SSLPretrainer(max_epochs=2),
        SSLPretrainer("supcon", max_epochs=2),
        NoisyRobustClassifier(),
        NoisyRobustClassifier("elr", max_epochs=5, lr=0.1),
        CoTrainingClassifier("coteaching", max_epochs=5, lr=0.1),
        PseudoLabelRefiner(
            NoisyRobustClassifier("elr", lr=0.1, random_state=0),
            warmup_epochs=5,
            n_iterations=2,
            first_stages=(1, 1),
            stages=(1,),
        ),
        ContrastiveFineTuner(
            NoisyRobustClassifier("ce", lr=0.1, max_epochs=5, random_state=0),
            SSLPretrainer("supcon", max_epochs=1, random_state=0),
        ),
    ],
    expected_failed_checks=expected_failures,
)
def test_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    "check",
    [
        checks.check_classifiers_classes,
        checks.check_classifiers_train,
        checks.check_dict_unchanged,
        checks.check_estimators_overwrite_params,
        checks.check_estimators_pickle,
        checks.check_fit2d_1feature,
        checks.check_fit2d_1sample,
        checks.check_fit_idempotent,
        checks.check_methods_sample_order_invariance,
        checks.check_methods_subset_invariance,
        checks.check_n_features_in,
        checks.check_readonly_memmap_input,
        checks.check_sample_weights_list,
        checks.check_sample_weights_not_overwritten,
    ],
)
@pytest.mark.parametrize(
    "method",
    ["dividemix", "dynamic_bootstrap", "elr_plus", "ido", "mentornet", "self"],
)
def test_checks_that_depend_on_the_method(method, check):
    """How data are read and checked does not: all checks run with one method, above."""
    check(method, CoTrainingClassifier(method, max_epochs=5, lr=0.1))


def test_class_weights():
    estimator = NoisyRobustClassifier("ce", class_weight="balanced", max_epochs=30)
    checks.check_class_weight_classifiers("NoisyRobustClassifier", estimator)


@pytest.mark.parametrize(
    "check",
    [
        checks.check_set_output_transform_pandas,
        checks.check_transformer_get_feature_names_out,
    ],
)
def test_transformer_checks_outside_the_suite(check):
    check("SSLPretrainer", SSLPretrainer(max_epochs=1))


@pytest.mark.parametrize(
    "estimator",
    [
        SSLPretrainer(max_epochs=1),
        NoisyRobustClassifier(max_epochs=1),
        PseudoLabelRefiner(NoisyRobustClassifier(), loss_threshold=5.0),
        ContrastiveFineTuner(
            NoisyRobustClassifier("elr", max_epochs=5, lr=0.1),
            SSLPretrainer("supcon", max_epochs=1),
        ),
    ],
)
def test_column_names(estimator):
    checks.check_dataframe_column_names_consistency(type(estimator).__name__, estimator)


def outputs(estimator, X):
    if hasattr(estimator, "predict_proba"):
        return estimator.predict_proba(X)
    return np.asarray(estimator.transform(X))


@pytest.fixture(scope="module")
def small(colour):
    """Every second pixel of the colour images, and their labels."""
    images, y = colour
    return images[:, ::2, ::2], y


@pytest.fixture(params=[SSLPretrainer, NoisyRobustClassifier])
def estimator(request):
    return request.param(encoder=narrow, max_epochs=2, random_state=0)


def test_images_fit_is_idempotent(estimator, small):
    X, y = small
    first = outputs(estimator.fit(X, y), X)
    np.testing.assert_array_equal(first, outputs(estimator.fit(X, y), X))
    np.testing.assert_array_equal(first, outputs(clone(estimator).fit(X, y), X))


def test_images_pickle(estimator, small):
    X, y = small
    estimator.fit(X, y)
    loaded = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(outputs(estimator, X), outputs(loaded, X))


def test_images_equal_fits_pickle_to_equal_bytes(estimator, small):
    import joblib

    X, y = small
    estimator.callbacks = None
    first, second = clone(estimator).fit(X, y), clone(estimator).fit(X, y)
    for fitted in (first, second):  # seconds differ from run to run
        for row in fitted.history_:
            row["dur"] = 0.0
    assert joblib.hash(first) == joblib.hash(second)


def test_images_subset_and_order_invariance(estimator, small):
    X, y = small
    estimator.fit(X, y)
    whole = outputs(estimator, X)
    order = np.random.default_rng(0).permutation(len(X))
    np.testing.assert_allclose(whole[order], outputs(estimator, X[order]), atol=1e-5)
    one_by_one = np.vstack([outputs(estimator, X[i : i + 1]) for i in range(5)])
    np.testing.assert_allclose(whole[:5], one_by_one, atol=1e-4)


def test_images_fit_leaves_X_and_y(estimator, small):
    X, y = small[0].copy(), small[1].copy()
    X.flags.writeable = y.flags.writeable = False
    estimator.fit(X, y)
    np.testing.assert_array_equal(X, small[0])
    np.testing.assert_array_equal(y, small[1])


def test_predicting_changes_no_attribute(small):
    X, y = small
    clf = NoisyRobustClassifier("elr", narrow, max_epochs=1, random_state=0).fit(X, y)
    before = dict(vars(clf))
    clf.predict(X)
    assert vars(clf) == before
