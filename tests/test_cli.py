"""The command line, from a folder of images to labels that people reviewed."""

import csv
import io
import os
import shutil
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from processes import run_python
from sklearn.datasets import load_digits
from sklearn.feature_extraction.text import TfidfVectorizer
from torch import nn

import sknoisy
from sknoisy.cli import main
from sknoisy.cli.columns import Columns
from sknoisy.cli.encoding import make_encoder
from sknoisy.cli.main import _Shown
from sknoisy.cli.parser import make_parser
from sknoisy.cli.results import write_rows
from sknoisy.datasets import load_image_folder, load_table
from sknoisy.metrics import detection_average_precision

N = 30  # images of each class
WRONG = {f"bright/dark{i}.png": "dark" for i in (7, 8, 9)}
WRONG |= {f"dark/bright{i}.png": "bright" for i in (3, 4, 5)}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Dark and bright images, six with the wrong label, and files of other kinds."""
    folder = tmp_path_factory.mktemp("work") / "photos"
    rng = np.random.default_rng(0)
    for name, low in (("bright", 155), ("dark", 0)):
        (folder / name).mkdir(parents=True)
        for i in range(N):
            image = rng.integers(low, low + 100, (8, 8, 3)).astype(np.uint8)
            Image.fromarray(image).save(folder / name / f"{i:02d}.png")
    for name, label in WRONG.items():
        i = int(name[-5])
        (folder / label / f"{i:02d}.png").rename(folder / name)
    first = Image.open(folder / "dark" / "00.png")
    first.convert("L").save(folder / "dark" / "grey.png")
    first.convert("RGBA").save(folder / "dark" / "rgba.png")
    deep = np.asarray(first.convert("L")).astype(np.uint16) * 256
    Image.fromarray(deep).save(folder / "dark" / "deep.png")
    content = (folder / "dark" / "00.png").read_bytes()
    (folder / "dark" / "broken.png").write_bytes(content[:60])
    (folder / "dark" / "copy.png").write_bytes(content)
    (folder / "single").mkdir()
    first.save(folder / "single" / "1.png")
    return folder


class Mean(nn.Module):
    """The mean of each channel."""

    def forward(self, x):
        return x.mean((2, 3))


def mean_encoder():
    """Return an encoder that tells dark from bright images."""
    return Mean()


ENCODER = [f"--encoder={__name__}:mean_encoder", "--image-size=8"]
FAST = [*ENCODER, "--method=knn_agreement"]  # fits no classifier in folds


@pytest.fixture(scope="module")
def checked(photos):
    """The folder that a check of the photos wrote."""
    out = photos.parent / "checked"
    assert main(["check", str(photos), "--out", str(out), "--folds=3", *ENCODER]) == 0
    return out


def rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write(path, table):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, table[0].keys())
        writer.writeheader()
        writer.writerows(table)


def test_a_check_finds_the_wrong_labels(checked, photos):
    samples = rows(checked / "samples.csv")
    assert len(samples) == 2 * N + 3
    flagged = {
        row["name"]: row["suggested"] for row in samples if row["flagged"] == "1"
    }
    assert flagged == WRONG
    assert {row["name"] for row in samples[:6]} == flagged.keys()
    qualities = [float(row["quality"]) for row in samples]
    assert qualities == sorted(qualities)
    found = load_image_folder(photos, on_error="skip")
    by_name = dict(zip(found.names.tolist(), found.y.tolist(), strict=True))
    assert all(by_name[row["name"]] == row["given"] for row in samples)


def test_a_check_writes_a_report_for_people(checked):
    page = (checked / "report.html").read_text(encoding="utf-8")
    assert "Labels of photos" in page
    assert "bright/dark7.png" in page
    assert "broken.png" in page


def test_a_check_lists_what_it_left_out(checked):
    left_out = {row["file"]: row["why"] for row in rows(checked / "skipped.csv")}
    assert all(os.path.exists(path) for path in left_out)
    left_out = {name.rpartition("/")[2]: why for name, why in left_out.items()}
    assert left_out.keys() == {"broken.png", "deep.png", "1.png"}
    assert left_out["1.png"].startswith("is the only sample of its class, '")
    assert "damaged" in left_out["broken.png"]
    assert len(rows(checked / "labels.csv")) == 2 * N + 3


def test_what_an_earlier_check_left_out_is_not_listed(features, tmp_path):
    out = tmp_path / "out"
    whole = features.read_text()
    for text, n in ((whole + "\n1.0,red,\n", 1), (whole, 0)):
        features.write_text(text)
        arguments = [str(features), "--label=kind", "--method=knn_agreement"]
        assert main(["check", *arguments, "--out", str(out)]) == 0
        assert len(rows(out / "skipped.csv")) == n


def test_what_a_check_tells(photos, tmp_path, capsys):
    main(["check", str(photos), "--out", str(tmp_path), *FAST])
    out, err = capsys.readouterr()
    assert "of 63 labels are called wrong." in out
    assert "Exact copies of other files: 1. Photographs whose copies have" in out
    assert "Left out 3:" in out
    assert err.startswith("Read 63 samples of 2 classes ('bright', 'dark'), left out 3")
    assert "Traceback" not in err


def test_names_that_are_no_text(photos, tmp_path, capsys, monkeypatch):
    """Files may have any bytes in their names: none are lost, none reach a terminal."""
    monkeypatch.setattr("sknoisy.cli.results.SHOWN", 100)
    folder = tmp_path / "photos"
    for name in ("bright", "dark"):
        shutil.copytree(photos / name, folder / name)
    strange = os.fsdecode(b"dark/caf\xe9 \x1b[31m.png")
    try:
        shutil.copy(folder / "bright" / "00.png", folder / strange)
    except OSError:
        pytest.skip("a file system that has no such names")
    (folder / "dark" / "\x1b[2J.png").write_bytes(b"broken")
    out = tmp_path / "out"
    assert main(["check", str(folder), "--out", str(out), "--folds=3", *ENCODER]) == 0
    told = "".join(capsys.readouterr())
    assert "dark/caf\\udce9 \\x1b[31m.png: dark -> bright" in told
    assert "\x1b" not in told
    name = "dark/caf\\udce9 \x1b[31m.png"
    table = rows(out / "samples.csv")
    (row,) = (row for row in table if row["name"] == name)
    assert row["given"] == "dark"
    assert name in {row["file"] for row in rows(out / "labels.csv")}
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "dark/caf\\\\udce9 \\u001b[31m.png" in page
    assert 'caf%E9%20%1B%5B31m.png"' in page
    row["decision"] = "take"
    write(out / "reviewed.csv", table)
    labels = [str(out / "labels.csv"), str(out / "reviewed.csv")]
    assert main(["apply", *labels, "--out", str(tmp_path / "labels.csv")]) == 0
    applied = {row["file"]: row["label"] for row in rows(tmp_path / "labels.csv")}
    assert applied[name] == "bright"
    model = [str(out / "model.safetensors"), "--allow", f"{__name__}.Mean"]
    assert main(["predict", *model, str(folder / "dark")]) == 0
    assert "caf\\udce9" in capsys.readouterr().out


@pytest.mark.parametrize("where", ["", "inner"])
def test_a_folder_that_cannot_be_made_is_noticed_first(where, photos, tmp_path, capsys):
    (tmp_path / "file").touch()
    out = str(tmp_path / "file" / where)
    assert main(["check", str(photos), "--out", out, *FAST]) == 2
    error = capsys.readouterr().err
    assert "--out" in error and "is not valid: the folder cannot be made" in error
    assert "Training" not in error


def test_a_table_is_written_at_once_or_not_at_all(tmp_path):
    def broken():
        yield ["a"]
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        write_rows(tmp_path / "table.csv", ["name"], broken())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_options_is_named_after_the_data(photos, monkeypatch):
    monkeypatch.chdir(photos.parent)
    assert main(["check", "photos/", "--quiet", *FAST]) == 0
    assert (photos.parent / "photos-check" / "samples.csv").exists()


def test_without_weights_the_encoder_is_trained_here(
    photos, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    settings = ["--offline", "--epochs=1", "--method=knn_agreement"]
    out = ["--out", str(tmp_path / "out")]
    assert main(["check", str(photos), *settings, *out]) == 0
    said = capsys.readouterr().err
    assert "SimCLR on these images alone, 1 epoch at 32 pixels, for want of" in said
    model = sknoisy.load(tmp_path / "out" / "model.safetensors")
    assert set(model.predict(load_image_folder(photos, on_error="skip").X)) <= {
        "bright",
        "dark",
    }


def published_encoder():
    """Return an encoder that has its size and its weights."""
    return sknoisy.PretrainedEncoder(Mean(), image_size=8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([*ENCODER, "--epochs=3"], "--epochs is for --encoder ssl, and not for"),
        (["--encoder=resnet18", "--max-time=3"], "--max-time is for --encoder ssl"),
        (["--encoder=ssl", "--weights=w.pt"], "--weights is not valid with"),
        ([f"--encoder={__name__}:published_encoder", "--image-size=8"], "set it there"),
        ([f"--encoder={__name__}:published_encoder", "--weights=w"], "set it there"),
    ],
)
def test_options_of_other_encoders_are_refused(
    options, message, photos, tmp_path, capsys
):
    assert main(["check", str(photos), "--out", str(tmp_path), *options]) == 2
    assert message in capsys.readouterr().err


def test_epochs_are_told_to_change_nothing_where_there_are_weights(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    (tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth").touch()
    args = make_parser().parse_args(["check", "photos", "--epochs=3"])
    _, about = make_encoder(np.array(["a.png"]), args)
    assert about.startswith("resnet18, trained on ImageNet")
    assert capsys.readouterr().err.startswith("Warning: --epochs changes nothing")


@pytest.mark.parametrize(("share", "code"), [("0.5", 0), ("1", 1)])
def test_fail_under(photos, tmp_path, share, code):
    settings = ["--fail-under", share, "--out", str(tmp_path), "--quiet", *FAST]
    assert main(["check", str(photos), *settings]) == code


@pytest.fixture
def embedded(tmp_path):
    """A table of labels, and features of its rows in a file of NumPy."""
    X, y = load_digits(return_X_y=True)
    X, y = X[:300], y[:300].copy()
    y[[5, 50, 200]] += 1
    table = pd.DataFrame({"customer": np.arange(300) * 7, "label": y % 10})
    table["label"] = "digit " + table["label"].astype(str)
    table.to_csv(tmp_path / "labels.csv", index=False)
    np.save(tmp_path / "features.npy", X)
    return tmp_path


def test_features_in_a_file_of_numpy(embedded, capsys):
    features, out = str(embedded / "features.npy"), embedded / "out"
    given = [str(embedded / "labels.csv"), "--features", features, "--out", str(out)]
    assert main(["check", *given]) == 0
    assert "Features: 64 numbers of each row" in capsys.readouterr().err
    samples = rows(out / "samples.csv")
    assert {"5", "50", "200"} <= {row["sample"] for row in samples[:5]}
    assert samples[0]["customer"] == str(7 * int(samples[0]["sample"]))
    X, y = load_digits(return_X_y=True)
    np.save(embedded / "new.npy", X[300:400])
    written = str(embedded / "predicted.csv")
    model = str(out / "model.safetensors")
    assert main(["predict", model, str(embedded / "new.npy"), "--csv", written]) == 0
    predicted = rows(written)
    assert [row["row"] for row in predicted] == [str(i) for i in range(100)]
    right = [row["label"] == f"digit {y[300 + i]}" for i, row in enumerate(predicted)]
    assert np.mean(right) > 0.85


def test_a_service_without_streams(embedded, monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    monkeypatch.setattr(sys.modules["sknoisy.cli.main"], "OFTEN", 0)
    features, out = str(embedded / "features.npy"), embedded / "out"
    given = [str(embedded / "labels.csv"), "--features", features, "--out", str(out)]
    assert main(["check", *given]) == 0
    assert main(["predict", str(out / "model.safetensors"), features]) == 0
    assert sys.stdout is sys.stderr is None


def test_an_interrupt_before_pytorch_is_imported(tmp_path):
    code = """
