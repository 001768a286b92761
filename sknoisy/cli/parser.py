"""The arguments of all commands; imports nothing that takes time."""

import argparse

from sknoisy._version import __version__

CHECK = """\
Find the labels that are probably wrong, in a folder with a folder of images for each
class, or in a CSV file of image files and labels, or of features and a label; the
features, such as embeddings, may be in a NumPy file instead.

Writes into a folder: report.html, samples.csv (each sample with its label's quality
and a suggestion), model.safetensors (a classifier for `sknoisy predict`) and, for a
folder of images, labels.csv. People review labels in the report, or in a copy of
samples.csv, where they fill in the columns "decision" (keep, take or other) and
"label"; `sknoisy apply` merges that into a table of labels.
"""
ENCODER = """\
what turns images into features: the name of a torchvision model, or "timm/" and the
name of a timm model, both with published weights; "ssl", a network that first learns
from these images alone; or MODULE:NAME, a function in a Python file of yours that
returns a torch module with weights, or a PretrainedEncoder. By default: resnet18 with
ImageNet weights if they are in PyTorch's cache or can be downloaded, else "ssl".
"""
METHODS = (
    "auto confident_learning self_confidence normalized_margin loss_gmm knn_agreement"
).split()


def make_parser():
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="sknoisy", description="Find wrong labels, and train despite them."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_check(commands)
    _add_predict(commands)
    _add_apply(commands)
    return parser


def _command(commands, name, summary, description=None):
    command = commands.add_parser(
        name,
        help=summary,
        description=description or summary,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument(
        "--quiet", action="store_true", help="print only warnings and errors"
    )
    command.add_argument(
        "--debug", action="store_true", help="show where an error came from"
    )
    return command


def _add_check(commands):
    check = _command(commands, "check", "find labels that are probably wrong", CHECK)
    check.add_argument(
        "data",
        metavar="FOLDER_OR_CSV",
        help="a folder that holds a folder of images for each class, or a CSV file",
    )
    check.add_argument(
        "--out", metavar="DIR", help="folder to write to; default: NAME-check"
    )
    check.add_argument(
        "--fail-under",
        type=_share,
        metavar="SHARE",
        help="exit with status 1 if the estimated share of right labels is below this, "
        "such as 0.95",
    )
    data = check.add_argument_group("data")
    data.add_argument(
        "--label",
        default="auto",
        metavar="COLUMN",
        help="column of a CSV file that holds the labels; default: the one called "
        "label, class, target or y",
    )
    data.add_argument(
        "--file",
        default="auto",
        metavar="COLUMN",
        help="column of a CSV file that names image files; default: the one called "
        "file, path or image; without one, all columns but the labels are features",
    )
    data.add_argument(
        "--features",
        metavar="FILE.npy",
        help="NumPy array with a row of numbers, such as an embedding, for each row of "
        "a CSV file; then these are the only features",
    )
    data.add_argument(
        "--ignore",
        action="append",
        default=[],
        metavar="COLUMN",
        help="column of a CSV file that holds neither features nor image files, such "
        "as a customer number; may be given several times",
    )
    data.add_argument(
        "--root",
        metavar="DIR",
        help="folder of the image files in a CSV file; default: that of the CSV file",
    )
    how = check.add_argument_group("encoder and training")
    how.add_argument("--encoder", default="auto", metavar="ENCODER", help=ENCODER)
    how.add_argument(
        "--weights",
        metavar="FILE",
        help="file of weights for the encoder, instead of the published ones",
    )
    how.add_argument(
        "--image-size",
        type=_integer(4),
        metavar="N",
        help="height and width, in pixels, to which images are resized",
    )
    how.add_argument(
        "--epochs",
        type=_integer(1),
        metavar="N",
        help='epochs of the "ssl" training; default: as many as take some minutes',
    )
    how.add_argument(
        "--max-time",
        type=_seconds,
        metavar="SECONDS",
        help='time limit of the "ssl" training; the result then depends on the machine',
    )
    how.add_argument("--offline", action="store_true", help="download no weights")
    how.add_argument(
        "--method", default="auto", choices=METHODS, help="how labels are judged"
    )
    how.add_argument(
        "--folds",
        type=_integer(2),
        metavar="N",
        help="folds of a cross-validation; default: no folds, but one training whose "
        "predictions leave each sample out; 5 if some files are copies",
    )
    how.add_argument(
        "--max-false-alarms",
        type=_share_below_one,
        default=0.3,
        metavar="SHARE",
        help="largest share of right labels allowed among those called wrong; "
        "default: 0.3",
    )
    how.add_argument("--device", default="auto", help="cpu, cuda, ...; default: auto")
    how.add_argument(
        "--seed",
        type=_integer(0),
        default=0,
        metavar="N",
        help="random seed; default: 0",
    )


def _add_predict(commands):
    predict = _command(commands, "predict", "predict the labels of other samples")
    predict.add_argument(
        "model", metavar="MODEL", help="the model.safetensors that a check wrote"
    )
    predict.add_argument(
        "files",
        nargs="+",
        metavar="FILES",
        help="image files or folders of them, a CSV file of features, or a NumPy file "
        "with an array of features",
    )
    predict.add_argument(
        "--csv", metavar="FILE", help="write the predictions to this CSV file"
    )
    predict.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="NAME",
        help="import path of your own code that the model may load",
    )


def _add_apply(commands):
    apply = _command(commands, "apply", "merge reviewed labels into a table of labels")
    apply.add_argument("labels", metavar="LABELS.csv", help="the table of labels")
    apply.add_argument(
        "reviewed",
        metavar="REVIEWED.csv",
        help="the file that the report exports, or a filled-in samples.csv",
    )
    apply.add_argument(
        "--out", metavar="FILE", help="file to write; default: LABELS-reviewed.csv"
    )
    apply.add_argument(
        "--new-classes",
        action="store_true",
        help="accept labels that no sample had before",
    )
    apply.add_argument(
        "--label",
        default="auto",
        metavar="COLUMN",
        help="column of labels; as for `check`",
    )
    apply.add_argument(
        "--file",
        default="auto",
        metavar="COLUMN",
        help="column of image files; as for `check`",
    )
    apply.add_argument(
        "--ignore",
        action="append",
        default=[],
        metavar="COLUMN",
        help="column that holds no image files, whatever it is called; as for `check`",
    )


def _share(text):
    return _number(text, float, "in [0, 1]", lambda share: 0 <= share <= 1)


def _share_below_one(text):
    return _number(text, float, "in [0, 1)", lambda share: 0 <= share < 1)


def _seconds(text):
    return _number(text, float, "above 0", lambda seconds: seconds > 0)


def _integer(low):
    """Return what reads integers that are not below a limit."""
    return lambda text: _number(text, int, f">= {low}", lambda number: number >= low)


def _number(text, kind, allowed, is_allowed):
    """Return a number; raise what argparse prints if it is none, or is not allowed."""
    try:
        number = kind(text)
    except ValueError:
        number = None
    if number is None or not is_allowed(number):
        name = "an integer" if kind is int else "a number"
        raise argparse.ArgumentTypeError(f"{text!r} is not {name} {allowed}")
    return number
