"""Bad input: an error that names parameter, value and what is allowed, before training
starts, or the right result."""

import numpy as np
import pytest
import torch
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.pipeline import Pipeline

from sknoisy import (
    Checkpoint,
    LabelErrorDetector,
    Loss,
    NoisyRobustClassifier,
    SSLPretrainer,
)
from sknoisy.noise import symmetric_exclusive

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3)).astype(np.float32)
X[20:] += 2
Y = np.repeat([0, 1], 20)
IMAGES = RNG.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)


def clf(**params):
    settings = {"loss": "elr", "max_epochs": 2, "random_state": 0}
    return NoisyRobustClassifier(**settings | params)


def refuses(match, X=X, y=Y, **params):
    with pytest.raises(ValueError, match=match):
        clf(**params).fit(X, y)


# Labels ---------------------------------------------------------------------------


def test_missing_labels_are_counted():  # [1, 2]
    y = Y.astype(float)
    y[[3, 5]] = np.nan
    refuses("2 missing labels.*index 3", y=y)
    y = Y.astype(object)
    y[7] = None
    refuses("1 missing label .*index 7", y=y)
    import pandas as pd

    refuses("1 missing label .*index 7", y=pd.Series(y).astype("Int64"))


def test_mixed_types():  # [3]
    refuses("mixes strings and numbers", y=np.array([0, "a"] * 20, dtype=object))
    refuses("mixes strings and numbers", y=[0, "a"] * 20)
    refuses("1 missing label .*index 1", y=["a", np.nan] + ["b"] * 38)


@pytest.mark.parametrize(
    "labels",
    [
        np.array([0.0, 1.0]),  # [4]
        np.array(["clean", "wrong"]),  # [6]
        np.array(["a", "b"], dtype=object),
        np.array([False, True]),  # [7]
        np.array([10, 20]),  # [8]
        np.array([-1, 1]),  # [18] -1 is a class like any other
        np.array([3, 250], dtype=np.uint8),
    ],
)
def test_labels_come_back_as_they_were(labels):
    y = labels[Y]
    predicted = clf(max_epochs=20).fit(X, y).predict(X)
    assert predicted.dtype == y.dtype
    assert (predicted == y).mean() > 0.8


def test_labels_10_20_30_with_images():  # [8]
    y = np.array([10, 20, 30])[np.arange(40) % 3]
    model = clf().fit(IMAGES, y)
    assert set(model.predict(IMAGES)) <= {10, 20, 30}
    assert model.predict_proba(IMAGES).shape == (40, 3)


def test_continuous_labels():  # [5]
    refuses("Unknown label type", y=Y + 0.5 * RNG.random(40))


def test_single_class():  # [9]
    refuses("only one class.*at least 2 classes", y=np.zeros(40, int))


def test_class_of_one_sample():  # [10]
    y = Y.copy()
    y[0] = 2
    assert clf().fit(X, y).predict_proba(X).shape == (40, 3)


def test_column_of_labels():  # [11]
    with pytest.warns(DataConversionWarning):
        clf().fit(X, Y[:, None])


def test_one_hot_and_multilabel():  # [12, 13]
    refuses("one-hot: pass y.argmax", y=np.eye(2)[Y])
    refuses("multilabel", y=np.ones((40, 2)))


def test_class_that_a_fold_lacks():  # [14]
    y = np.r_[Y[:-1], 7]
    model = clf().partial_fit(X, Y, classes=[0, 1, 7])
    assert model.classes_.tolist() == [0, 1, 7]
    model.partial_fit(X, y)
    assert model.predict_proba(X).shape == (40, 3)


def test_unseen_class():  # [15]
    model = clf().fit(X, Y)
    assert 0 <= model.score(X, np.full(40, 9)) == 0
    with pytest.raises(ValueError, match="not among the classes.*9"):
        model.partial_fit(X, np.where(Y, 9, 0))


def test_lengths_that_differ():  # [16]
    refuses(r"inconsistent numbers of samples.*40.*39", y=Y[:39])


