"""The page on which people review labels, and the labels that come back."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.datasets import load_digits, make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import sknoisy
from sknoisy import LabelErrorDetector
from sknoisy.cli import main
from sknoisy.datasets import load_table
from sknoisy.datasets.cells import FORMULA, NUMBER
from sknoisy.noise import pair_flip

NAMES = np.array(
    ["zero", "one", "<two>", 'th"ree', "four", "five,", "6", "7", "8", "9"]
)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture(scope="module")
def digits():
    return load_digits(return_X_y=True)[0][:600] / 16


@pytest.fixture(scope="module")
def noisy():
    return pair_flip(NAMES[load_digits().target[:600]], 0.1, random_state=0)


@pytest.fixture(scope="module")
def detector(digits, noisy):
    clf = LogisticRegression(C=0.3)
    return LabelErrorDetector(clf, random_state=0).fit(digits, noisy.y)


def data_of(page):
    """Return what the page's script works on."""
    text = page.read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text)
    return json.loads(found[1])


def test_cards_are_the_wrong_labels_and_their_suggestions(detector, digits, tmp_path):
    page = tmp_path / "report.html"
    detector.to_html(page, digits.reshape(-1, 8, 8))
    data = data_of(page)
    assert data["classes"] == list(detector.classes_)
    wrong = [card["sample"] for card in data["cards"] if "wrong label" in card["kinds"]]
    assert sorted(wrong) == list(np.flatnonzero(detector.label_errors_))
    for card in data["cards"]:
        i = card["sample"]
        assert detector.classes_[card["suggested"]] == detector.suggested_labels_[i]
        assert card["wrong"] == pytest.approx(detector.error_probability_[i], abs=1e-4)
        assert card["picture"].startswith("data:image/png;base64,")
    probabilities = [card["wrong"] for card in data["cards"][: len(wrong)]]
    assert probabilities == sorted(probabilities, reverse=True)


def test_duplicates_and_outliers_are_shown_by_their_groups(digits, noisy, tmp_path):
    X, y = digits.copy(), noisy.y.copy()
    X[10], X[20] = X[11], X[21]
    X[30] = 1 - X[30]
    y[10], y[11] = "one", "four"
    y[20] = y[21]
    detector = LabelErrorDetector(LogisticRegression(C=0.3), random_state=0).fit(X, y)
    detector.to_html(tmp_path / "report.html", n_shown=600)
    cards = {c["sample"]: c for c in data_of(tmp_path / "report.html")["cards"]}
    for pair, kind in (((10, 11), " with another label"), ((20, 21), "")):
        assert cards[pair[0]]["group"] == cards[pair[1]]["group"] >= 0
        assert all(f"near-duplicate{kind}" in cards[i]["kinds"] for i in pair)
    assert "outlier" in cards[30]["kinds"] and cards[30]["group"] == -1
    detector.to_html(tmp_path / "report.html", n_shown=3)
    kinds = [c["kinds"] for c in data_of(tmp_path / "report.html")["cards"]]
    assert [k[0] for k in kinds[:3]] == ["wrong label"] * 3
    assert len(kinds) <= 3 + 3 * 1 and any("outlier" in k for k in kinds)


def test_the_page_needs_no_network_and_escapes_names(detector, tmp_path):
    page = tmp_path / "report.html"
    detector.to_html(page, title="a & b", unreadable=[("<b>.jpg", "damaged")])
    text = page.read_text(encoding="utf-8")
    assert "<title>a &amp; b</title>" in text
    assert "&lt;b&gt;.jpg" in text and "<b>.jpg" not in text
    assert "<two>" not in text and "&lt;two&gt;" in text
    assert not re.search(r"(src|href)=.?(https?:)?//", text)


