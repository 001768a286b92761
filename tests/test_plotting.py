import os

import numpy as np
import pytest
import torch
from nets import narrow
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknoisy import (
    ContrastiveFineTuner,
    CoTrainingClassifier,
    LabelCleaningClassifier,
    LabelErrorDetector,
    LabelWave,
    LazyFeatures,
    NoisyRobustClassifier,
    PseudoLabelRefiner,
    SSLPretrainer,
)
from sknoisy.noise import symmetric_exclusive
from sknoisy.plotting import (
    DetectionCurveDisplay,
    EmbeddingDisplay,
    LabelErrorDisplay,
    LabelQualityDisplay,
    LossMixtureDisplay,
    RefinementDisplay,
    RestorationDisplay,
    TrainingCurveDisplay,
    TransitionMatrixDisplay,
)
from sknoisy.scores import (
    bmm_clean_probability,
    estimate_transition_matrix,
    gaussian_mixture,
)

plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def found(digits):
    """Images, noisy labels, and a detector that was fitted on them."""
    X, y = digits
    noisy = symmetric_exclusive(y, 0.1, random_state=0).y
    detector = LabelErrorDetector(LogisticRegression(), random_state=0)
    return X, noisy, detector.fit(X.reshape(len(X), -1), noisy)


def drawn(figure):
    """Draw the figure; return what is written in it."""
    import matplotlib.text

    figure.canvas.draw()
    texts = figure.findobj(matplotlib.text.Text)
    return " ".join(text.get_text() for text in texts)


def test_sheet_shows_the_worst_labels(found):
    X, y, detector = found
    display = LabelErrorDisplay.from_estimator(detector, X, y, n_images=7)
    worst = detector.ranked()[:7]
    np.testing.assert_array_equal(display.positions, worst)
    np.testing.assert_array_equal(display.given, y[worst])
    np.testing.assert_array_equal(display.suggested, detector.suggested_labels_[worst])
    np.testing.assert_allclose(display.images, X[worst])
    assert display.axes_.shape == (2, 5)
    text = drawn(display.figure_)
    for i in range(7):
        assert f"{display.given[i]} → {display.suggested[i]}" in text
        assert f"#{worst[i]}" in text


@pytest.mark.parametrize(
    "layout", ["HW", "HWC", "CHW", "uint8", "tensor", "lazy", "list"]
)
def test_sheet_takes_any_images(layout, found):
    X, y, detector = found
    colour = np.stack([X, X / 2, X / 4], axis=-1)
    inputs = {
        "HW": X,
        "HWC": colour,
        "CHW": colour.transpose(0, 3, 1, 2),
        "uint8": (255 * colour).astype(np.uint8),
        "tensor": torch.from_numpy(X),
        "lazy": LazyFeatures(X, encoder=None),  # which nobody asks for features
        "list": X.tolist(),
    }
    display = LabelErrorDisplay.from_estimator(detector, inputs[layout], y)
    expected = X if layout in ("HW", "tensor", "lazy", "list") else colour
    expected = expected[detector.ranked()[:20]]
    np.testing.assert_allclose(display.images, expected, atol=1 / 255)


def test_sheet_of_files_with_long_names(image_files):
    paths, codes = image_files
    names = np.array(["a very long name of a class", "another"])
    y, suggested = names[codes], names[1 - codes]
    quality = np.linspace(0, 1, len(y))
    display = LabelErrorDisplay.from_predictions(
        paths, y, suggested, quality, n_images=3, image_size=8
    )
    assert display.images.shape == (3, 8, 8, 3)
    assert display.positions.tolist() == [0, 1, 2]
    text = drawn(display.figure_)
    assert f"{y[0]} →\n{suggested[0]}" in text
    assert os.path.basename(paths[0]) in text and "#0" not in text


def test_sheet_without_errors(found):
    X, y, _ = found
    display = LabelErrorDisplay.from_predictions(
        X, y, y, np.ones(len(y)), label_errors=np.zeros(len(y), dtype=bool)
    )
    assert "no label errors" in drawn(display.figure_)


def test_sheet_in_a_figure_of_the_users(found):
    X, y, detector = found
    figure = plt.figure()
    display = LabelErrorDisplay.from_estimator(detector, X, y, figure=figure)
    assert display.figure_ is figure
    assert display.plot(n_columns=2).axes_.shape == (10, 2)