def test_series_with_shuffled_index_is_positional():  # [17]
    import pandas as pd

    y = pd.Series(Y, index=RNG.permutation(40))
    np.testing.assert_array_equal(
        clf().fit(X, y).predict_proba(X), clf().fit(X, Y).predict_proba(X)
    )


def test_no_labels():  # [19]
    refuses("requires y to be passed", y=None)


# Images -----------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("estimator", [clf(), SSLPretrainer(max_epochs=1)])
def test_not_finite(value, estimator):  # [20, 21]
    images = IMAGES / np.float32(255)
    images[3, 2, 1, 0] = value
    with pytest.raises(ValueError, match="NaN|infinity"):
        estimator.fit(images, Y)


def test_floats_of_any_range_are_brought_to_0_1():  # [22, 24]
    unit = clf().fit(IMAGES / np.float32(255), Y)
    wide = clf().fit(IMAGES.astype(np.float32), Y)
    signed = clf().fit(IMAGES.astype(np.int16) - 128, Y)
    a = unit.predict_proba(IMAGES / np.float32(255))
    np.testing.assert_allclose(a, wide.predict_proba(IMAGES.astype(float)), atol=1e-4)
    b = signed.predict_proba(IMAGES.astype(np.int16) - 128)
    np.testing.assert_allclose(a, b, atol=1e-4)


def test_another_range_at_predict():
    on_bytes, on_floats = clf().fit(IMAGES, Y), clf().fit(IMAGES / 255, Y)
    with pytest.raises(ValueError, match="uint8.*held floats.*pass X / 255"):
        on_floats.predict(IMAGES)
    with pytest.raises(ValueError, match="from 0 to 1, but .* from 0 to 255"):
        on_bytes.predict(IMAGES / 255)
    same = on_bytes.predict_proba(IMAGES.astype(float))
    np.testing.assert_allclose(same, on_bytes.predict_proba(IMAGES), atol=1e-5)


def test_layouts():  # [23, 25, 26]
    a = clf().fit(IMAGES, Y).predict_proba(IMAGES)
    first = np.moveaxis(IMAGES, 3, 1)
    np.testing.assert_array_equal(a, clf().fit(first, Y).predict_proba(first))
    tensor = torch.from_numpy(IMAGES)
    np.testing.assert_array_equal(a, clf().fit(tensor, Y).predict_proba(tensor))
    grey = IMAGES[..., 0]
    np.testing.assert_array_equal(
        clf().fit(grey, Y).predict_proba(grey),
        clf().fit(grey[..., None], Y).predict_proba(grey[..., None]),
    )


def test_ambiguous_layout():  # [25]
    refuses('Pass channels="first"', X=np.zeros((40, 3, 8, 3)))
    refuses('Pass channels="first"', X=np.zeros((40, 8, 8, 8)))
    assert clf(channels="last").fit(RNG.random((40, 8, 8, 8)), Y).predict(
        RNG.random((3, 8, 8, 8))
    ).shape == (3,)


def test_dimensions():
    refuses("Reshape your data", X=np.zeros((40, 1, 2, 3, 4)))
    refuses("Expected 2D array", X=np.zeros(40))


def test_too_small():  # [27]
    refuses("1 x 8 pixels.*at least 4", X=np.zeros((40, 1, 8, 3)), channels="last")


def test_too_large():  # [28]
    huge = np.broadcast_to(np.uint8(0), (2, 200_000, 200_000, 3))
    with pytest.raises(ValueError, match=r"needs about \d+ GiB"):
        clf().fit(huge, [0, 1])


def test_constant_images():  # [29]
    flat = np.full((40, 8, 8, 3), 7, np.uint8)
    assert np.isfinite(clf().fit(flat, Y).predict_proba(flat)).all()


def test_ragged_images():  # [30]
    ragged = [np.zeros((8, 8, 3))] * 39 + [np.zeros((9, 8, 3))]
    refuses(r"X\[39\]: \(9, 8, 3\)", X=ragged)
    array = np.empty(40, dtype=object)
    array[:] = ragged
    refuses(r"X\[39\]: \(9, 8, 3\)", X=array)