def test_files_are_shown_and_linked_from_the_page(tmp_path, noisy, digits):
    paths = []
    for i, (x, name) in enumerate(zip(digits[:60], noisy.y[:60], strict=True)):
        folder = tmp_path / "images" / str(np.flatnonzero(NAMES == name)[0])
        folder.mkdir(parents=True, exist_ok=True)
        paths.append(folder / f"a #{i}.png")
        image = Image.fromarray(np.uint8(255 * x.reshape(8, 8))).resize((80, 40))
        image.save(paths[-1])
    depth = Image.fromarray(np.arange(80 * 40, dtype=np.uint16).reshape(40, 80))
    depth.save(paths[3])
    decode = FunctionTransformer(lambda _: digits[:60])
    fixed = make_pipeline(decode, LogisticRegression())
    detector = LabelErrorDetector(fixed, cv="prefit", max_false_alarms=None)
    fixed.fit(paths, noisy.y[:60])
    detector.fit(paths, noisy.y[:60])
    detector.error_probability_ = np.linspace(0.6, 1, 60)  # so that all are shown
    paths[5].unlink()
    detector.to_html(tmp_path / "report.html")
    cards = {
        card["sample"]: card for card in data_of(tmp_path / "report.html")["cards"]
    }
    assert len(cards) == 60
    assert cards[3]["picture"].startswith("data:image/jpeg")
    assert "picture" not in cards[5] and "FileNotFound" in cards[5]["blank"]
    assert cards[4]["name"] == str(paths[4])
    folder = paths[4].parent.name
    assert cards[4]["link"] == f"images/{folder}/a%20%234.png"


@pytest.mark.parametrize("kind", [list, np.array, pd.Series, pd.DataFrame])
def test_texts_are_shown(kind, detector, tmp_path):
    texts = [f"text {i} <b>& more</b>\n" + "word " * i for i in range(600)]
    detector.to_html(tmp_path / "report.html", kind(texts))
    for card in data_of(tmp_path / "report.html")["cards"]:
        expected = texts[card["sample"]]
        assert card["text"].removesuffix(" …") == expected[:1000]
        assert card["text"].endswith(" …") == (len(expected) > 1000)