def test_noise_matrix(found):
    _, y, detector = found
    display = TransitionMatrixDisplay.from_estimator(detector)
    np.testing.assert_array_equal(display.im_.get_array(), detector.transition_matrix_)
    assert f"{detector.transition_matrix_[0, 0]:.2f}" in drawn(display.figure_)
    _, ax = plt.subplots()
    again = TransitionMatrixDisplay.from_predictions(y, detector.pred_probs_, ax=ax)
    expected = estimate_transition_matrix(y, detector.pred_probs_)
    np.testing.assert_allclose(again.transition_matrix, expected)
    assert again.ax_ is ax
    drawn(TransitionMatrixDisplay(np.eye(100), range(100)).plot().figure_)


def test_quality_histogram(found):
    *_, detector = found
    display = LabelQualityDisplay.from_estimator(detector)
    n_wrong = detector.label_errors_.sum()
    text = drawn(display.figure_)
    assert f"probably wrong ({n_wrong})" in text
    assert f"probably right ({300 - n_wrong})" in text
    heights = sum(patch.get_height() for patch in display.ax_.patches)
    assert heights == 300
    _, ax = plt.subplots()
    settings = {"ax": ax, "bins": 5, "names": ("right", "wrong")}
    again = LabelQualityDisplay.from_predictions([0.1, 0.9], [True, False], **settings)
    assert again.ax_ is ax and len(ax.patches) == 10


def test_displays_take_the_detector_of_a_cleaning_classifier(digits):
    X, y = digits[0].reshape(len(digits[0]), -1), digits[1]
    model = LabelCleaningClassifier(LogisticRegression(), random_state=0).fit(X, y)
    for display in (
        LabelQualityDisplay,
        TransitionMatrixDisplay,
        DetectionCurveDisplay,
    ):
        drawn(display.from_estimator(model).figure_)
    drawn(LabelErrorDisplay.from_estimator(model, digits[0], y, n_images=2).figure_)
    with pytest.raises(ValueError, match="a LabelCleaningClassifier keeps no history_"):
        TrainingCurveDisplay.from_estimator(model)


def test_detection_curve(found, digits):
    *_, noisy, detector = found
    is_wrong = noisy != digits[1]
    display = DetectionCurveDisplay.from_estimator(detector, is_wrong=is_wrong)
    text = drawn(display.figure_)
    assert f"called wrong ({detector.label_errors_.sum()})" in text and "true" in text
    recall, precision = display.true
    assert recall[-1] == 1 and precision[-1] == pytest.approx(is_wrong.mean())
    recall, precision = display.expected
    assert precision[-1] == pytest.approx(detector.error_probability_.mean())
    assert (np.diff(precision) <= 1e-12).all() and (np.diff(recall) >= 0).all()
    _, ax = plt.subplots()
    again = DetectionCurveDisplay.from_predictions([0.9, 0.1], ax=ax)
    assert again.ax_ is ax and again.true is None and len(ax.lines) == 1
    DetectionCurveDisplay.from_predictions([0.0, 0.0], label_errors=[False, False])


def test_losses_of_a_detector(found):
    X, y, detector = found
    display = LossMixtureDisplay.from_estimator(detector)
    own = detector.pred_probs_[np.arange(len(y)), np.searchsorted(range(10), y)]
    np.testing.assert_allclose(display.losses, -np.log(own), rtol=1e-5)