import sys

class Interrupts:
    def find_spec(self, name, *others):
        if name == "torch":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupts())
from sknoisy.cli import main
sys.exit(main(["check", "photos"]))
"""
    ended = run_python(code, cwd=tmp_path, ends_with=130)
    assert ended.stderr == "\nsknoisy: interrupted\n"


def test_features_of_a_table_of_labels_alone(embedded):
    table = pd.read_csv(embedded / "labels.csv")
    table[["label"]].to_csv(embedded / "alone.csv", index=False)
    given = ["--features", str(embedded / "features.npy")]
    out = embedded / "out"
    assert main(["check", str(embedded / "alone.csv"), *given, "--out", str(out)]) == 0
    assert (out / "report.html").exists()


def test_features_of_rows_that_are_used(embedded):
    """A row without a label takes its features with it."""
    table = pd.read_csv(embedded / "labels.csv")
    table.loc[0, "label"] = None
    table.to_csv(embedded / "gaps.csv", index=False)
    out = str(embedded / "out")
    given = ["--features", str(embedded / "features.npy"), "--out", out, "--quiet"]
    assert main(["check", str(embedded / "gaps.csv"), *given]) == 0
    samples = rows(embedded / "out" / "samples.csv")
    assert len(samples) == 299
    assert {"5", "50", "200"} <= {row["name"] for row in samples[:5]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.zeros((7, 2)), "has 7 rows, and"),
        (np.zeros(300), "of shape (300,) and dtype float64"),
        (np.full((300, 1), "a"), "dtype <U1"),
        (np.full((300, 1), None), "is not an array written by numpy"),
        (None, "the file cannot be opened (No such file or directory)"),
        (b"", "is not an array written by numpy"),
        ({"a": np.zeros((300, 2))}, "numpy.save('one.npy', numpy.load("),
    ],
)
def test_features_that_do_not_fit(content, message, embedded, capsys):
    path = embedded / "bad.npy"
    if isinstance(content, dict):
        path = embedded / "several.npz"
        np.savez(path, **content)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content)
    assert main(["check", str(embedded / "labels.csv"), "--features", str(path)]) == 2
    assert message in capsys.readouterr().err


def test_features_that_are_not_finite(embedded, capsys):
    table, path = pd.read_csv(embedded / "labels.csv"), embedded / "features.npy"
    table.loc[0, "label"] = None
    table.to_csv(embedded / "labels.csv", index=False)
    X = np.load(path)
    out = embedded / "out"
    check = ["check", str(embedded / "labels.csv"), "--features", str(path)]
    X[0, 0] = np.nan  # of a row that is not used
    np.save(path, X)
    assert main([*check, "--out", str(out)]) == 0
    X[[70, 7], 3] = np.nan, np.inf
    np.save(path, X)
    assert main(check) == 2
    assert "infinity in 2 of 299 rows, first in row 7 (" in capsys.readouterr().err
    assert main(["predict", str(out / "model.safetensors"), str(path)]) == 2
    assert "infinity in 3 of 300 rows, first in row 0 (" in capsys.readouterr().err


def test_features_are_for_tables(embedded, photos, capsys):
    features = ["--features", str(embedded / "features.npy")]
    assert main(["check", str(photos), *features]) == 2
    assert "is for a CSV file" in capsys.readouterr().err
    assert (
        main(["check", str(embedded / "labels.csv"), *features, "--ignore=customer"])
        == 2
    )
    assert "--ignore is not valid with --features" in capsys.readouterr().err


def test_kinds_of_samples_that_a_model_does_not_take(embedded, photos, checked, capsys):
    out, features = embedded / "out", str(embedded / "features.npy")
    given = [str(embedded / "labels.csv"), "--features", features]
    assert main(["check", *given, "--out", str(out)]) == 0
    assert main(["predict", str(out / "model.safetensors"), str(photos)]) == 2
    assert "was trained on features" in capsys.readouterr().err
    allowed = [f"--allow={__name__}.Mean"]
    model = str(checked / "model.safetensors")
    assert main(["predict", model, features, *allowed]) == 2
    assert "was trained on images" in capsys.readouterr().err


def test_numbers_of_one_unit_are_not_scaled():
    """What learns from them decides: embeddings need one scale for all columns."""
    X = np.random.default_rng(0).normal(size=(50, 32)) * np.linspace(1, 2, 32)
    table = pd.DataFrame(X).rename(columns=str)
    np.testing.assert_array_equal(Columns().fit_transform(table), X)
    categories = table.assign(c=["u", "v"] * 25)
    units = table.assign(a=1000 * table["0"])  # of other units
    for other in (categories, units, table[["0", "1"]]):
        found = Columns().fit_transform(other)[:, :2]
        np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(found.std(axis=0), 1)


def test_labels_that_cannot_be_judged(tmp_path, capsys):
    rng = np.random.default_rng(2)
    table = pd.DataFrame(rng.normal(size=(300, 5))).rename(columns=str)
    table["label"] = rng.choice(["a", "b", "c"], size=300)
    table.to_csv(tmp_path / "t.csv", index=False)
    settings = ["--label=label", "--out", str(tmp_path / "out"), "--quiet"]
    assert main(["check", str(tmp_path / "t.csv"), *settings]) == 0
    said = capsys.readouterr().out
    assert "0 of 300 labels are called wrong. How many are cannot be told" in said
    assert "unknown" in (tmp_path / "out" / "report.html").read_text()
    settings.append("--fail-under=0.1")
    assert main(["check", str(tmp_path / "t.csv"), *settings]) == 1
    assert "Failed: it cannot be told how many are right" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("option", "allowed"),
    [
        ("--epochs=0", "an integer >= 1"),
        ("--folds=1", "an integer >= 2"),
        ("--image-size=wide", "an integer >= 4"),
        ("--max-time=0", "a number above 0"),
        ("--seed=-1", "an integer >= 0"),
        ("--max-false-alarms=1", "a number in [0, 1)"),
        ("--fail-under=95", "a number in [0, 1]"),
    ],
)
def test_numbers_that_are_not_allowed(photos, capsys, option, allowed):
    with pytest.raises(SystemExit) as stop:
        main(["check", str(photos), option])
    name, _, given = option.partition("=")
    assert stop.value.code == 2
    expected = f"argument {name}: {given!r} is not {allowed}"
    assert expected in capsys.readouterr().err


def test_predictions(checked, photos, tmp_path, capsys):
    broken = photos / "dark" / "broken.png"
    files = [str(photos / "bright"), str(photos / "dark" / "01.png"), str(broken)]
    model = str(checked / "model.safetensors")
    needed = f"--allow={__name__}.Mean"
    assert main(["predict", model, *files, needed]) == 0
    out, err = capsys.readouterr()
    predicted = list(csv.DictReader(out.splitlines()))
    assert len(predicted) == N + 1
    assert {row["label"] for row in predicted[: N - 3]} == {"bright"}
    assert (predicted[-1]["file"], predicted[-1]["label"]) == (files[1], "dark")
    assert f"Left out {broken}" in err
    table = tmp_path / "predicted.csv"
    main(["predict", model, *files, needed, "--csv", str(table)])
    assert rows(table) == predicted


def test_a_model_that_needs_code_says_which(checked, photos, capsys):
    model = str(checked / "model.safetensors")
    assert main(["predict", model, str(photos)]) == 2
    assert f"add --allow {__name__}.Mean\n" in capsys.readouterr().err


def test_from_a_check_to_reviewed_labels_to_another_training(
    checked, photos, tmp_path, capsys
):
    """People take suggestions, choose classes, and keep a label."""
    samples = rows(checked / "samples.csv")
    for row in samples:
        if row["name"] in list(WRONG)[:3]:
            row["decision"] = "take"
        elif row["name"] in WRONG:
            row["label"] = "bright"
        elif row["name"] == "dark/00.png":
            row["decision"] = "keep"
    reviewed, labels = tmp_path / "reviewed.csv", tmp_path / "labels.csv"
    write(reviewed, samples)
    given = str(checked / "labels.csv")
    assert main(["apply", given, str(reviewed), "--out", str(labels)]) == 0
    assert "6 labels changed, 1 confirmed, 56 not reviewed" in capsys.readouterr().err
    found = load_table(labels, root=photos)
    truth = [
        "bright" if np.asarray(Image.open(p)).mean() > 128 else "dark" for p in found.X
    ]
    assert found.y.tolist() == truth
    out = tmp_path / "again"
    again = ["check", str(labels), "--root", str(photos), "--out", str(out)]
    assert main([*again, "--fail-under=0.97", "--folds=3", *ENCODER]) == 0
    assert all(row["flagged"] == "0" for row in rows(out / "samples.csv"))
    model = sknoisy.load(out / "model.safetensors", allow=[Mean])
    assert model.score(found.X, found.y) == 1


def test_columns_of_the_same_name_are_not_merged(tmp_path):
    labels, reviewed = tmp_path / "labels.csv", tmp_path / "reviewed.csv"
    header, row = "file,,label,note,note,note.1,", "x.png,,{},old,new,newer,"
    labels.write_text("\n".join([header, row.format("a"), ""]))
    reviewed.write_text(
        "sample,name,given,suggested,decision,label\n0,x.png,a,b,take,\n"
    )
    assert main(["apply", str(labels), str(reviewed), "--new-classes"]) == 0
    merged = tmp_path / "labels-reviewed.csv"
    assert merged.read_text() == "\n".join([header, row.format("b"), ""])


def test_a_review_of_columns_of_the_same_name(tmp_path, capsys):
    """What can be checked can be applied; rows that have changed are noticed."""
    pytest.importorskip("pandas")
    table, out = tmp_path / "table.csv", tmp_path / "out"
    lines = [f"{i % 2},,{i % 2 + i / 100},{'ab'[i % 2]}," for i in range(20)]
    table.write_text("\n".join(["size,,size,label,", *lines, ""]))
    assert main(["check", str(table), "--folds=2", "--out", str(out)]) == 0
    reviewed = rows(out / "samples.csv")
    for row in reviewed:
        row["decision"] = "keep"
    write(tmp_path / "reviewed.csv", reviewed)
    apply = ["apply", str(table), str(tmp_path / "reviewed.csv")]
    assert main(apply) == 0
    assert (tmp_path / "table-reviewed.csv").read_text() == table.read_text()
    table.write_text(table.read_text().replace("0,,0.1,a", "0,,0.7,a"))
    capsys.readouterr()
    assert main(apply) == 2
    assert "Row 10 has '0.7' as 'size.1'" in capsys.readouterr().err


def test_the_table_of_labels_keeps_its_other_columns(tmp_path):
    labels = tmp_path / "labels.csv"
    labels.write_text("id,label,note\n1,a,old\n2,b,new\n")
    reviewed = tmp_path / "reviewed.csv"
    reviewed.write_text(
        "sample,name,given,suggested,decision,label\n1,1,b,a,take,a\n0,0,a,b,skip,\n"
    )
    assert main(["apply", str(labels), str(reviewed)]) == 0
    merged = tmp_path / "labels-reviewed.csv"
    assert merged.read_text().split() == ["id,label,note", "1,a,old", "2,a,new"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("0,gone.png,a,b,take,b", "no row of 'gone.png'"),
        ("0,x.png,b,a,take,a", "has the label 'a' in .* but was reviewed with 'b'"),
        ("0,x.png,a,b,maybe,b", "line 2: decision='maybe' is not valid"),
        ("0,x.png,a,b,keep,b", "label='b' is not valid for the decision 'keep'"),
        ("0,x.png,a,b,other,", "label='' is not valid for the decision 'other'"),
        ("0,y.png,a,b,take,b", "several rows of 'y.png'"),
    ],
)
def test_reviews_that_do_not_fit(tmp_path, capsys, row, message):
    labels, reviewed = tmp_path / "labels.csv", tmp_path / "reviewed.csv"
    labels.write_text("file,label\nx.png,a\ny.png,a\ny.png,a\n")
    reviewed.write_text(f"sample,name,given,suggested,decision,label\n{row}\n")
    assert main(["apply", str(labels), str(reviewed)]) == 2
    assert not (tmp_path / "labels-reviewed.csv").exists()
    error = capsys.readouterr().err
    assert error.startswith("sknoisy: error: ")
    with pytest.raises(ValueError, match=message):
        main(["apply", str(labels), str(reviewed), "--debug"])


def test_spaces_around_labels(tmp_path):
    """As in names of class folders."""
    labels, reviewed = tmp_path / "labels.csv", tmp_path / "reviewed.csv"
    labels.write_text("file,label\n x.png, cat\ny.png,dog \n")
    header = "name,given,suggested,decision,label"
    lines = [" x.png, cat,dog ,take,dog ", "y.png,dog ,dog ,keep,"]
    reviewed.write_text("\n".join([header, *lines]))
    assert main(["apply", str(labels), str(reviewed)]) == 0
    merged = tmp_path / "labels-reviewed.csv"
    assert merged.read_text() == "file,label\n x.png,dog\ny.png,dog\n"


def test_what_apply_counts(tmp_path, capsys):
    """Rows without a label are nothing to review; a row that is there twice is one."""
    labels, reviewed = tmp_path / "labels.csv", tmp_path / "reviewed.csv"
    labels.write_text("x,label\n1,a\n2,b\n3,\n4, \n5,a\n6,b\n")
    lines = ["name,given,suggested,decision,label", "0,a,b,take,"]
    reviewed.write_text("\n".join([*lines, "1,b,b,keep,", "1,b,b,keep,b"]))
    assert main(["apply", str(labels), str(reviewed)]) == 0
    told = "1 label changed, 1 confirmed, 2 not reviewed, 2 without a label."
    assert told in capsys.readouterr().err
    reviewed.write_text("\n".join([*lines, "0,a,b,keep,"]))
    assert main(["apply", str(labels), str(reviewed)]) == 2
    assert "has '0' twice, with different labels" in capsys.readouterr().err


def test_apply_keeps_the_encoding_of_older_spreadsheets(tmp_path, capsys):
    labels, reviewed = tmp_path / "labels.csv", tmp_path / "reviewed.csv"
    merged = tmp_path / "labels-reviewed.csv"
    labels.write_bytes("x,label\n1,café\n2,thé\n".encode("cp1252"))
    header = "name,given,suggested,decision,label\n"
    reviewed.write_text(header + "0,café,thé,take,", encoding="utf-8")
    assert main(["apply", str(labels), str(reviewed)]) == 0
    assert "is read as cp1252" in capsys.readouterr().err
    assert merged.read_bytes() == "x,label\n1,thé\n2,thé\n".encode("cp1252")
    reviewed.write_text(header + "0,café,thé,other,чай", encoding="utf-8")
    assert main(["apply", str(labels), str(reviewed), "--new-classes"]) == 0
    assert merged.read_text(encoding="utf-8-sig") == "x,label\n1,чай\n2,thé\n"


def test_a_label_that_no_sample_had(tmp_path, capsys):
    labels, reviewed = tmp_path / "labels.csv", tmp_path / "reviewed.csv"
    labels.write_text("file,label\nx.png,cat\ny.png,dog\n")
    reviewed.write_text(
        "sample,name,given,suggested,decision,label\n0,x.png,cat,dog,other,catt\n"
    )
    assert main(["apply", str(labels), str(reviewed)]) == 2
    assert "'catt', which no sample had. Did you mean 'cat'?" in capsys.readouterr().err
    assert main(["apply", str(labels), str(reviewed), "--new-classes"]) == 0
    merged = tmp_path / "labels-reviewed.csv"
    assert merged.read_text().split() == ["file,label", "x.png,catt", "y.png,dog"]


@pytest.fixture
def features(tmp_path):
    """A table of a number and a category, both with gaps, and its class; one wrong."""
    pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    numbers = (y + rng.normal(0, 0.1, 60)).round(3).astype(str)
    colours = np.where(y, "red", "blue").astype(object)
    numbers[5], colours[6], y[7] = "", "", 0
    path = tmp_path / "plants.csv"
    lines = [f"{a},{b},{c}" for a, b, c in zip(numbers, colours, y, strict=True)]
    path.write_text("\n".join(["size,colour,kind", *lines]))
    return path


def test_a_table_of_features(features, tmp_path, capsys):
    out = tmp_path / "out"
    settings = ["--label=kind", "--folds=3", "--out", str(out)]
    assert main(["check", str(features), *settings]) == 0
    assert [r["name"] for r in rows(out / "samples.csv") if r["flagged"] == "1"] == [
        "7"
    ]
    capsys.readouterr()
    of_new = features.replace(tmp_path / "new")  # a name without an ending
    assert main(["predict", str(out / "model.safetensors"), str(of_new)]) == 0
    predicted = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [row["label"] for row in predicted] == ["0", "1"] * 30
    assert [row["row"] for row in predicted] == [str(i) for i in range(60)]


def test_nothing_to_predict(features, checked, tmp_path, capsys):
    out, empty = tmp_path / "out", tmp_path / "empty.csv"
    main(["check", str(features), "--label=kind", "--folds=2", "--out", str(out)])
    empty.write_text("size,colour\n")
    assert main(["predict", str(out / "model.safetensors"), str(empty)]) == 2
    assert f"error: {str(empty)!r} has no rows\n" in capsys.readouterr().err
    folder = tmp_path / "folder"
    folder.mkdir()
    model, allow = str(checked / "model.safetensors"), f"--allow={__name__}.Mean"
    assert main(["predict", model, str(folder), allow]) == 2
    assert f"error: there are no images in {str(folder)!r}\n" in capsys.readouterr().err


def test_a_table_and_images_are_no_substitutes(
    features, checked, photos, tmp_path, capsys
):
    out = tmp_path / "out"
    main(["check", str(features), "--label=kind", "--folds=2", "--out", str(out)])
    assert main(["predict", str(out / "model.safetensors"), str(photos)]) == 2
    assert "was trained on a table with the columns" in capsys.readouterr().err
    model, allow = str(checked / "model.safetensors"), f"--allow={__name__}.Mean"
    assert main(["predict", model, str(features), allow]) == 2
    assert "was trained on images: pass image files" in capsys.readouterr().err


def test_columns_that_name_rows_are_ignored(tmp_path, capsys):
    pytest.importorskip("pandas")
    path, y = tmp_path / "plants.csv", np.arange(40) % 2
    lines = [f"plant {i},{c},{c}" for i, c in enumerate(y)]
    path.write_text("\n".join(["name,size,kind", *lines]))
    settings = ["--label=kind", "--folds=2", "--out", str(tmp_path / "out")]
    assert main(["check", str(path), *settings]) == 0
    err = capsys.readouterr().err
    assert (
        "Columns: numbers 'size'; ignored, as they only name the rows, 'name'." in err
    )


def test_spellings_of_a_class_are_told_of(tmp_path, capsys):
    names = ["ice cream", "Ice-Cream", "cake", "1", "-1", "_", "-"]
    codes = np.arange(140) % 7
    data = tmp_path / "table.csv"
    table = {"x": codes + np.random.default_rng(0).normal(0, 0.1, 140)}
    pd.DataFrame(table | {"label": np.array(names)[codes]}).to_csv(data, index=False)
    assert main(["check", str(data), "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().err
    assert told.count("differ only in spelling") == 1
    assert "'Ice-Cream', 'ice cream' differ only in spelling. Are they one?" in told


@pytest.mark.parametrize("names", [["no", "yes"], [7, 9]])
def test_a_column_that_is_the_label_is_told_of(names, tmp_path, capsys):
    rng = np.random.default_rng(0)
    codes = np.arange(60) % 2
    table = {"x": codes + rng.normal(size=60), "alive": np.array(names)[codes]}
    data = str(tmp_path / "table.csv")
    pd.DataFrame(table | {"label": codes}).to_csv(data, index=False)
    assert main(["check", data, "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr()
    told = told.out + told.err
    assert "column 'alive' has one value for each label" in told
    assert "--ignore 'alive'" in told and "labels themselves" not in told
    assert main(["check", data, "--out", str(tmp_path / "b"), "--ignore", "alive"]) == 0
    assert "one value for each label" not in capsys.readouterr().err


def test_names_of_rows_may_occur_twice(tmp_path, capsys):
    pd = pytest.importorskip("pandas")
    names = pd.Series([f"plant {min(i, 18)}" for i in range(20)])
    notes = names.where(names.index > 2)  # one text is that of a gap
    assert Columns().fit(pd.DataFrame({"a": names, "b": 1.0})).ignored_ == ["a"]
    assert Columns().fit(pd.DataFrame({"a": notes, "b": 1.0})).ignored_ == []


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("aaa", "the 3 samples have 1 classes ('a'), of which 1 have several samples"),
        (
            "abc",
            "the 3 samples have 3 classes ('a', 'b', 'c'), of which 0 have several",
        ),
        ("aab", "of which 1 have several samples: a check needs two such classes"),
    ],
)
def test_two_classes_are_needed_before_anything_is_trained(
    tmp_path, capsys, labels, message
):
    for i, label in enumerate(labels):
        (tmp_path / "photos" / label).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), i).save(tmp_path / "photos" / label / f"{i}.png")
    assert main(["check", str(tmp_path / "photos"), "--encoder=ssl"]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert "Encoder" not in err


def test_columns_that_are_to_be_ignored(features, photos, tmp_path, capsys):
    out = tmp_path / "out"
    check = ["check", str(features), "--label=kind", "--folds=2", "--out", str(out)]
    assert main([*check, "--ignore=colour"]) == 0
    assert "Columns: numbers 'size'.\n" in capsys.readouterr().err
    assert rows(out / "samples.csv")[0]["colour"] in ("red", "blue")  # for people
    assert main([*check, "--ignore=size", "--ignore=color"]) == 2
    told = "--ignore 'color' is not valid: the features are ['size', 'colour']"
    assert told in capsys.readouterr().err
    assert main(["check", str(photos), "--ignore=size"]) == 2
    assert "--ignore is for a CSV file" in capsys.readouterr().err


@pytest.mark.parametrize("ignored", [[], ["a", "b"]])
def test_a_table_without_features(tmp_path, ignored, capsys):
    columns = [*ignored, "kind"]
    lines = [",".join(str(i % 2) for _ in columns) for i in range(20)]
    path = tmp_path / "t.csv"
    path.write_text("\n".join([",".join(columns), *lines]))
    options = [f"--ignore={name}" for name in ignored]
    assert main(["check", str(path), "--label=kind", *options]) == 2
    beside = "'kind', 'a', 'b': pass" if ignored else "'kind': pass"
    assert f"has no column to learn from besides {beside}" in capsys.readouterr().err


@pytest.mark.parametrize("data", ["folder", "table", "embedded"])
@pytest.mark.parametrize(
    ("option", "valid"),
    [
        ("--label=label", ["table", "embedded"]),
        ("--file=path", ["table", "embedded"]),
        ("--root=.", []),
        ("--epochs=3", ["folder"]),
        ("--max-time=3", ["folder"]),
        ("--image-size=32", ["folder"]),
        ("--weights=w.pt", ["folder"]),
        ("--encoder=ssl", ["folder"]),
    ],
)
def test_options_for_other_data_are_refused(option, valid, data, tmp_path, capsys):
    name = option.partition("=")[0]
    table = tmp_path / "t.csv"
    table.write_text("a,label\n1,x\n2,y\n")
    given = {"folder": [str(tmp_path)], "table": [str(table)]}
    given["embedded"] = [str(table), f"--features={tmp_path / 'gone.npy'}"]
    assert main(["check", *given[data], option]) == 2  # it has a fault of its own
    refused = f"{name} is for" in (err := capsys.readouterr().err)
    refused |= f"{name} is not valid with --features" in err
    assert refused == (data not in valid)


def test_a_column_of_features_may_be_called_like_files(tmp_path, capsys):
    path, out = tmp_path / "cells.csv", tmp_path / "out"
    lines = [f"{i // 4},{i % 2}.{i},{i % 2}" for i in range(40)]
    path.write_text("\n".join(["Image,size,label", *lines]))
    check = ["check", str(path), "--folds=2", "--out", str(out)]
    assert main(check) == 2
    assert "pass file=None (--ignore 'Image')" in capsys.readouterr().err
    np.save(tmp_path / "e.npy", np.random.default_rng(0).normal(size=(40, 3)))
    assert main([*check, "--ignore=Image", f"--features={tmp_path / 'e.npy'}"]) == 0
    capsys.readouterr()
    assert main([*check, "--ignore=Image"]) == 0
    assert "Columns: numbers 'size'.\n" in capsys.readouterr().err
    samples = rows(out / "samples.csv")
    samples[0] |= {"decision": "other", "label": str(1 - int(samples[0]["given"]))}
    write(tmp_path / "reviewed.csv", samples)
    merge = ["apply", str(path), str(tmp_path / "reviewed.csv")]
    assert main([*merge, "--ignore=Image", "--out", str(tmp_path / "new.csv")]) == 0
    before, after = (
        load_table(path, file=None),
        load_table(tmp_path / "new.csv", file=None),
    )
    assert np.flatnonzero(before.y != after.y).tolist() == [int(samples[0]["sample"])]


def test_rows_that_are_equal_are_counted(tmp_path, capsys):
    pytest.importorskip("pandas")
    lines = [f"{i}.5,{i % 2}" for i in range(40)]
    lines += ["7.5,1", "8.5,1", "8.5,1"]  # the first label is 1, that of the others 0
    path, settings = tmp_path / "plants.csv", ["--folds=2", "--out"]
    for rows_, told in ((lines[:40], False), (lines, True)):
        path.write_text("\n".join(["size,label", *rows_]))
        assert main(["check", str(path), *settings, str(tmp_path / "out")]) == 0
        out = capsys.readouterr().out
        assert ("Exact copies of other rows: 3. Rows whose copies" in out) == told
    assert "Rows whose copies have different labels: 1." in out


def test_the_samples_of_a_table_have_their_values(tmp_path):
    pytest.importorskip("pandas")
    path, out = tmp_path / "plants.csv", tmp_path / "out"
    lines = [f"{i};n{i % 3};{i % 2},5;{i % 2}" for i in range(40)]
    lines[4] = "4;;0,5;0"
    path.write_text("\n".join(["size;name;width;label", *lines]))
    assert main(["check", str(path), "--folds=2", "--out", str(out)]) == 0
    found = {row["name"]: row for row in rows(out / "samples.csv")}
    assert [found["7"][k] for k in ("name (table)", "width")] == ["n1", "1.5"]
    assert found["4"]["name (table)"] == ""
    merged = tmp_path / "merged.csv"
    table = str(out / "samples.csv")
    assert main(["apply", str(path), table, "--out", str(merged)]) == 0
    assert merged.read_text() == path.read_text() + "\n"


def test_numbers_with_commas_and_dates_are_quantities():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(
        {
            "thousands": ["1,234", None, "2,000,000.5"],
            "decimals": ["1.234,5", " 0,25", "-3"],
            "three": ["0,125", "-2,500", "4,000"],  # no thousands begin with 0
            "day": ["2024-01-31", None, "2023-12-31"],
            "german": ["31.1.2024", "31.12.2023", "01.02.2024"],
            "second": ["2024-01-02 12:00:00", "2024-01-02 18:00:00", None],
            "ordered": ["13/01/2024", "12/01/2024", "01/02/2024"],
        }
    )
    days = [19753, np.nan, 19722]
    expected = {
        "thousands": [1234, np.nan, 2000000.5],
        "decimals": [1234.5, 0.25, -3],
        "three": [0.125, -2.5, 4],
        "day": days,
        "german": [19753, 19722, 19754],
        "second": [19724.5, 19724.75, np.nan],
        "ordered": [19735, 19734, 19754],
    }
    columns = Columns().fit(frame)
    plain = Columns().fit(pd.DataFrame(expected))
    assert columns.numbers_ == plain.numbers_ == [*expected]
    np.testing.assert_allclose(columns.moments_, plain.moments_)
    one = pd.DataFrame({"thousands": ["3,5"], "decimals": [2.5]}, index=[7])
    told = columns.transform(frame.iloc[:1].assign(**one.iloc[0]))
    asked = plain.transform(
        pd.DataFrame(expected).iloc[:1].assign(thousands=np.nan, decimals=2.5)
    )
    np.testing.assert_allclose(told, asked)  # what cannot be read is a gap
    with pytest.raises(ValueError, match=r"column 'day' holds more than"):
        plain.transform(pd.DataFrame(expected).assign(day="x"))


@pytest.mark.parametrize(
    "how",
    [
        "%Y-%m-%d %H:%M:%S+00:00",
        "%Y-%m-%dT%H:%M:%SZ",
        "%Y-%m-%d %H:%M:%S.250000",
        "%Y-%m-%d %H:%M",
        "%d.%m.%Y %H:%M",
        "%d/%m/%Y %H:%M:%S",
    ],
)
def test_dates_with_a_time(how):
    times = pd.date_range("2024-01-01", periods=60, freq="7h")
    columns = Columns().fit(pd.DataFrame({"at": times.strftime(how)}))
    assert columns.numbers_ == ["at"]
    days = (times - pd.Timestamp(0)) / pd.Timedelta(days=1)
    expected = Columns().fit_transform(pd.DataFrame({"at": days}))
    found = columns.transform(pd.DataFrame({"at": times.strftime(how)}))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_time_zones_that_differ():
    at = ["2024-03-31 01:00:00+01:00", "2024-03-31 03:00:00+02:00"]
    columns = Columns().fit(pd.DataFrame({"at": [*at, "2024-03-30 23:00:00+00:00"]}))
    days = columns.moments_[0, 0]
    assert days == pd.Timestamp("2024-03-31").timestamp() / 86400


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("(${})", True),
        ("01/20{}", True),
        ("Mar 20{}", True),
        ("20{}-Q3", True),
        ("{}:30 PM", True),
        ("SKU {}", False),
        ("may {}", False),
        ("{} kg", True),
        ("{}%", True),
        ("1/31/20{} 2:30 PM", True),
        ("plant {}", False),
        ("{}-0815", False),
    ],
)
def test_quantities_that_cannot_be_read_are_no_names_of_rows_silently(text, told):
    texts = [text.format(i) for i in range(10, 60)]
    columns = Columns().fit(pd.DataFrame({"a": texts, "b": [1, 2] * 25}))
    assert columns.ignored_ == ["a"]
    assert columns.doubt().startswith("taken for names of the rows, though") == told
    few = Columns().fit(pd.DataFrame({"a": texts[:2] * 25, "b": [1, 2] * 25}))
    assert few.doubt().startswith("taken for categories, though") == told


@pytest.mark.parametrize(
    ("texts", "numbers"),
    [
        (["2024-01", "1999-12", " 2000-2 "], [19723, 10926, 10988]),
        (["12:30", "6:00", "18:00:00"], [25 / 48, 0.25, 0.75]),
        (["36:00", None, "0:45:00.5"], [1.5, np.nan, 2700.5 / 86400]),
        (["EUR 12", "EUR 1,200.50", "-EUR 3"], [12, 1200.5, -3]),
        (["12 EUR", "7", None], [12, 7, np.nan]),
        (["$12.50", "-$3", "$-4"], [12.5, -3, -4]),
        (["US$5", "US$ 6", "US$1,000"], [5, 6, 1000]),
        (["12,50 €", "1.234,50€", "€ 3"], [12.5, 1234.5, 3]),
        (["12:75", "10:20", "11:30"], None),
        (["2024-13", "2024-01", "2024-02"], None),
        (["EURO 5", "EURO 6", "EURO 7"], None),
        (["$5$6", "$5", "$6"], None),
    ],
)
def test_months_times_and_amounts_are_quantities(texts, numbers):
    columns = Columns().fit(pd.DataFrame({"a": texts}))
    if numbers is None:
        assert [*columns.categories_] == ["a"]
        return
    assert columns.numbers_ == ["a"] and columns.doubt() == ""
    plain = Columns().fit(pd.DataFrame({"a": numbers}))
    np.testing.assert_allclose(columns.moments_, plain.moments_)


def test_amounts_of_several_currencies_are_told():
    texts = [f"{'$€'[i % 2]}{i}" for i in range(60)]
    frame = pd.DataFrame({"price": texts, "b": [1, 2] * 30})
    assert "numbers or dates: 'price'." in Columns().fit(frame).doubt()
    dollars = Columns().fit(frame[::2])
    assert "'price' (30 of 30)" in dollars.doubt_new(frame[1::2])


def test_what_can_be_read_in_several_ways_is_a_category_and_told(tmp_path, capsys):
    pytest.importorskip("pandas")
    path, settings = tmp_path / "plants.csv", ["--folds=2", "--out"]
    texts = '"1,5",01/02/2024,10%,red 1'
    lines = [f"{i % 2},{texts},{i % 2}" for i in range(20)]
    path.write_text("\n".join(["size,width,day,share,colour,label", *lines]))
    assert main(["check", str(path), *settings, str(tmp_path / "out")]) == 0
    err = capsys.readouterr().err
    assert "'width'; of these read from text 'width' (1.234,5); categories" in err
    told = "taken for categories, though they look like numbers or dates: 'day', "
    assert f"{told}'share'." in err
    model = str(tmp_path / "out" / "model.safetensors")
    assert main(["predict", model, str(path), "--quiet"]) == 0


def test_labels_and_names_that_look_like_formulas(features, tmp_path):
    """People see them as texts; the labels that come back are as they were."""
    table = tmp_path / "t.csv"
    header, *lines = features.read_text().split("\n")
    lines = [line[:-1] + ("=1+1", "-2")[int(line[-1])] for line in lines]
    table.write_text("\n".join([header, *lines]))
    out = tmp_path / "out"
    assert main(["check", str(table), "--label=kind", "--out", str(out)]) == 0
    samples = rows(out / "samples.csv")
    assert {row["given"] for row in samples} == {"'=1+1", "-2"}
    (wrong,) = (row for row in samples if row["flagged"] == "1")
    assert wrong["name"] == "7" and wrong["given"] == "'=1+1"
    right = next(row for row in samples if row["given"] == "'=1+1" and row != wrong)
    wrong["decision"], right["decision"] = "take", "keep"
    reviewed, merged = tmp_path / "reviewed.csv", tmp_path / "merged.csv"
    write(reviewed, [wrong, right])
    arguments = [str(table), str(reviewed), "--label=kind", "--out", str(merged)]
    assert main(["apply", *arguments]) == 0
    lines[7] = lines[7].replace("=1+1", "-2")
    assert merged.read_text().split() == [header, *lines]


def test_labels_that_the_output_lacks(features, tmp_path, monkeypatch):
    """As on Windows, where a pipe or file is not of UTF-8."""
    table, out = tmp_path / "t.csv", tmp_path / "out"
    header, *lines = features.read_text().split("\n")
    lines = [line[:-1] + "hund 猫".split()[int(line[-1])] for line in lines]
    table.write_text("\n".join([header, *lines]), encoding="utf-8")
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="cp1252"))
    assert main(["check", str(table), "--label=kind", "--out", str(out)]) == 0
    assert main(["predict", str(out / "model.safetensors"), str(table)]) == 0
    sys.stdout.flush()
    told = raw.getvalue().decode("cp1252").replace("\r\n", "\n")
    assert "hund -> \\u732b (" in told
    assert sum(line.split(",")[1:2] == ["\\u732b"] for line in told.split("\n")) > 20


def test_apply_keeps_the_mark_of_a_spreadsheet(tmp_path):
    table, reviewed = tmp_path / "t.csv", tmp_path / "reviewed.csv"
    table.write_text("file,label\nä,a\nb,c\n", encoding="utf-8-sig")
    reviewed.write_text("name,given,suggested,decision,label\nb,c,a,take,\n")
    assert main(["apply", str(table), str(reviewed)]) == 0
    written = (tmp_path / "t-reviewed.csv").read_bytes()
    assert written == table.read_bytes().replace(b"b,c", b"b,a")


@pytest.mark.parametrize("separator", [",", ";", "|", "sep=;", "sep=\t"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_apply_changes_nothing_but_labels(tmp_path, separator, line_end):
    table, reviewed = tmp_path / "t.csv", tmp_path / "reviewed.csv"
    lines = ["size,height,kind", '"1,5",3,a', '"2,5",4,b']
    if separator != ",":
        lines = ["size;height;kind", "1,5;3;a", "2,5;4;b"]
        lines = [line.replace(";", separator[-1]) for line in lines]
    lines = [separator] * separator.startswith("sep") + lines
    table.write_bytes(line_end.join([*lines, ""]).encode())
    reviewed.write_text("name,given,suggested,decision,label\n1,b,a,take,\n")
    assert main(["apply", str(table), str(reviewed), "--label=kind"]) == 0
    lines[-1] = lines[-1][:-1] + "a"
    written = (tmp_path / "t-reviewed.csv").read_bytes()
    assert written == line_end.join([*lines, ""]).encode()


def test_an_index_is_no_feature(tmp_path, capsys):
    """That of pandas has no name; rows without a label are left out of the count."""
    pytest.importorskip("pandas")
    path, out = tmp_path / "plants.csv", tmp_path / "out"
    lines = [f"{i},{i + 7},{i % 3},{'ab'[i % 2]}" for i in range(40)]
    lines[5] = "5,12,2,"
    path.write_text("\n".join([",number,size,kind", *lines]))
    settings = ["--label=kind", "--folds=2", "--out", str(out)]
    assert main(["check", str(path), *settings]) == 0
    err = capsys.readouterr().err
    assert (
        "numbers 'size'; ignored, as they only name the rows, 'Unnamed: 0', 'n" in err
    )
    (tmp_path / "new.csv").write_text("size\n1\n2\n")
    assert (
        main(["predict", str(out / "model.safetensors"), str(tmp_path / "new.csv")])
        == 0
    )


def test_rows_that_are_left_out_have_one_kind_of_name(tmp_path):
    pytest.importorskip("pandas")
    path, out = tmp_path / "plants.csv", tmp_path / "out"
    lines = [f"{i % 7},{'ab'[i % 2]}" for i in range(40)]
    path.write_text("\n".join(["size,kind", *lines, "3,", "4,single"]))
    main(["check", str(path), "--label=kind", "--folds=2", "--out", str(out)])
    left_out = rows(out / "skipped.csv")
    assert [row["file"] for row in left_out] == ["row 40", "row 41"]


def test_labels_that_are_a_quantity_are_doubted(tmp_path, capsys):
    pytest.importorskip("pandas")
    path = tmp_path / "people.csv"
    lines = [f"{i % 7},{i % 25}" for i in range(100)]
    path.write_text("\n".join(["size,age", *lines]))
    main(["check", str(path), "--label=age", "--folds=2", "--out", str(tmp_path / "o")])
    assert "labels are 25 different numbers. Are these" in capsys.readouterr().err


def test_a_reader_that_has_seen_enough(features, tmp_path):
    out, command = tmp_path / "out", [sys.executable, "-m", "sknoisy"]
    main(["check", str(features), "--label=kind", "--folds=2", "--out", str(out)])
    command += ["predict", str(out / "model.safetensors"), str(features)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as p:
        p.stdout.close()
        assert p.stderr.read() == b""
    assert p.returncode == 0


def test_a_table_gives_its_folder_a_name_without_ending(features, monkeypatch):
    monkeypatch.chdir(features.parent)
    settings = ["--label=kind", "--folds=3", "--quiet"]
    assert main(["check", "plants.csv", *settings]) == 0
    assert (features.parent / "plants-check" / "samples.csv").exists()


def test_a_mistyped_column_is_guessed(features, capsys):
    assert main(["check", str(features), "--label=kinds", "--quiet"]) == 2
    assert "Did you mean 'kind'?" in capsys.readouterr().err


def test_nothing_is_said_of_an_encoder_that_is_none(photos, capsys):
    assert main(["check", str(photos), "--encoder=resnet999"]) == 2
    err = capsys.readouterr().err
    assert "encoder='resnet999' is not valid" in err and "published" not in err


def test_columns():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": [1.0, np.nan, 3.0], "b": ["x", "y", "x"], 3: [True] * 3})
    columns = Columns().fit(frame)
    deviation = np.sqrt(2 / 3)
    expected = [
        [-1 / deviation, 0, 1, 0],
        [0, 0, 0, 1],
        [1 / deviation, 0, 1, 0],
    ]
    np.testing.assert_allclose(columns.transform(frame), expected)
    other = pd.DataFrame({3: [1], "b": ["new"], "a": [np.inf], "more": [1]})
    assert columns.transform(other).tolist() == [[0, 0, 0, 0]]
    with pytest.raises(ValueError, match=r"lacks the columns \['b'\]"):
        columns.transform(frame.drop(columns="b"))
    with pytest.raises(ValueError, match="column 'a' holds more than the numbers"):
        columns.transform(frame.assign(a=["1", "x", "2"]))


@pytest.mark.parametrize("mark", ["?", "-", ".", "NA", "n.a.", "Unknown", "missing"])
@pytest.mark.parametrize("row", ["{}.5,{}", "{},5;{}", '"1,{:03}.5",{}'])
def test_marks_of_missing_values_leave_a_column_of_numbers(tmp_path, row, mark, capsys):
    lines = [row.format(100 + i * 7, "ab"[i % 2]) for i in range(40)]
    separator = ";" if ";" in row else ","
    for path, value in (("marked.csv", mark), ("empty.csv", "")):
        given = [*lines[:20], f"{value}{separator}a", *lines[20:]]
        text = "\n".join([f"size{separator}label", *given])
        (tmp_path / path).write_text(text)
    marked, empty = (
        load_table(tmp_path / f"{name}.csv") for name in ("marked", "empty")
    )
    columns = Columns().fit(marked.X)
    assert columns.numbers_ == ["size"]
    expected = Columns().fit_transform(empty.X)
    np.testing.assert_array_equal(columns.transform(marked.X), expected)
    new = pd.DataFrame({"size": [mark, mark]})  # nothing but marks
    np.testing.assert_array_equal(
        Columns().fit(empty.X).transform(new), columns.transform(new)
    )


def test_marks_that_tell_all_that_a_column_does_stay(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,label\n" + "1,x\n-,y\n" * 4)
    assert [*Columns().fit(load_table(path).X).categories_] == ["a"]


def test_numbers_with_mistakes_among_them_are_categories_and_told():
    texts = [f"{i}.5" for i in range(100)]
    for wrong, told in ((["x", "y"], True), (["x"] * 20, False)):
        frame = pd.DataFrame(
            {"size": texts + wrong, "kind": [1, 2] * 50 + [1] * len(wrong)}
        )
        assert ("'size'" in Columns().fit(frame).doubt()) == told


def test_values_that_are_new_to_a_model_are_told(tmp_path, capsys):
    words = "one two three four five six seven eight nine ten".split()
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "colour": ["red", "blue"] * 30,
            "day": pd.date_range("2024-01-01", periods=60).astype(str),
            "note": [" ".join(rng.permutation(words)) for _ in range(60)],
            "label": ["x", "y"] * 30,
        }
    )
    path, out = str(tmp_path / "t.csv"), str(tmp_path / "out")
    table.to_csv(path, index=False)
    assert main(["check", path, "--folds=2", "--out", out]) == 0
    predict = ["predict", f"{out}/model.safetensors", path]
    some = table.assign(colour=["red", "RED", None] * 20)
    day = table["day"].replace("-", "/", regex=True)
    others = table.assign(
        colour=["RED"] * 55 + ["red"] + [None] * 4, day=day, note="zz"
    )
    told = "in 'colour' (55 of 56), 'note' (60 of 60), 'day' (60 of 60)."
    for new, expected in ((table, ""), (some, ""), (others, told)):
        new.drop(columns="label").to_csv(path, index=False)
        capsys.readouterr()
        assert main(predict) == 0
        err = capsys.readouterr().err
        assert expected in err
        assert ("Warning: nearly all values are unlike" in err) == bool(expected)


def test_numbers_on_another_scale_are_told_by_name(tmp_path, capsys):
    """By the names and in the units of the table, and not those of what is learned."""
    data, out = tmp_path / "plants.csv", tmp_path / "out"
    rng = np.random.default_rng(0)
    label = np.arange(60) % 2
    table = pd.DataFrame({"soil": np.array(["dry", "wet"])[rng.integers(0, 2, 60)]})
    table["height"] = 1 + label + rng.normal(size=60)
    table["weight"] = 50 + 10 * label + rng.normal(size=60)
    table.loc[3, "weight"] = 1e9
    table.assign(label=label).to_csv(data, index=False)
    assert main(["check", str(data), "--out", str(out)]) == 0
    err = capsys.readouterr().err
    assert err.count("X holds values far outside") == 1
    assert "in their column (column 'weight': 1)" in err

    def told(table):
        table.to_csv(data, index=False)
        assert main(["predict", str(out / "model.safetensors"), str(data)]) == 0
        err = capsys.readouterr().err.splitlines()
        assert len(err) < 2
        return "".join(err)

    assert told(table) == told(table[:1]) == ""
    grams = told(table.assign(height=1000 * table["height"]))
    assert (
        "1 column on a different scale" in grams
        and "values of column 'height'" in grams
    )
    assert "values far outside" in told(
        table.assign(height=[1e6, *table["height"][1:]])
    )
    assert "(column 'height': 1)" in told(table.assign(height=[1e6] + 59 * [1.0]))


def test_categories_of_digits(tmp_path, capsys):
    """They are the same where the table that is predicted has nothing else there."""
    pytest.importorskip("pandas")
    lines = ["03,1", "7,0", "x,0"] * 15
    table, other = tmp_path / "table.csv", tmp_path / "other.csv"
    table.write_text("\n".join(["code,kind", *lines]))
    other.write_text("code\n03\n7\n\n")
    out = tmp_path / "out"
    assert main(["check", str(table), "--label=kind", "--out", str(out)]) == 0
    capsys.readouterr()
    assert main(["predict", str(out / "model.safetensors"), str(other)]) == 0
    told = [line.split(",")[1] for line in capsys.readouterr().out.split()]
    assert told == ["label", "1", "0"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "nowhere"], "'nowhere' is not valid: the file cannot be opened"),
        (
            ["check", "{photos}", "--encoder=resnet19"],
            "encoder='resnet19' is not valid",
        ),
        (["check", "{photos}", "--encoder=json:gone"], "json:gone cannot be imported"),
        (["check", "{photos}", "--encoder=gone.py:net"], ". Pass gone:net"),
        (["check", "{photos}", "--encoder=builtins:dict"], "returns a dict"),
        (
            ["check", "{photos}", "--encoder=resnet18", "--offline"],
            "needs weights that",
        ),
        (["predict", "nowhere", "x.png"], "nowhere"),
        (["apply", "nowhere", "x.csv"], "'nowhere' is not valid"),
    ],
    ids=["data", "name", "import", "file", "kind", "offline", "model", "labels"],
)
def test_errors_are_one_line(arguments, message, photos, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    arguments = [argument.format(photos=photos) for argument in arguments]
    assert main([*arguments, "--quiet"]) == 2
    out, err = capsys.readouterr()
    assert err.startswith("sknoisy: error: ")
    assert err.count("\n") == 1
    assert message in err
    assert out == ""


def test_help_does_not_wait_for_pytorch():
    code = (
        "import sys\n"
        "from sknoisy.cli import main\n"
        "try: main(['check', '--help'])\n"
        "except SystemExit as stop: assert stop.code == 0\n"
        "assert not {'torch', 'numpy', 'sklearn'} & sys.modules.keys()\n"
    )
    assert "FOLDER_OR_CSV" in run_python(code).stdout


def test_the_module_runs():
    command = [sys.executable, "-m", "sknoisy"]
    done = subprocess.run([*command, "--version"], capture_output=True, text=True)
    assert done.stdout.strip() == sknoisy.__version__
    done = subprocess.run([*command, "chekc"], capture_output=True, text=True)
    assert done.returncode == 2


def reviews(n, seed=0):
    """Texts of twelve words, three of them from the twenty of one of two classes."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    common = [[f"word{i}" for i in row] for row in rng.integers(300, size=(n, 9))]
    own = 20 * y[:, None] + rng.integers(20, size=(n, 3))
    own = [[f"telling{i}" for i in row] for row in own]
    return [" ".join(a + b) for a, b in zip(common, own, strict=True)], y