def test_a_text_may_be_the_name_of_a_file(detector, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good").touch()
    texts = ["good", *(f"text {i}" for i in range(599))]
    detector.to_html(tmp_path / "report.html", texts)
    assert all("text" in card for card in data_of(tmp_path / "report.html")["cards"])


def test_images_that_are_gone_are_no_texts(detector, tmp_path):
    names = [f"nowhere/{i}.JPG" for i in range(600)]
    detector.to_html(tmp_path / "report.html", names)
    for card in data_of(tmp_path / "report.html")["cards"]:
        assert "text" not in card and "FileNotFound" in card["blank"]


def test_a_browser_shows_texts(browser, detector, tmp_path):
    detector.to_html(tmp_path / "report.html", [f"<b>text {i}</b>" for i in range(600)])
    page = browser.new_page()
    page.goto((tmp_path / "report.html").as_uri())
    first = data_of(tmp_path / "report.html")["cards"][0]["sample"]
    assert page.locator(".card .text").first.inner_text() == f"<b>text {first}</b>"
    page.close()


def test_names_are_taken_by_their_positions(detector, digits, tmp_path):
    """Not by the index of a series, and the page is the same for a list."""
    names = pd.Series([f"sample {i}" for i in range(600)], index=range(599, -1, -1))
    detector.to_html(tmp_path / "a.html", digits, names=names)
    data = data_of(tmp_path / "a.html")["cards"]
    assert all(card["name"] == f"sample {card['sample']}" for card in data)
    detector.to_html(tmp_path / "b.html", digits.tolist(), names=names.tolist())
    assert data_of(tmp_path / "b.html")["cards"] == data
    with pytest.raises(FileNotFoundError, match="there is no folder '.*none'"):
        detector.to_html(tmp_path / "none" / "a.html")


def test_tables_are_shown_by_their_values(detector, digits, tmp_path):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(digits).add_prefix("pixel ")
    detector.to_html(tmp_path / "report.html", frame, n_shown=1)
    card = data_of(tmp_path / "report.html")["cards"][0]
    assert card["values"][2] == ["pixel 2", f"{digits[card['sample'], 2]:.4g}"]
    assert card["values"][-1] == ["…", "52 more"]


@pytest.mark.parametrize("kind", ["of X", "of y", "positions"])
def test_samples_are_called_as_in_the_index(kind, digits, noisy, tmp_path):
    pd = pytest.importorskip("pandas")
    X, y = digits[:200], noisy.y[:200]
    names = pd.Index([f"scan {i}" for i in range(200)])
    if kind == "of X":
        X = pd.DataFrame(X, index=names).add_prefix("pixel ")
    elif kind == "of y":
        y = pd.Series(y, index=names)
    else:
        y = pd.Series(y)
    detector = LabelErrorDetector(LogisticRegression(C=0.3), cv=3, random_state=0)
    detector.fit(X, y).to_html(tmp_path / "report.html")
    prefix = "#" if kind == "positions" else "scan "
    cards = data_of(tmp_path / "report.html")["cards"]
    assert {c["name"] for c in cards} == {f"{prefix}{c['sample']}" for c in cards}
    detector.save(tmp_path / "detector.safetensors")
    allow = [LogisticRegression]
    loaded = sknoisy.load(tmp_path / "detector.safetensors", allow=allow)
    loaded.to_html(tmp_path / "loaded.html")
    card = data_of(tmp_path / "loaded.html")["cards"][0]
    assert card["name"] == f"{prefix}{card['sample']}"


def test_samples_are_shown_in_the_order_of_fit(detector, digits, noisy, tmp_path):
    page = tmp_path / "report.html"
    shown = pd.DataFrame(digits).add_prefix("pixel ")
    named = shown.set_axis([f"scan {i}" for i in range(len(shown))])
    by_name = clone(detector).fit(named, noisy.y)
    message = "index of fit in another order. Pass the samples in their order, or X.res"
    with pytest.raises(ValueError, match=message):
        by_name.to_html(page, named[::-1])
    with pytest.warns(UserWarning, match=message):  # rows may have been put in order
        detector.to_html(page, shown[::-1])
    by_name.to_html(page, named)
    by_name.to_html(page, named[::-1].reset_index(drop=True))
    detector.to_html(page, named)


def test_a_detector_that_found_nothing_has_a_page(digits, tmp_path):
    y = load_digits().target[:600]
    detector = LabelErrorDetector(LogisticRegression(C=0.3), random_state=0)
    detector.fit(digits, y).label_errors_[:] = False
    detector.error_probability_[:] = 0
    detector._inputs = None  # nor are there features
    detector.to_html(tmp_path / "report.html")
    assert "No label looks wrong." in (tmp_path / "report.html").read_text()


def test_a_class_without_a_suggestion_has_an_empty_cell(digits, noisy, tmp_path):
    pytest.importorskip("pandas")
    detector = LabelErrorDetector(LogisticRegression(C=0.3), cv=2, random_state=0)
    detector.fit(digits, noisy.y, trusted=noisy.y == "zero")
    page = tmp_path / "report.html"
    detector.to_html(page, digits)
    row = re.search("<th[^>]*>zero</th>(.*?)</tr>", page.read_text(), re.DOTALL)[1]
    assert row.endswith('<td class="text"></td>')


def test_bad_arguments(detector, tmp_path):
    with pytest.raises(ValueError, match="X has 3 samples, but .* 600"):
        detector.to_html(tmp_path / "a.html", np.zeros((3, 8, 8)))
    with pytest.raises(ValueError, match="names has 1 samples"):
        detector.to_html(tmp_path / "a.html", names=["a"])
    with pytest.raises(ValueError, match="n_shown=-1 is not valid"):
        detector.to_html(tmp_path / "a.html", n_shown=-1)
    assert list(tmp_path.iterdir()) == []


def write(path, *rows):
    lines = ["sample,name,given,suggested,decision,label", *rows]
    path.write_text("\r\n".join(lines), encoding="utf-8")
    return path


def test_review_takes_what_was_decided(detector, noisy, tmp_path):
    given, suggested = noisy.y.tolist(), detector.suggested_labels_.tolist()
    first, second = detector.ranked()[:2]
    quoted = [f'"{x[first].replace(chr(34), chr(34) * 2)}"' for x in (given, suggested)]
    path = write(
        tmp_path / "reviewed.csv",
        f"{first},a,{quoted[0]},{quoted[1]},take,{quoted[1]}",
        f"6.0,b,{given[6]},{given[6]},keep,{given[6]}",  # as pandas may write it
        f"7,c,{given[7]},{given[7]},other,four",
        f"8,d,{given[8]},{given[8]},skip,{given[8]}",
        f"9,e,{given[9]},{given[9]},,",
        f"10,f,{given[10]},{given[10]},,four",
    )
    labels, reviewed = detector.review(path)
    expected = noisy.y.copy()
    expected[first], expected[[7, 10]] = suggested[first], "four"
    np.testing.assert_array_equal(labels, expected)
    assert np.flatnonzero(reviewed).tolist() == sorted([first, 6, 7, 10])
    assert labels.dtype == detector.classes_.dtype


def test_review_needs_no_label_for_what_says_it(detector, noisy, tmp_path):
    first = detector.ranked()[0]
    suggested = str(detector.suggested_labels_[first]).replace('"', '""')
    given = str(noisy.y[first]).replace('"', '""')
    path = write(
        tmp_path / "reviewed.csv",
        f'{first},a,"{given}","{suggested}",take,',
        f"6,b,{noisy.y[6]},,keep,",
    )
    labels, reviewed = detector.review(path)
    assert labels[first] == detector.suggested_labels_[first]
    assert labels[6] == noisy.y[6]
    assert np.flatnonzero(reviewed).tolist() == sorted([first, 6])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("6,a,6,6,other,", "label='' is not valid for the decision 'other'"),
        ("600,a,6,6,keep,6", "line 2: sample='600' is not valid"),
        ("x,a,6,6,keep,6", "sample='x' is not valid"),
        ("6,a,four,6,keep,6", "sample 6 has the label '6', but the file says 'four'"),
        ("6,a,6,6,maybe,6", "decision='maybe' is not valid"),
        ("6,a,6,6,other,ten", "label='ten' is not valid for the decision 'other'"),
        ("6,a,6,6,keep,four", r"it must be one of \['6'\]"),
        ("6", "row 0 .* does not have the 6 fields"),
    ],
)
def test_review_names_the_line_that_is_wrong(detector, tmp_path, row, message):
    with pytest.raises(ValueError, match=message):
        detector.review(write(tmp_path / "reviewed.csv", row))