def test_errors(found):
    X, y, detector = found
    for display, args in (
        (LabelErrorDisplay, (X, y)),
        (TransitionMatrixDisplay, ()),
        (LabelQualityDisplay, ()),
        (DetectionCurveDisplay, ()),
        (LossMixtureDisplay, ()),
    ):
        with pytest.raises(NotFittedError):
            display.from_estimator(LabelErrorDetector(LogisticRegression()), *args)
    with pytest.raises(ValueError, match=r"X of shape \(300, 64\).*only images can"):
        LabelErrorDisplay.from_estimator(detector, X.reshape(300, -1), y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        LabelErrorDisplay.from_estimator(detector, X[:200], y)
    with pytest.raises(ValueError, match="n_images=0 is not valid"):
        LabelErrorDisplay.from_estimator(detector, X, y, n_images=0)


# Features ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def refined(digits):
    """Vectors, given and true labels, and a refiner that was fitted on them."""
    X, y = digits[0].reshape(300, -1), digits[1]
    given = symmetric_exclusive(y, 0.4, random_state=0).y
    clf = NoisyRobustClassifier("ce", batch_size=32, random_state=0)
    refiner = PseudoLabelRefiner(clf, 3, 2, (1, 2), (1,), random_state=0)
    return X, given, y, refiner.fit(X, given)


def coloured(ax):
    """Return the points of an axes, in their order, and the names of their classes."""
    names = ax.get_legend_handles_labels()[1]
    points, labels = [], []
    for i, collection in enumerate(ax.collections):
        points += [collection.get_offsets()]
        labels += [names[i % len(names)]] * len(points[-1])
    points = np.concatenate(points)
    order = np.lexsort(points.T)
    return points[order], np.array(labels)[order]


def test_embedding_of_a_refiner(refined):
    X, given, y, refiner = refined
    settings = {"y_true": y, "n_samples": 40, "random_state": 0}
    display = EmbeddingDisplay.from_estimator(refiner, X, given, **settings)
    rows = display.positions
    assert len(np.unique(rows)) == 40 and display.points.shape == (40, 2)
    panels = {"given labels": given, "refined labels": refiner.labels_}
    panels["true labels"] = y
    order = np.lexsort(display.points.T)
    for ax, (title, labels) in zip(display.axes_, panels.items(), strict=True):
        assert ax.get_title() == title
        points, classes = coloured(ax)
        np.testing.assert_allclose(points, display.points[order])
        np.testing.assert_array_equal(classes, labels[rows][order].astype(str))
    again = EmbeddingDisplay.from_estimator(refiner, X, given, **settings)
    np.testing.assert_array_equal(again.points, display.points)
    assert "9" in drawn(display.figure_)


def test_embedding_marks_samples(digits):
    X, y = digits
    marked = np.zeros(len(y), dtype=bool)
    marked[[3, 70]] = True
    settings = {"n_samples": 100, "embedding": PCA(2), "random_state": 0}
    features = X.reshape(len(X), -1)
    display = EmbeddingDisplay.from_predictions(features, y, marked=marked, **settings)
    rings = display.axes_[0].collections[-1].get_offsets()
    shown = np.isin(display.positions, [3, 70])
    np.testing.assert_array_equal(rings, display.points[shown])


def test_embedding_takes_any_estimator(digits):
    X, y = (part[:100] for part in digits)
    ssl = SSLPretrainer(encoder=narrow, max_epochs=1, random_state=0)
    clf = NoisyRobustClassifier("ce", max_epochs=1, head_epochs=0, random_state=0)
    frozen = NoisyRobustClassifier("ce", max_epochs=1, freeze_encoder=True)
    pipe = make_pipeline(ssl, frozen).fit(X, y)
    lazy = pipe[0].transform(X)
    expected = PCA(2).fit_transform(lazy)

    def points(estimator, X):
        settings = {"n_samples": None, "embedding": PCA(2)}
        display = EmbeddingDisplay.from_estimator(estimator, X, y, **settings)
        np.testing.assert_array_equal(display.positions, np.arange(100))
        assert display.axes_[0].get_xlabel() == "PCA 1"
        return display.points

    for estimator, inputs in (
        (pipe, X),  # whose encoder was not trained further
        (pipe[0], X),
        (pipe[1], lazy),
        (pipe[1], X),
        (PseudoLabelRefiner(frozen, 1, 1, (1,)).fit(lazy, y), lazy),
    ):
        np.testing.assert_allclose(points(estimator, inputs), expected, atol=1e-3)
    tuned = points(make_pipeline(ssl, clf).fit(X, y), X)
    assert np.abs(tuned - expected).max() > 0.1
    vectors = X.reshape(100, -1)
    plain = make_pipeline(StandardScaler(), LogisticRegression()).fit(vectors, y)
    scaled = PCA(2).fit_transform(StandardScaler().fit_transform(vectors))
    np.testing.assert_allclose(points(plain, vectors), scaled, atol=1e-3)


def test_embedding_of_a_data_frame_and_a_list(digits):
    pd = pytest.importorskip("pandas")
    X, y = digits[0].reshape(300, -1), digits[1]
    settings = {"n_samples": 40, "embedding": PCA(2), "random_state": 0}
    frame = pd.DataFrame(X, columns=[f"pixel {i}" for i in range(64)])
    clf = make_pipeline(StandardScaler(), LogisticRegression()).fit(frame, y)
    display = EmbeddingDisplay.from_estimator(clf, frame, y, **settings)
    clf.fit(X, y)
    for inputs in (X, X.tolist()):
        other = EmbeddingDisplay.from_estimator(clf, inputs, y, **settings)
        np.testing.assert_allclose(other.points, display.points, atol=1e-3)
    network = NoisyRobustClassifier("ce", max_epochs=1, random_state=0).fit(X, y)
    for inputs in (frame, X.tolist()):
        other = EmbeddingDisplay.from_estimator(network, inputs, y, **settings)
        expected = EmbeddingDisplay.from_estimator(network, X, y, **settings)
        np.testing.assert_allclose(other.points, expected.points, atol=1e-3)


def test_displays_of_two_networks(digits):
    X, y = digits[0].reshape(300, -1), digits[1]
    clf = CoTrainingClassifier("coteaching", max_epochs=2, random_state=0).fit(X, y)
    display = EmbeddingDisplay.from_estimator(
        clf, X, y, refined=clf.predict(X), n_samples=40, random_state=0
    )
    assert np.isfinite(display.points).all() and len(display.axes_) == 2
    losses = LossMixtureDisplay.from_estimator(clf).losses
    np.testing.assert_array_equal(losses, clf.training_loss_)


def test_embedding_of_many_classes_and_few_samples():
    rng = np.random.default_rng(0)
    many = EmbeddingDisplay.from_predictions(
        rng.normal(size=(100, 5)), np.arange(100) % 50, embedding=PCA(2)
    )
    assert "49" not in drawn(many.figure_)
    figure = plt.figure()
    few = EmbeddingDisplay.from_predictions(
        rng.normal(size=(6, 5)), list("aabbcc"), list("abcabc"), figure=figure
    )
    assert few.figure_ is figure and len(few.axes_) == 2
    for i, ax in enumerate(few.axes_):
        assert coloured(ax)[1].tolist() != coloured(few.axes_[1 - i])[1].tolist()


# Restored images ---------------------------------------------------------------------


def test_restored_images_of_a_pretrainer(digits):
    X = digits[0][:60]
    settings = {"max_epochs": 30, "batch_size": 20, "random_state": 0}
    ssl = SSLPretrainer("restoration", encoder=narrow, **settings)
    settings = {"n_images": 7, "random_state": 0}
    display = RestorationDisplay.from_estimator(ssl.fit(X), X, **settings)
    assert display.axes_.shape == (3, 7)
    np.testing.assert_allclose(display.originals, X[:7])
    assert np.abs(display.augmented - X[:7]).max() > 0.1
    by_the_mean_image = ((X[:7] - X.mean(axis=0)) ** 2).mean()
    assert ((display.restored - X[:7]) ** 2).mean() < 0.85 * by_the_mean_image
    again = RestorationDisplay.from_estimator(ssl, ssl.transform(X), **settings)
    assert again.restored.shape == display.restored.shape
    text = drawn(display.figure_)
    assert "original" in text and "augmented" in text and "restored" in text


def test_given_restored_images_are_clipped(colour):
    images = colour[0][:3]
    floats = torch.tensor(images / 255).permute(0, 3, 1, 2)
    display = RestorationDisplay.from_predictions(images, floats, 3 * floats - 1)
    np.testing.assert_allclose(display.originals, images / 255, atol=1e-6)
    np.testing.assert_allclose(display.augmented, images / 255, atol=1e-6)
    expected = (3 * (images / 255) - 1).clip(0, 1)
    np.testing.assert_allclose(display.restored, expected, atol=1e-6)
    assert display.axes_.shape == (3, 3)


# Losses ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two_gaussians():
    """Losses of 600 right and 300 wrong labels, and which are wrong."""
    rng = np.random.default_rng(0)
    losses = np.r_[rng.normal(0.5, 0.2, 600), rng.normal(3.0, 0.5, 300)]
    return losses, np.arange(900) >= 600


def test_loss_mixture(two_gaussians):
    losses, is_wrong = two_gaussians
    display = LossMixtureDisplay.from_predictions(losses, is_wrong=is_wrong)
    text = drawn(display.figure_)
    assert "right labels (600)" in text and "wrong labels (300)" in text
    assert "probably right (67%)" in text and "probably wrong (33%)" in text
    assert 1.0 < display.threshold < 2.0
    split = losses >= display.threshold
    np.testing.assert_array_equal(split, display.mixture.clean_probability < 0.5)
    bars = display.ax_.patches
    assert sum(bar.get_height() for bar in bars) == 900
    # The curves count labels a bar, too: both have the area of all labels.
    width = bars[0].get_width()
    areas = [np.trapezoid(c.get_ydata(), c.get_xdata()) for c in display.ax_.lines[:2]]
    assert sum(areas) == pytest.approx(900 * width, rel=0.02)


def test_loss_mixture_of_betas_and_given_ones(two_gaussians):
    losses, _ = two_gaussians
    _, ax = plt.subplots()
    betas = LossMixtureDisplay.from_predictions(losses, mixture="bmm", ax=ax)
    assert betas.ax_ is ax
    clean = bmm_clean_probability(losses)
    np.testing.assert_array_equal(betas.mixture.clean_probability, clean)
    assert betas.threshold == losses[clean < 0.5].min()
    given = gaussian_mixture(losses, max_iter=50)
    assert LossMixtureDisplay.from_predictions(losses, mixture=given).mixture is given


def test_losses_of_samples_that_were_left_out(digits):
    X, y = digits[0].reshape(300, -1), digits[1]
    is_wrong = np.arange(300) % 3 == 0
    clf = NoisyRobustClassifier("ce", max_epochs=3, validation=0.2, random_state=0)
    display = LossMixtureDisplay.from_estimator(clf.fit(X, y), is_wrong=is_wrong)
    known = ~np.isnan(clf.training_loss_)
    assert known.sum() == 240
    np.testing.assert_array_equal(display.losses, clf.training_loss_[known])
    np.testing.assert_array_equal(display.is_wrong, is_wrong[known])


def test_equal_losses_are_no_mixture():
    display = LossMixtureDisplay.from_predictions([1.0, 1.0, 1.0])
    assert display.threshold is None and "split" not in drawn(display.figure_)


def test_losses_of_estimators(digits):
    X, y = digits[0].reshape(300, -1), digits[1]
    clf = NoisyRobustClassifier("ce", max_epochs=3, random_state=0)
    pipe = make_pipeline(StandardScaler(), clf).fit(X, y)
    display = LossMixtureDisplay.from_estimator(pipe)
    np.testing.assert_array_equal(display.losses, pipe[-1].training_loss_)
    ssl = SSLPretrainer("supcon", max_epochs=1)
    tuner = ContrastiveFineTuner(clf, ssl, random_state=0).fit(X, y)
    display = LossMixtureDisplay.from_estimator(tuner, is_wrong=y == 3)
    np.testing.assert_array_equal(display.losses, tuner.losses_)
    clean = display.mixture.clean_probability
    np.testing.assert_array_equal(clean, tuner.clean_proba_)


# Iterations and epochs ---------------------------------------------------------------


def test_refinement(refined):
    _, given, y, refiner = refined
    display = RefinementDisplay.from_estimator(refiner, given, y_true=y)
    expected = [row["agreement"] for row in refiner.history_]
    np.testing.assert_allclose(display.agreement, [1, *expected])
    assert display.accuracy[0] == pytest.approx((given == y).mean())
    assert display.accuracy[-1] == pytest.approx((refiner.labels_ == y).mean())
    assert display.refined[-1] == pytest.approx(refiner.refined_.mean())
    assert f"{display.accuracy[-1]:.1%}" in drawn(display.figure_)
    assert len(display.ax_.lines) == 3
    alone = RefinementDisplay.from_estimator(refiner, given)
    assert alone.accuracy is None and len(alone.ax_.lines) == 2


def test_refinement_of_no_iterations():
    clf = NoisyRobustClassifier("ce", max_epochs=1)
    X, y = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20) % 2
    refiner = PseudoLabelRefiner(clf, warmup_epochs=1, n_iterations=0).fit(X, y)
    assert RefinementDisplay.from_estimator(refiner, y).agreement.tolist() == [1.0]


