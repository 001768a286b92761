"""Folders of images, and tables of labels or features."""

import errno
import os

import numpy as np
import pytest
from PIL import Image, ImageOps

from sknoisy.data.pictures import thumbnail
from sknoisy.datasets import load_image_folder, load_table
from sknoisy.datasets.cells import as_text, from_text


def picture(path, mode="RGB", size=(8, 8)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, 1).save(path)
    return path


@pytest.fixture
def folder(tmp_path):
    """Three images of two classes."""
    for name in ("cat/1.png", "dog/1.JPG", "dog/older/2.png"):
        picture(tmp_path / name)
    return tmp_path


def reasons(found):
    return {os.path.basename(path): reason for path, reason in found.skipped}


def test_labels_are_the_class_folders(folder):
    found = load_image_folder(folder)
    assert found.y.tolist() == ["cat", "dog", "dog"]
    assert found.names.tolist() == ["cat/1.png", "dog/1.JPG", "dog/older/2.png"]
    assert found.X.tolist() == [str(folder / name) for name in found.names]
    assert found.classes == ["cat", "dog"]
    assert found.skipped == []


def test_hidden_files_are_passed_over_and_others_listed(folder):
    picture(folder / "cat" / ".thumb.png")
    picture(folder / ".cache" / "1.png")
    picture(folder / "stray.png")
    (folder / "dog" / "notes.txt").write_text("two dogs")
    found = load_image_folder(folder)
    assert len(found.X) == 3
    assert reasons(found) == {
        "notes.txt": "is no image by its name",
        "stray.png": "is in no class folder",
    }


def test_links_that_lead_round_in_a_circle(folder):
    (folder / "dog" / "all").symlink_to(folder, target_is_directory=True)
    (folder / "lynx").symlink_to(folder / "cat", target_is_directory=True)
    found = load_image_folder(folder)
    assert found.y.tolist() == ["cat", "dog", "dog", "lynx"]
    assert reasons(found) == {"all": "is a link to a folder that holds it"}