def test_review_reads_what_spreadsheets_write(detector, noisy, tmp_path):
    """Semicolons, where the comma is that of numbers; formulas are texts there."""
    path = tmp_path / "reviewed.csv"
    header, line = "sample;name;given;decision;label", f"6;'=a;{noisy.y[6]};other;four"
    path.write_text(f"{header}\r\n{line}\r\n", encoding="utf-8-sig")
    labels, reviewed = detector.review(path)
    assert labels[6] == "four" and np.flatnonzero(reviewed).tolist() == [6]


def test_labels_that_look_like_formulas_come_back(tmp_path):
    X, y = make_blobs(40, centers=[[0, 0], [9, 9]], random_state=0)
    y = np.array(["=1+1", "-b"])[y]
    detector = LabelErrorDetector(LogisticRegression(), random_state=0).fit(X, y)
    given, other = y[3], next(name for name in detector.classes_ if name != y[3])
    path = write(tmp_path / "reviewed.csv", f"3,a,'{given},'{other},other,'{other}")
    assert detector.review(path)[0][3] == other


def test_the_page_writes_cells_as_the_command_line_does(detector, tmp_path):
    page = tmp_path / "report.html"
    detector.to_html(page)
    text = page.read_text(encoding="utf-8")
    assert f"const FORMULA = /^{FORMULA.pattern}/;" in text
    assert f"const NUMBER = /^{NUMBER.pattern}$/;" in text


def test_review_wants_its_columns(detector, tmp_path):
    (tmp_path / "labels.csv").write_text("sample,label\n1,2\n")
    with pytest.raises(ValueError, match=r"lacks the columns \['given', 'decision'\]"):
        detector.review(tmp_path / "labels.csv")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"sample,given,decision,label\n1,caf\x81,keep,\n", "not a CSV file in UTF-8"),
        (
            b"sample,given,decision,label\n1," + 2**18 * b"x",
            "not a CSV file: field larg",
        ),
    ],
    ids=["other", "long"],
)
def test_files_that_are_no_tables(detector, tmp_path, content, message):
    (tmp_path / "reviewed.csv").write_bytes(content)
    with pytest.raises(ValueError, match=f"reviewed.csv' is {message}"):
        detector.review(tmp_path / "reviewed.csv")


def test_the_line_that_is_wrong_is_that_of_the_file(detector, tmp_path):
    """Also after a line that names the separator, and cells of several lines."""
    path, header = tmp_path / "reviewed.csv", "sample;name;given;decision;label"
    path.write_text(f'sep=;\n{header}\n6;"a\nb";6;;\n7;c;7;maybe;\n')
    with pytest.raises(ValueError, match="reviewed.csv', line 5: decision='maybe'"):
        detector.review(path)