def test_training_curves():
    curves = {"ce": [0.2, 0.9, 0.4], "elr": np.array([0.1, 0.5])}
    display = TrainingCurveDisplay.from_predictions(curves)
    text = drawn(display.figure_)
    assert "ce: best 0.900, last 0.400" in text and "elr: best 0.500, last 0" in text
    assert display.ax_.get_ylabel() == "Test accuracy"
    np.testing.assert_array_equal(display.lines_[0].get_xdata(), [1, 2, 3])
    best, last = display.ax_.lines[1:3]
    assert (best.get_xdata(), best.get_ydata()) == (2, 0.9)
    assert (last.get_xdata(), last.get_ydata()) == (3, 0.4)
    losses = {"a loss": [3.0, 1.0, 2.0]}
    _, ax = plt.subplots()
    lowest = TrainingCurveDisplay.from_predictions(losses, best="min", ax=ax)
    assert lowest.ax_ is ax and "best 1.000, last 2.000" in drawn(ax.figure)


def test_training_curves_of_seeds_have_bands():
    seeds = np.array([[0.4, 0.8, 0.6], [0.6, 1.0, 0.2]])
    curves = {"ce": seeds, "elr": [0.1, 0.2]}
    display = TrainingCurveDisplay.from_predictions(curves)
    np.testing.assert_allclose(display.lines_[0].get_ydata(), [0.5, 0.9, 0.4])
    band, none = display.bands_
    assert none is None
    places = band.get_paths()[0].vertices
    ends = [np.ptp(places[places[:, 0] == epoch, 1]) for epoch in (1, 2, 3)]
    np.testing.assert_allclose(ends, 2 * seeds.std(axis=0))
    assert "ce: best 0.900, last 0.400" in drawn(display.figure_)
    with pytest.raises(ValueError, match="'ce'.* equally many epochs"):
        TrainingCurveDisplay.from_predictions({"ce": [[0.1, 0.2], [0.3]]})
    with pytest.raises(ValueError, match="must be a dict of curves"):
        TrainingCurveDisplay.from_predictions([0.1, 0.2])
    X = np.random.default_rng(0).normal(size=(40, 3))
    ssl = [SSLPretrainer(max_epochs=2, random_state=i).fit(X) for i in range(2)]
    of_seeds = TrainingCurveDisplay.from_estimator({"ssl": ssl, "first": ssl[0]})
    assert of_seeds.curves["ssl"].shape == (2, 2)
    np.testing.assert_array_equal(of_seeds.curves["ssl"][0], of_seeds.curves["first"])