def spoil(folder, monkeypatch):
    """Add a broken, an empty, a huge and a 16-bit file, and a link to nowhere."""
    content = picture(folder / "cat" / "broken.png", size=(64, 64)).read_bytes()
    (folder / "cat" / "broken.png").write_bytes(content[: len(content) // 2])
    (folder / "cat" / "empty.jpg").touch()
    picture(folder / "dog" / "huge.png", size=(100, 100))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4097)
    picture(folder / "dog" / "deep.png", mode="I;16")
    (folder / "dog" / "gone.png").symlink_to(folder / "nowhere.png")


def test_what_cannot_be_read_is_left_out_and_named(folder, monkeypatch):
    spoil(folder, monkeypatch)
    found = load_image_folder(folder, on_error="skip")
    assert found.names.tolist() == ["cat/1.png", "dog/1.JPG", "dog/older/2.png"]
    listed = reasons(found)
    assert listed.keys() == {
        "broken.png",
        "empty.jpg",
        "huge.png",
        "deep.png",
        "gone.png",
    }
    assert listed["gone.png"] == "does not exist"
    assert listed["broken.png"].startswith("is not an image, or is damaged")
    assert listed["huge.png"].startswith("has too many pixels")
    assert listed["deep.png"].startswith("has more than 8 bits per channel")


@pytest.mark.parametrize(
    "error", [MemoryError(), OSError(errno.EMFILE, "Too many open files")]
)
def test_what_is_not_the_files_fault_ends_the_reading(error, folder, monkeypatch):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(ImageOps, "fit", fail)
    with pytest.raises(type(error)):
        load_image_folder(folder, on_error="skip")


def test_a_link_to_itself_is_left_out(folder):
    (folder / "cat" / "self").symlink_to("self")
    found = load_image_folder(folder)
    assert len(found.y) == 3
    assert reasons(found)["self"].startswith("cannot be opened")


@pytest.mark.parametrize("label", ["auto", "label"])
def test_two_columns_of_labels(tmp_path, label):
    """Otherwise one of them would be a feature, which tells the label."""
    (tmp_path / "table.csv").write_text("x,label,label\n1,a,a\n2,b,b\n")
    with pytest.raises(ValueError, match="2 of its columns are called 'label'"):
        load_table(tmp_path / "table.csv", label=label)


def test_no_program_is_run_that_draws_an_image(folder, tmp_path_factory, monkeypatch):
    """EPS is PostScript, which Pillow has Ghostscript run, whatever the file's name."""
    ghostscript = tmp_path_factory.mktemp("bin") / "gs"
    ran = ghostscript.with_name("ran")
    ghostscript.write_text(f"#!/bin/sh\ntouch {ran}\n")
    ghostscript.chmod(0o755)
    monkeypatch.setenv("PATH", str(ghostscript.parent), prepend=os.pathsep)
    monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", "gs", raising=False)
    program = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n"
    for name, content in (("eps.png", program), ("iptc.png", iptc(program))):
        path = folder / "cat" / name
        path.write_bytes(content)
        with pytest.raises(Exception, match="cannot identify"):
            thumbnail(path, 8)
    listed = reasons(load_image_folder(folder, on_error="skip"))
    assert listed.keys() == {"eps.png", "iptc.png"}
    assert not ran.exists()


def iptc(content):
    """Return an IPTC file with an image of any format in it."""

    def field(record, kind, value):
        return bytes([0x1C, record, kind]) + len(value).to_bytes(2, "big") + value

    return b"".join(
        [
            field(3, 20, b"\0\x09"),  # width
            field(3, 30, b"\0\x09"),  # height
            field(3, 60, b"\1\0"),  # layers, and what they are
            field(3, 120, b"\5"),  # as JPEG
            field(8, 10, content),
        ]
    )


def test_what_cannot_be_read_is_an_error_that_names_it(folder, monkeypatch):
    spoil(folder, monkeypatch)
    with pytest.raises(
        ValueError, match="5 samples cannot be used.*broken.png' is not"
    ):
        load_image_folder(folder)


def test_without_verification_only_missing_files_are_noticed(folder, monkeypatch):
    spoil(folder, monkeypatch)
    found = load_image_folder(folder, on_error="skip", verify=False)
    assert len(found.X) == 7
    assert reasons(found) == {"gone.png": "does not exist"}


def test_folders_that_hold_no_classes(tmp_path):
    with pytest.raises(ValueError, match="there is no such folder"):
        load_image_folder(tmp_path / "gone")
    picture(tmp_path / "1.png")
    with pytest.raises(ValueError, match="no images in class folders.*found .'1.png'"):
        load_image_folder(tmp_path)
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "1.jpg").write_text("no image")
    with pytest.raises(ValueError, match="none of its 1 images can be read"):
        load_image_folder(tmp_path, on_error="skip")


def test_folders_that_are_parts_of_a_data_set(tmp_path):
    for name in ("train/cat/1.png", "train/dog/1.png", "Val/cat/2.png"):
        picture(tmp_path / name)
    with pytest.raises(ValueError, match="are parts of a data set, not classes.*Val'"):
        load_image_folder(tmp_path)
    assert load_image_folder(tmp_path / "train").classes == ["cat", "dog"]
    picture(tmp_path / "test" / "3.png")  # a class of this name
    assert load_image_folder(tmp_path).classes == ["Val", "test", "train"]


def test_on_error_is_checked_before_anything_is_read():
    with pytest.raises(ValueError, match="on_error='warn' is not valid"):
        load_image_folder("nowhere", on_error="warn")
    with pytest.raises(ValueError, match="on_error='warn' is not valid"):
        load_table("nowhere", on_error="warn")


def write(path, text):
    path.write_text(text, encoding="utf-8-sig")
    return path


def test_a_table_of_files(folder):
    table = write(
        folder / "t.csv", "id,File,Label\n7,cat/1.png,cat\n8,dog/1.JPG, a b\n"
    )
    found = load_table(table)
    assert found.X.tolist() == [str(folder / "cat/1.png"), str(folder / "dog/1.JPG")]
    assert found.y.tolist() == ["cat", "a b"]
    assert (found.file, found.label) == ("File", "Label")


def test_files_elsewhere_and_columns_of_other_names(folder, tmp_path_factory):
    text = "wer;was;class\n1.png;Katze;x\n"
    table = write(tmp_path_factory.mktemp("tables") / "t.csv", text)
    found = load_table(table, root=folder / "cat", label="was", file="wer")
    assert found.X.tolist() == [str(folder / "cat" / "1.png")]
    assert found.y.tolist() == ["Katze"]