def test_empty():  # [31]
    refuses("0 sample", X=np.zeros((0, 3)), y=Y[:0])
    refuses("0 sample", X=IMAGES[:0], y=Y[:0])


def test_read_only_memmap(tmp_path):  # [32]
    np.save(tmp_path / "images.npy", IMAGES)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    np.testing.assert_array_equal(
        clf().fit(mapped, Y).predict_proba(mapped),
        clf().fit(IMAGES, Y).predict_proba(IMAGES),
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x[::-1][::-1],
        lambda x: np.asfortranarray(x),
        lambda x: x.astype(np.float64),  # [35]
        lambda x: x.astype(">f4"),
        lambda x: x.astype(np.float16).astype(np.float32),
    ],
)
def test_memory_layouts_and_dtypes(change):  # [33]
    x = np.round(X, 1).astype(np.float16).astype(np.float32)
    changed = change(x)
    np.testing.assert_allclose(
        clf().fit(changed, Y).predict_proba(changed),
        clf().fit(x, Y).predict_proba(x),
        atol=1e-5,
    )


def test_reversed_images():  # [33]
    model = clf().fit(IMAGES[::-1], Y)
    assert np.isfinite(model.predict_proba(IMAGES[:, ::-1, ::-1])).all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_tensor():  # [34]
    model = clf().fit(torch.from_numpy(IMAGES).cuda(), Y)
    assert model.predict(torch.from_numpy(IMAGES).cuda()).shape == (40,)


def test_complex_and_sparse():  # [36]
    from scipy.sparse import csr_array

    refuses("Complex data not supported", X=X + 1j)
    with pytest.raises(TypeError, match="[Ss]parse"):
        clf().fit(csr_array(X), Y)


def test_complex_numbers_are_not_listed():
    detector = LabelErrorDetector(clf(), "knn_agreement")
    for estimator in (clf(), SSLPretrainer(max_epochs=1), detector):
        for images in (IMAGES + 1j, torch.from_numpy(IMAGES + 1j)):
            with pytest.raises(ValueError, match="Complex .* X is of .*") as caught:
                estimator.fit(images, Y)
            assert len(str(caught.value)) < 200


def test_other_size_at_predict():  # [37]
    model = clf().fit(IMAGES, Y)
    with pytest.raises(ValueError, match="8, 9, 3.*8, 8, 3"):
        model.predict(np.zeros((2, 8, 9, 3), np.uint8))
    with pytest.raises(ValueError, match="X has 4 features.* 3 features"):
        clf().fit(X, Y).predict(np.zeros((2, 4)))


def test_pil_images():  # [38]
    from PIL import Image

    refuses("PIL images: pass an array", X=[Image.new("RGB", (8, 8))] * 40)


def test_paths_need_a_size_and_files(image_files):  # [38]
    paths, y = image_files
    with pytest.raises(ValueError, match="image_size=None is not valid.*of texts"):
        clf().fit(paths, y)
    with pytest.raises(ValueError, match="1 file that cannot be found.*index 0"):
        clf(image_size=8).fit([paths[0] + "x", *paths[1:]], y)


def test_file_that_is_no_image(image_files):
    paths, y = image_files
    with open(paths[0], "w") as file:
        file.write("no image")
    with pytest.raises(ValueError, match="cannot be read: .*0.png' is not an image"):
        clf(image_size=8).fit(paths, y)


def test_all_bad_files_at_once(image_files):
    paths, y = image_files
    for i in (3, 50):
        open(paths[i], "w").close()
    with pytest.raises(ValueError, match=r"2 files.*3.png.*index 3.*50.png.*index 50"):
        clf(image_size=8).fit(paths, y)


def test_missing_path_in_a_column(image_files):
    import pandas as pd

    paths, y = image_files
    column = pd.Series(paths, dtype=object)
    column[5] = np.nan
    with pytest.raises(
        ValueError, match="other entries .1., the first at index 5: nan"
    ):
        clf(image_size=8).fit(column, y)