def test_training_curves_of_estimators(digits):
    X, y = digits[0].reshape(300, -1), digits[1]
    ssl = SSLPretrainer(max_epochs=2)
    clf = NoisyRobustClassifier("ce", max_epochs=3, head_epochs=0)
    pipe = make_pipeline(ssl, clf).fit(X, y)
    display = TrainingCurveDisplay.from_estimator(
        {"pre-training": pipe[0], "all": pipe}
    )
    for name, part in {"pre-training": pipe[0], "all": pipe[1]}.items():
        expected = [row["train_loss"] for row in part.history_]
        np.testing.assert_array_equal(display.curves[name], expected)
    text = drawn(display.figure_)
    assert "last" in text and "best" not in text  # a low training loss is no merit
    held = clone(clf).set_params(validation=0.3).fit(X, y)
    accuracy = TrainingCurveDisplay.from_estimator(held, key="valid_acc")
    best = max(row["valid_acc"] for row in held.history_)
    assert f"best {best:.3f}" in drawn(accuracy.figure_)
    rates = TrainingCurveDisplay.from_estimator(pipe, key="lr")
    assert "NoisyRobustClassifier" in drawn(rates.figure_)
    assert rates.ax_.get_ylabel() == "lr"


def test_onset_of_memorisation(digits):
    X, y = digits[0].reshape(300, -1), digits[1]
    random = np.random.default_rng(0).permutation(y)
    clf = NoisyRobustClassifier("ce", encoder="mlp", max_epochs=40, random_state=0)
    clf.set_params(lr=0.1, schedule="constant")
    plain = clf.fit(X, random)
    stopping = LabelWave(window=2, patience=2, rise=0.0)
    stopped = clone(clf).set_params(stopping=stopping).fit(X, random)
    settings = {"key": "prediction_changes", "onset": True}
    display = TrainingCurveDisplay.from_estimator({"stopped": stopped}, **settings)
    assert display.onsets == {"stopped": stopped.stopped_epoch_}
    text = drawn(display.figure_)
    assert "labels begin to be memorised" in text
    assert "Share of predictions that changed" in text
    changes = display.curves["stopped"]
    assert np.isnan(changes[0]) and len(changes) == len(stopped.history_)
    np.testing.assert_array_equal(
        display.lines_[0].get_xdata()[[0, -1]], [1, len(changes)]
    )
    # Without stopping, by the defaults of the rule.
    rows = [LabelWave().watched(row) for row in plain.history_[1:]]
    found = LabelWave().onset(*np.transpose(rows))
    both = TrainingCurveDisplay.from_estimator({"plain": plain}, onset=True)
    assert both.onsets == ({} if found is None else {"plain": found + 2})
    given = TrainingCurveDisplay.from_predictions({"a": [1, 2, 3]}, onsets={"a": 2})
    assert "labels begin to be memorised" in drawn(given.figure_)
    without = TrainingCurveDisplay.from_estimator(plain)
    assert "memorised" not in drawn(without.figure_)