def test_texts_of_a_table(tmp_path, capsys):
    """A model of words judges them, and predicts other tables."""
    pd = pytest.importorskip("pandas")
    texts, right = reviews(300)
    wrong = np.arange(300) % 10 == 3
    frame = pd.DataFrame({"id": [f"r{i}" for i in range(300)], "review": texts})
    frame["label"] = np.array(["bad", "good"])[np.where(wrong, 1 - right, right)]
    frame.loc[5, "review"] = None
    frame.to_csv(tmp_path / "reviews.csv", index=False)
    out = tmp_path / "out"
    check = ["check", str(tmp_path / "reviews.csv"), "--label=label", "--out", str(out)]
    assert main(check) == 0
    told = "Columns: words of 'review'; ignored, as they only name the rows, 'id'."
    assert told in capsys.readouterr().err
    found = pd.read_csv(out / "samples.csv").sort_values("sample")
    assert detection_average_precision(wrong, found["quality"]) > 0.9
    assert "telling" in (out / "report.html").read_text()

    others, y = reviews(100, seed=1)
    frame = pd.DataFrame({"review": others})
    frame.to_csv(tmp_path / "others.csv", index=False)
    csv = str(tmp_path / "predicted.csv")
    model = str(out / "model.safetensors")
    assert main(["predict", model, str(tmp_path / "others.csv"), "--csv", csv]) == 0
    predicted = pd.read_csv(csv)["label"] == "good"
    assert (predicted == y).mean() > 0.9
    loaded = sknoisy.load(model)
    assert (loaded.predict(frame) == np.where(predicted, "good", "bad")).all()