@pytest.mark.parametrize(
    ("decision", "label", "expected"),
    [
        ("", "", None),
        (" ", " ", None),
        (" Skip", "dog", None),
        ("Keep ", " ", "cat"),
        ("keep", " cat ", "cat"),
        (" take", "", "dog"),
        ("", " dog ", "dog"),
        ("other", "dog ", "dog"),
        ("other", " ", ValueError),
        ("keep", "dog", ValueError),
        ("maybe", "dog", ValueError),
    ],
)
def test_both_readers_of_reviews_have_the_same_rules(
    decision, label, expected, tmp_path
):
    X, y = make_blobs(40, centers=[[0, 0], [9, 9]], random_state=0)
    X, y = np.r_[X, X[y == 1][:1]], np.array(["cat", "dog"])[np.r_[y, 0]]
    detector = LabelErrorDetector(LogisticRegression(), random_state=0).fit(X, y)
    assert detector.suggested_labels_[40] == "dog"
    row = f"40,40, cat,dog ,{decision},{label}"
    path = write(tmp_path / "reviewed.csv", row, "3,3,neither,,skip,", "9,9,,,,")
    labels, merged = tmp_path / "labels.csv", tmp_path / "labels-reviewed.csv"
    labels.write_text("x,label\n" + "".join(f"0,{name}\n" for name in y))
    code = main(["apply", str(labels), str(path)])
    if expected is ValueError:
        assert code == 2
        with pytest.raises(ValueError, match="line 2: .* is not valid"):
            detector.review(path)
        return
    assert code == 0
    changed, reviewed = detector.review(path)
    assert np.flatnonzero(reviewed).tolist() == [40] * (expected is not None)
    assert changed.tolist() == [*y[:40], expected or "cat"]
    assert load_table(merged).y.tolist() == changed.tolist()


def test_classes_that_differ_in_spaces_alone(tmp_path):
    X, y = make_blobs(40, centers=[[0, 0], [9, 9]], random_state=0)
    y = np.array(["cat", "cat "])[y]
    detector = LabelErrorDetector(LogisticRegression(), random_state=0).fit(X, y)
    other = "cat" if y[3] == "cat " else "cat "
    path = write(tmp_path / "reviewed.csv", f"3,a,{y[3]},,other,{other}")
    assert detector.review(path)[0][3] == other


def test_a_sample_is_decided_on_once(detector, tmp_path):
    again = write(tmp_path / "reviewed.csv", *2 * ["6,a,6,6,keep,6"])
    assert detector.review(again)[1].sum() == 1
    twice = "6,a,6,6,keep,6", "6,a,6,6,other,four"
    with pytest.raises(ValueError, match="line 3: sample 6 occurs twice"):
        detector.review(write(tmp_path / "reviewed.csv", *twice))


def test_a_saved_detector_has_its_page(detector, digits, tmp_path):
    detector.save(tmp_path / "detector.safetensors")
    loaded = sknoisy.load(
        tmp_path / "detector.safetensors",
        allow=["sklearn.linear_model._logistic.LogisticRegression"],
    )
    detector.to_html(tmp_path / "a.html", digits)
    loaded.to_html(tmp_path / "b.html", digits)
    assert (tmp_path / "a.html").read_text() == (tmp_path / "b.html").read_text()


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    found = [path for path in map(shutil.which, BROWSERS) if path]
    if not found:
        pytest.skip("needs a browser")
    with api.sync_playwright() as player:
        chrome = player.chromium.launch(executable_path=found[0], args=["--no-sandbox"])
        yield chrome
        chrome.close()


def test_reviewing_in_a_browser(browser, detector, digits, noisy, tmp_path):
    report = tmp_path / "report.html"
    detector.to_html(report, digits.reshape(-1, 8, 8))
    cards = data_of(report)["cards"]
    page = browser.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(error))
    page.goto(report.as_uri())
    assert page.locator(".card").count() == min(len(cards), 60)
    assert page.locator("#export").is_disabled()

    page.locator(".card").nth(0).focus()
    page.keyboard.press("t")  # and the next card has the focus
    page.keyboard.press("k")
    page.keyboard.press("s")
    page.keyboard.press("u")
    page.locator(".card").nth(3).locator("select").select_option(label="four")
    assert page.locator("#progress").inner_text().startswith("3 of")

    page.select_option("#state", "done")
    assert page.locator(".card").count() == 3
    page.select_option("#state", "")
    page.select_option("#given", label="<two>")
    n_two = sum(noisy.y[card["sample"]] == "<two>" for card in cards)
    assert page.locator(".card").count() == n_two > 0
    page.fill("#search", "no such name")
    assert page.locator("#none").is_visible()

    page.reload()  # decisions are kept
    with page.expect_download() as download:
        page.click("#export")
    path = tmp_path / "reviewed.csv"
    download.value.save_as(path)
    labels, reviewed = detector.review(path)
    first, second, _, fourth = (card["sample"] for card in cards[:4])
    expected = noisy.y.copy()
    expected[first], expected[fourth] = detector.suggested_labels_[first], "four"
    np.testing.assert_array_equal(labels, expected)
    assert np.flatnonzero(reviewed).tolist() == sorted([first, second, fourth])
    assert errors == []
    page.close()