def test_image_size_against_that_of_the_features(image_files):
    paths, y = image_files
    features = SSLPretrainer(max_epochs=1, image_size=8).fit_transform(paths)
    with pytest.raises(ValueError, match=r"image_size=16 is not valid.*\(8, 8\)"):
        clf(image_size=16).fit(features, y)
    clf(image_size=(8, 8), max_epochs=1).fit(features, y)


def test_file_of_16_bits(tmp_path):
    from PIL import Image

    deep = Image.fromarray(np.full((8, 8), 30_000, np.uint16))
    deep.save(tmp_path / "deep.png")
    with pytest.raises(ValueError, match="deep.png' has more than 8 bits"):
        clf(image_size=8).fit([str(tmp_path / "deep.png")] * 2, [0, 1])


def test_one_sample_at_predict():  # [39]
    model = clf().fit(IMAGES, Y)
    assert model.predict(IMAGES[:1]).shape == (1,)


# Hyper-parameters -------------------------------------------------------------------


def test_unknown_loss():  # [40]
    refuses("loss='eler' is not valid.*'elr'.*Did you mean 'elr'", loss="eler")


@pytest.mark.parametrize(
    "params",
    [
        {"lr": 0.0},  # [41]
        {"lr": float("nan")},
        {"batch_size": 0},  # [44]
        {"batch_size": 1},
        {"max_epochs": 0},  # [45]
        {"max_epochs": -1},
        {"max_epochs": 1.5},
        {"momentum": 1.0},
        {"weight_decay": -1},
        {"head_epochs": -1},
        {"optimizer": "adam"},
        {"schedule": "step"},
        {"precision": "float16"},  # [49]
        {"channels": "middle"},
        {"head": "deep"},
        {"verbose": "loud"},
        {"encoder": "resnet19"},
        {"encoder": torch.nn.Linear(3, 2)},
        {"encoder": "resnet18"},  # for images, but X holds vectors
        {"weights": "imagenet"},
        {"device": "gpu7"},  # [48]
        {"loss": 3},
    ],
)
def test_bad_parameters_are_named_before_training(params):
    (name,) = params
    refuses(f"{name}=.*is not valid", **params)


def test_bad_device_lists_devices():  # [48]
    refuses(r"device='cuda:99' is not valid.*'cpu'", device="cuda:99")


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "lars", "adamw"])
@pytest.mark.parametrize("number", [np.float64, np.float32, np.float16])
def test_numbers_of_numpy(optimizer, number):
    rates = {"lr": 0.25, "momentum": 0.5, "weight_decay": 0.125}
    params = {name: number(value) for name, value in rates.items()}
    settings = {"loss": "ce", "optimizer": optimizer}
    given = clf(**settings, **params).fit(X, Y)
    plain = clf(**settings, **rates).fit(X, Y)
    np.testing.assert_array_equal(given.predict_proba(X), plain.predict_proba(X))
    clf(**settings, momentum=0).fit(X, Y)


def test_batch_larger_than_data_is_clipped():  # [42]
    with pytest.warns(UserWarning, match="batch_size=64 .*40"):
        clf(batch_size=64).fit(X, Y)


@pytest.mark.parametrize("batch_size", [2, 8, 40])
def test_batch_of_one_left_over(batch_size):  # [43]
    X = RNG.normal(size=(41, 3))
    model = clf(batch_size=batch_size).fit(X, np.arange(41) % 2)
    assert np.isfinite(model.predict_proba(X)).all()
    ssl = SSLPretrainer(max_epochs=1, batch_size=batch_size)
    assert np.isfinite(ssl.fit_transform(X)).all()


@pytest.mark.parametrize("estimator", [clf(), SSLPretrainer(max_epochs=1)])
def test_not_fitted_after_a_failed_fit(estimator):
    from sklearn.base import clone

    estimator = clone(estimator).set_params(encoder="resnet18")
    with pytest.raises(ValueError, match="encoder='resnet18'"):
        estimator.fit(X, Y)
    with pytest.raises(NotFittedError):
        estimator.predict(X) if hasattr(estimator, "loss") else estimator.transform(X)