def test_columns_of_texts():
    pd = pytest.importorskip("pandas")
    texts, y = reviews(200)
    size = np.random.default_rng(0).normal(5, 3, 200)
    frame = pd.DataFrame({"text": texts, "size": size, "kind": np.array(["a", "b"])[y]})
    columns = Columns().fit(frame)
    found = columns.transform(frame)
    assert columns.needed_ == ["size", "kind", "text"]
    assert found.shape == (200, 1 + 2 + 200)
    others, words = found[:, :3].var(axis=0).sum(), found[:, 3:].var(axis=0).sum()
    assert words == pytest.approx(others)  # they count as much as all else
    np.testing.assert_allclose(found[:, :3], Columns().fit_transform(frame.iloc[:, 1:]))
    tfidf = TfidfVectorizer(sublinear_tf=True, min_df=2).fit_transform(texts)
    alike = (tfidf @ tfidf.T).toarray()  # of no fewer vectors than samples
    found = found[:, 3:] @ found[:, 3:].T
    scale = found[0, 0] / alike[0, 0]
    np.testing.assert_allclose(found, scale * alike, atol=0.05 * scale)
    names = [f"a name {i}" for i in range(200)]
    assert Columns().fit(frame.assign(text=names)).ignored_ == ["text"]
    never = [f"one{i} two{i} three{i} four{i} five{i}" for i in range(200)]
    assert Columns().fit(frame.assign(text=never)).ignored_ == ["text"]
    dates = [f"Mon {i % 28 + 1} Jan {2000 + i // 28} at 3:05 pm" for i in range(200)]
    assert Columns().fit(frame.assign(text=dates)).ignored_ == ["text"]
    few = frame.iloc[:40]  # fewer texts than there may be categories
    assert Columns().fit(few).needed_ == ["size", "kind", "text"]
    with pytest.raises(ValueError, match="no column to learn from.*'text'.*embeddings"):
        Columns().fit(frame.assign(text=[f"一二三{i}" for i in range(200)])[["text"]])