@pytest.mark.parametrize("width", [360, 1200])
def test_the_page_fits_its_window(browser, detector, digits, tmp_path, width):
    detector.to_html(tmp_path / "report.html", digits.reshape(-1, 8, 8))
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto((tmp_path / "report.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


def test_labels_after_review_are_better(detector, digits, noisy, tmp_path):
    given = [name.replace('"', '""') for name in noisy.y]
    clean = [name.replace('"', '""') for name in NAMES[load_digits().target[:600]]]
    rows = [
        f'{i},,"{given[i]}",,other,"{clean[i]}"'
        for i in np.flatnonzero(detector.label_errors_)
    ]
    labels, reviewed = detector.review(write(tmp_path / "reviewed.csv", *rows))
    np.testing.assert_array_equal(reviewed, detector.label_errors_)
    right = labels == NAMES[load_digits().target[:600]]
    assert right.mean() > 0.97 > (noisy.y == NAMES[load_digits().target[:600]]).mean()
    clone(detector.estimator).fit(digits, labels)


def test_the_page_has_the_warning_of_the_fit(tmp_path):
    X, y = make_blobs(600, centers=3, cluster_std=4.0, random_state=0)
    detector = LabelErrorDetector(LogisticRegression())
    with pytest.warns(
        UserWarning, match="alone explains the disagreement|to tell"
    ) as found:
        detector.fit(X, y)
    (doubt,) = (str(w.message) for w in found if "may be anything" in str(w.message))
    detector.to_html(tmp_path / "page.html")
    assert doubt[1 : doubt.index(".")] in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    "settings, evidence",
    [
        ({}, "5 folds"),
        ({"cv": 3}, "3 folds"),
        ({"estimator": sknoisy.NoisyRobustClassifier(random_state=0)}, "one training"),
        ({"method": "knn_agreement"}, "labels of the nearest neighbours"),
    ],
)
def test_the_page_says_where_evidence_is_from(
    settings, evidence, digits, noisy, tmp_path
):
    settings = {"estimator": LogisticRegression(C=0.3)} | settings
    detector = LabelErrorDetector(**settings, random_state=0)
    detector.fit(digits[:200], noisy.y[:200]).to_html(tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert f"<dt>Evidence</dt><dd>{evidence}" in re.sub(r">\s+<", "><", text)
    assert "at most 30% of them are expected to be right" in text


@pytest.mark.parametrize("kind", [list, pd.Series, pd.DataFrame])
@pytest.mark.parametrize("gap", [None, np.nan])
def test_texts_that_are_missing_are_empty(kind, gap, detector, tmp_path):
    texts = [gap if i % 3 else f"a text {i}" for i in range(600)]
    detector.to_html(tmp_path / "report.html", kind(texts))
    for card in data_of(tmp_path / "report.html")["cards"]:
        expected = f"a text {card['sample']}" if card["sample"] % 3 == 0 else ""
        assert card["text"] == expected


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_frames_of_other_libraries_are_shown(library, detector, digits, tmp_path):
    frames = pytest.importorskip(library)
    make = frames.DataFrame if library == "polars" else frames.table
    page = tmp_path / "report.html"
    texts = [f"text {i}" if i % 3 else None for i in range(len(digits))]
    detector.to_html(page, make({"text": texts}))
    for card in data_of(page)["cards"]:
        assert card["text"] == (texts[card["sample"]] or "")
    detector.to_html(page, make({"row": range(len(digits)), "text": texts}))
    for card in data_of(page)["cards"]:
        assert card["values"][0] == ["row", str(card["sample"])]
        assert card["values"][1][0] == "text"