def test_mistyped_nested_parameter():  # [50]
    pipe = Pipeline([("clf", clf())])
    with pytest.raises(ValueError, match="Invalid parameter 'los'"):
        pipe.set_params(clf__los="ce")
    with pytest.raises(ValueError, match="Invalid parameter 'lamda'"):
        clf(loss="elr").set_params(loss__lamda=1)


def test_random_state_object():  # [51]
    a = clf(random_state=np.random.RandomState(3)).fit(X, Y).predict_proba(X)
    b = clf(random_state=np.random.RandomState(3)).fit(X, Y).predict_proba(X)
    np.testing.assert_array_equal(a, b)


def test_images_of_another_shape_at_predict():
    model = clf().fit(IMAGES, Y)
    for other in (
        IMAGES[:, :4],
        IMAGES.transpose(0, 3, 1, 2),
        IMAGES.reshape(40, -1),
        IMAGES[..., :1],
        IMAGES[0],
    ):
        with pytest.raises(ValueError, match=r"training X held images of shape .8, 8"):
            model.predict(other)
    ssl = SSLPretrainer(max_epochs=1).fit(IMAGES)
    with pytest.raises(ValueError, match=r"training X held images of shape .8, 8"):
        ssl.transform(IMAGES[:, :4])


def test_y_that_a_pretrainer_is_handed():
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        SSLPretrainer(max_epochs=1).fit(X, Y[:-1])


@pytest.mark.parametrize("size", [16, -3, "a", (32, 32, 3)])
def test_image_size_with_arrays(size):
    for inputs in (IMAGES, X, SSLPretrainer(max_epochs=1).fit_transform(IMAGES)):
        refuses("image_size=.* is not valid", X=inputs, image_size=size)


def test_a_single_path():
    with pytest.raises(ValueError, match="'new/cat.jpg' is a single path"):
        clf(image_size=8).fit("new/cat.jpg", Y)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"callbacks": Checkpoint("folder")}, "callbacks=.* must be a list"),
        ({"callbacks": "folder"}, "callbacks='folder' is not valid"),
        ({"callbacks": [3]}, r"callbacks=\[3\] is not valid"),
        ({"callbacks": [Checkpoint(None)]}, "folder=None of Checkpoint is not valid"),
        ({"callbacks": [("a", Checkpoint("a", 0))]}, "every=0 is not valid"),
        ({"random_state": -1}, "random_state=-1 is not valid"),
        ({"encoder": torch.nn.Linear}, "encoder=.*Linear.* is not valid"),
        ({"weights": "x.pth"}, "weights='x.pth' is not valid.* that exists"),
    ],
)
def test_parameters_of_another_kind(params, message):
    refuses(message, **params)


def test_methods_that_lack_what_they_need():
    class Nothing(Loss):
        pass

    with pytest.raises(NotImplementedError, match="Nothing must define __call__"):
        clf(loss=Nothing()).fit(X, Y)


@pytest.mark.parametrize("classes", ["abc", 3])
def test_classes_that_are_no_list(classes):
    match = f"^classes={classes!r} is not valid: it must be a list"
    soft = np.tile([0.2, 0.8], (len(Y), 1))
    refuses(match, classes=classes)
    refuses(match, classes=classes, y=soft)
    with pytest.raises(ValueError, match=match):
        clf().partial_fit(X, Y, classes=classes)


def test_names_that_may_be_none():
    refuses(
        "^stopping='labelwave' .* None or one of .*'label_wave'", stopping="labelwave"
    )
    refuses("^stopping=3 is not valid: it must be None, one of", stopping=3)


def test_weights_that_are_no_numbers():
    ssl = SSLPretrainer("supcon", max_epochs=1)
    with pytest.raises(ValueError, match="sample_weight .* must hold numbers"):
        ssl.fit(X, Y, sample_weight=["a"] * len(Y))


def test_noisy_labels_as_an_object():
    refuses("y is a NoisyLabels.* pass its attribute y", y=symmetric_exclusive(Y, 0.2))
    ssl = SSLPretrainer(max_epochs=1)
    with pytest.raises(ValueError, match="pass its attribute y"):
        Pipeline([("ssl", ssl), ("clf", clf())]).fit(X, symmetric_exclusive(Y, 0.2))