def test_a_table_of_texts_alone_has_gaps(tmp_path, capsys):
    texts, y = reviews(120)
    lines = [f'"{text}",{label}' for text, label in zip(texts, y, strict=True)]
    lines[3], lines[50] = f",{y[3]}", f'" ",{y[50]}'
    (tmp_path / "reviews.csv").write_text("\n".join(["review,label", *lines]))
    out = tmp_path / "out"
    check = ["check", str(tmp_path / "reviews.csv"), "--label=label", "--out", str(out)]
    assert main(check) == 0
    (tmp_path / "others.csv").write_text(
        "\n".join(["review", *texts[:3], " ", "", "a"])
    )
    capsys.readouterr()
    model = str(out / "model.safetensors")
    assert main(["predict", model, str(tmp_path / "others.csv")]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + 6


@pytest.mark.parametrize("reviewed_in", ["samples.csv", "report.html"])
def test_a_table_that_was_sorted_after_the_check(tmp_path, capsys, reviewed_in):
    """Its rows are known by their places, so that another one would be changed."""
    pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    lines = [
        f"{rng.normal():.9f},{'long ' * 99}{i},{'' if i % 7 else 3},{'ab'[i % 2]}"
        for i in range(40)
    ]
    head = "size,given,gaps,label"
    path, out = tmp_path / "t.csv", tmp_path / "out"
    path.write_text("\n".join([head, *lines]))
    assert main(["check", str(path), "--out", str(out)]) == 0
    samples = rows(out / "samples.csv")
    if reviewed_in == "report.html":  # whose values are rounded, and shortened
        for row in samples:
            row["size"] = f"{float(row['size']):.4g}"
            row["given (table)"] = row["given (table)"][:30] + " …"
            row["gaps"] = row["gaps"] or "nan"
    first = min(samples, key=lambda row: int(row["sample"]))
    first |= {"decision": "other", "label": "b"}
    reviewed = tmp_path / "reviewed.csv"
    write(reviewed, samples)
    path.write_text("\n".join([head, *lines]).replace(",3,", ",3.0,"))
    assert main(["apply", str(path), str(reviewed)]) == 0
    path.write_text("\n".join([head, lines[2], lines[1], lines[0], *lines[3:]]))
    capsys.readouterr()
    assert main(["apply", str(path), str(reviewed)]) == 2
    message = capsys.readouterr().err
    assert "Row 0 has " in message and "were the rows sorted" in message


def test_a_warning_is_shown_once(capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = _Shown()
        for text in ("of a\nfold", "of a fold", "of all"):
            warnings.warn(text, stacklevel=1)
    assert capsys.readouterr().err == "Warning: of a fold\nWarning: of all\n"