def test_names_are_drawn_as_they_are():
    """Matplotlib takes dollars for formulas, and hides what begins with "_"."""
    names = np.array(["_noise_", "$x^$", "a$b_$"])
    features, y = (
        np.random.default_rng(0).normal(size=(30, 3)),
        names[np.arange(30) % 3],
    )
    images = np.zeros((3, 8, 8))
    sheet = LabelErrorDisplay.from_predictions(images, names, names[::-1], np.ones(3))
    matrix = TransitionMatrixDisplay.from_predictions(y, np.eye(3)[np.arange(30) % 3])
    embedding = EmbeddingDisplay.from_predictions(features, y, random_state=0)
    curves = TrainingCurveDisplay.from_predictions({name: [0.1] for name in names})
    for display in (sheet, matrix, embedding, curves):
        display.figure_.canvas.draw()
    for legend in (embedding.figure_.legends[0], curves.ax_.get_legend()):
        shown = [text.get_text().lstrip("\u200b") for text in legend.get_texts()]
        for name in names:
            assert any(text.startswith(name.replace("$", r"\$")) for text in shown)


def test_errors_of_other_displays(digits, refined):
    X, given, _, refiner = refined
    fitted = SSLPretrainer(encoder=narrow, max_epochs=1).fit(digits[0])
    clf = NoisyRobustClassifier()
    for display, args in (
        (EmbeddingDisplay, (PseudoLabelRefiner(clf), X, given)),
        (LossMixtureDisplay, (clf,)),
        (RefinementDisplay, (PseudoLabelRefiner(clf), given)),
        (RestorationDisplay, (SSLPretrainer("restoration"), digits[0])),
        (TrainingCurveDisplay, (clf,)),
    ):
        with pytest.raises(NotFittedError):
            display.from_estimator(*args)
    with pytest.raises(ValueError, match="method=.restoration"):
        RestorationDisplay.from_estimator(fitted, digits[0])
    with pytest.raises(ValueError, match="pretrainer=.* must be an SSLPretrainer"):
        RestorationDisplay.from_estimator(clf.fit(X, given), digits[0])
    with pytest.raises(ValueError, match="key='accuracy' is not valid.*'train_loss'"):
        TrainingCurveDisplay.from_estimator(fitted, key="accuracy")
    with pytest.raises(ValueError, match="of shape .0,. is not valid"):
        TrainingCurveDisplay.from_predictions({"ce": []})
    with pytest.raises(ValueError, match="mixture='gm' is not valid"):
        LossMixtureDisplay.from_predictions([0.0, 1.0], mixture="gm")
    with pytest.raises(ValueError, match="n_samples=1 is not valid"):
        EmbeddingDisplay.from_estimator(refiner, X, given, n_samples=1)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        EmbeddingDisplay.from_predictions(X, given[:-1])


def test_displays_name_the_estimator_that_they_take(digits):
    X, y = digits
    clf = NoisyRobustClassifier("ce", "mlp", max_epochs=1).fit(X, y)
    for make, arguments, kind in [
        (LabelErrorDisplay, (X, y), "LabelErrorDetector"),
        (TransitionMatrixDisplay, (), "LabelErrorDetector"),
        (LabelQualityDisplay, (), "LabelErrorDetector"),
        (RefinementDisplay, (y,), "PseudoLabelRefiner"),
    ]:
        with pytest.raises(ValueError, match=f"must be a {kind}"):
            make.from_estimator(clf, *arguments)