def test_rows_that_cannot_be_used(folder):
    text = "file,label\ncat/1.png,cat\ncat/gone.png,cat\ndog/1.JPG,\ndog/1.JPG,dog\n"
    table = write(folder / "t.csv", text)
    with pytest.raises(ValueError, match="1 samples.*dog/1.JPG' has no label"):
        load_table(table)
    found = load_table(table, on_error="skip")
    assert found.rows.tolist() == [0, 3]
    assert found.names.tolist() == ["cat/1.png", "dog/1.JPG"]
    assert reasons(found) == {"1.JPG": "has no label", "gone.png": "does not exist"}


def test_rows_without_a_file_name(folder):
    text = "file,label\ncat/1.png,cat\n,cat\ndog/1.JPG,dog\n ,\n"
    table = write(folder / "t.csv", text)
    with pytest.raises(ValueError, match="2 samples.*'row 1' has no file name"):
        load_table(table)
    found = load_table(table, on_error="skip")
    assert found.rows.tolist() == [0, 2]
    assert found.skipped == [
        ("row 1", "has no file name"),
        ("row 3", "has no label"),
    ]


def test_what_is_left_out_has_the_paths_of_its_files(folder):
    text = "file,label\ncat/1.png,cat\ncat/gone.png,cat\ndog/1.JPG,\n"
    found = load_table(write(folder / "t.csv", text), on_error="skip")
    assert [path for path, _ in found.skipped] == [
        str(folder / "dog/1.JPG"),
        str(folder / "cat/gone.png"),
    ]


def test_a_table_of_features(tmp_path):
    pytest.importorskip("pandas")
    text = "height\tcolour\ttarget\n1.5\tred\t0\n\n2\tgreen\t1\n3\tred\t\n"
    found = load_table(write(tmp_path / "t.tsv", text), on_error="skip")
    assert list(found.X.columns) == ["height", "colour"]
    assert found.X["height"].tolist() == [1.5, 2.0]
    assert found.y.tolist() == ["0", "1"]
    assert found.rows.tolist() == [0, 1]
    assert found.file is None
    assert reasons(found) == {"row 2": "has no label"}


def test_decimal_commas_between_semicolons(tmp_path):
    pytest.importorskip("pandas")
    text = 'size;age;shade;y\n1,5;3;"1,2,3";a\n;4;2,5;b\n-2,25;5;1,0;a\n4;6;1,0;b\n'
    X = load_table(write(tmp_path / "t.csv", text)).X
    np.testing.assert_array_equal(X["size"], [1.5, np.nan, -2.25, 4])
    assert X["age"].tolist() == [3, 4, 5, 6]
    assert X["shade"].tolist() == ["1,2,3", "2,5", "1,0", "1,0"]


@pytest.mark.parametrize(
    "sizes, others, expected",
    [
        (["1,5", "-2,250"], ["3", "4"], [1.5, -2.25]),
        (["1,500", "2,250"], ["3", "4"], ["1,500", "2,250"]),  # or thousands
        (["1,500", "2,250"], ["0,5", "4"], [1.5, 2.25]),
        (["1,5", "2,250"], ["0.5", "4"], ["1,5", "2,250"]),
    ],
)
def test_commas_between_tabs_are_decimal_where_they_must_be(
    tmp_path, sizes, others, expected
):
    pytest.importorskip("pandas")
    lines = [f"{a}\t{b}\t{c}" for a, b, c in zip(sizes, others, "xz", strict=True)]
    text = "\n".join(["size\tother\ty", *lines])
    assert load_table(write(tmp_path / "t.tsv", text)).X["size"].tolist() == expected


@pytest.mark.parametrize(
    "text",
    [
        "size|note|y\n1.5|a,b|x\n2.5|c|z\n",
        "sep=;\nsize;note;y\n1,5;a,b;x\n2,5;c;z\n",
        "\ufeffSEP=;\r\nsize;note;y\r\n1,5;a,b;x\r\n2,5;c;z\r\n",
        'sep=,\nsize,note,y\n1.5,"a,b",x\n2.5,c,z\n',
    ],
)
def test_separators_of_other_programs(tmp_path, text):
    (tmp_path / "t.csv").write_bytes(text.encode())
    found = load_table(tmp_path / "t.csv")
    assert found.X.to_dict("list") == {"size": [1.5, 2.5], "note": ["a,b", "c"]}
    assert found.y.tolist() == ["x", "z"]


