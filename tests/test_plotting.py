import subprocess
import sys

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from sknoisy import LabelErrorDetector, LazyFeatures
from sknoisy.noise import symmetric_exclusive
from sknoisy.plotting import (
    LabelErrorDisplay,
    LabelQualityDisplay,
    TransitionMatrixDisplay,
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


@pytest.mark.parametrize("layout", ["HW", "HWC", "CHW", "uint8", "tensor", "lazy"])
def test_sheet_takes_any_images(layout, found):
    import torch

    X, y, detector = found
    colour = np.stack([X, X / 2, X / 4], axis=-1)
    inputs = {
        "HW": X,
        "HWC": colour,
        "CHW": colour.transpose(0, 3, 1, 2),
        "uint8": (255 * colour).astype(np.uint8),
        "tensor": torch.from_numpy(X),
        "lazy": LazyFeatures(X, encoder=None),  # which nobody asks for features
    }
    display = LabelErrorDisplay.from_estimator(detector, inputs[layout], y)
    expected = X if layout in ("HW", "tensor", "lazy") else colour
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
    assert f"{y[0]} →\n{suggested[0]}" in drawn(display.figure_)


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
    np.testing.assert_allclose(again.transition_matrix, detector.transition_matrix_)
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


def test_errors(found):
    from sklearn.exceptions import NotFittedError

    X, y, detector = found
    for display, args in (
        (LabelErrorDisplay, (X, y)),
        (TransitionMatrixDisplay, ()),
        (LabelQualityDisplay, ()),
    ):
        with pytest.raises(NotFittedError):
            display.from_estimator(LabelErrorDetector(LogisticRegression()), *args)
    with pytest.raises(ValueError, match=r"X of shape \(300, 64\).*only images can"):
        LabelErrorDisplay.from_estimator(detector, X.reshape(300, -1), y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        LabelErrorDisplay.from_estimator(detector, X[:200], y)
    with pytest.raises(ValueError, match="n_images=0 is not valid"):
        LabelErrorDisplay.from_estimator(detector, X, y, n_images=0)


def test_matplotlib_is_imported_when_something_is_drawn():
    code = (
        "import sys, sknoisy, sknoisy.plotting as p; assert 'matplotlib' not in "
        "sys.modules; sys.modules['matplotlib'] = None\n"
        "try: p.LabelQualityDisplay.from_predictions([0.5], [True])\n"
        "except ImportError as error: print(error)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "sknoisy[plot]" in result.stdout