def test_a_table_in_the_encoding_of_older_spreadsheets(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes("größe;note;y\n1,5;à;é\n2,5;€;z\n".encode("cp1252"))
    with pytest.warns(
        UserWarning, match=r"t.csv' is not a CSV file in UTF-8. .* cp1252"
    ):
        found = load_table(path)
    assert found.X.to_dict("list") == {"größe": [1.5, 2.5], "note": ["à", "€"]}
    assert found.y.tolist() == ["é", "z"]


def test_separators_in_a_quoted_header(tmp_path):
    pytest.importorskip("pandas")
    found = load_table(write(tmp_path / "t.csv", '"a,b,c";"d,e";y\n1;2;x\n3;4;z\n'))
    assert found.X.columns.tolist() == ["a,b,c", "d,e"]
    assert found.y.tolist() == ["x", "z"]


@pytest.mark.parametrize(
    "text, cell",
    [
        ("=1+1", "'=1+1"),
        ("@cat", "'@cat"),
        ("-dash", "'-dash"),
        ("+", "'+"),
        ("\tcat", "'\tcat"),
        ("'=1", "''=1"),
        ("'-1", "''-1"),
        ("-1", "-1"),
        ("+2.5e-3", "+2.5e-3"),
        (-1.5, "-1.5"),
        ("it's", "it's"),
        ("'quoted'", "'quoted'"),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_no_cell_begins_as_a_formula(text, cell):
    assert as_text(text) == cell
    assert from_text(cell) == str(text)


def test_a_column_of_files_that_is_a_feature(tmp_path):
    pytest.importorskip("pandas")
    table = write(tmp_path / "t.csv", "image,y\n3,a\n4,b\n")
    assert load_table(table, file=None).X["image"].tolist() == [3, 4]


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        ("a,b\n1,2\n", {}, "label='auto' is not valid.*columns .'a', 'b'.*--label"),
        ("a,label\n1,2\n", {"label": "b"}, "label='b' is not valid"),
        ("a,label\n1,2\n", {"file": "b"}, "file='b' is not valid"),
        ("a,label\n", {}, "the table has no rows"),
        ("a,label\n1,x\n2\n", {}, "row 1 .* does not have the 2 fields"),
        ("a,label\n1,x,3\n", {}, "row 0 .* does not have the 2 fields"),
        ('a,label\n1,"x\n', {}, "not a CSV file"),
        ("file,label\nx.png,x\n", {"on_error": "skip"}, "no row can be used"),
        ("file,label\nx.png,x\ny.png,y\n", {}, "x.png does not exist.*pass root"),
    ],
)
def test_tables_that_are_not_valid(tmp_path, text, settings, message):
    with pytest.raises(ValueError, match=message):
        load_table(write(tmp_path / "t.csv", text), **settings)


def test_a_table_that_is_not_there(tmp_path):
    with pytest.raises(ValueError, match="cannot be opened"):
        load_table(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_bytes("\ufefffile,label\nx.png,x\n".encode("utf-16-le"))
    with pytest.raises(
        ValueError, match="not a CSV file in UTF-8: .*Export the table as CSV"
    ):
        load_table(tmp_path / "t.csv")


def test_names_are_sorted_also_those_that_differ_in_length(tmp_path):
    for i in (10, 9, 1):
        picture(tmp_path / "a" / f"{i}.png")
    names = load_image_folder(tmp_path).names
    assert names.tolist() == np.sort(names).tolist()


@pytest.mark.parametrize(
    ("begins", "kind"),
    [(b"PAR1\x15", "Parquet"), (b"\x1f\x8b\x08", "gzip"), (b"PK\x03\x04", "Excel")],
)
def test_other_files_are_called_what_they_are(tmp_path, begins, kind):
    path = tmp_path / "labels.csv"
    path.write_bytes(begins + bytes(range(256)))
    with pytest.raises(ValueError, match=f"{kind}.*export the table as CSV"):
        load_table(path)
