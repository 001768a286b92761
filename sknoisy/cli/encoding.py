"""What makes features of samples, and in which order encoders are tried."""

import os
import sys
from importlib import import_module
from urllib.error import URLError
from urllib.request import Request, urlopen

import numpy as np
from torch import nn

from sknoisy.cli.columns import Columns
from sknoisy.cli.messages import say
from sknoisy.data.images import open_image
from sknoisy.data.labels import counted
from sknoisy.estimators.pretrained import PretrainedEncoder
from sknoisy.estimators.pretrainer import SSLPretrainer

DEFAULT = "resnet18"  # of torchvision: the smallest of its usual ones
OF_TRAINING = ["epochs", "max-time"]
TIMEOUT = 5  # seconds in which the server of the weights must answer
PASSES = 30_000  # of images of 32 x 32 pixels through the network: minutes on two cores
EPOCHS = (5, 200)  # least and largest number, whatever these are
SMALL, LARGE = 32, 64  # pixels that images are brought to for a training


def make_encoder(X, args):
    """Return an unfitted transformer of samples, and what it is, in words.

    Parameters
    ----------
    X : ndarray of str or pandas.DataFrame
        Paths of images, or features.
    args : argparse.Namespace
        Arguments of the command.

    Returns
    -------
    encoder : transformer
        It returns lazy features of images, or an array.
    about : str
        For people.
    """
    if not isinstance(X, np.ndarray):
        return Columns(), "none, the features as they are"
    name, why = args.encoder, ""
    if name == "auto" and args.weights is None:
        name, why = _default(args)
    elif name == "auto":
        name = DEFAULT
    if name == "ssl":
        refuse(args, ["weights"], "is not valid with --encoder ssl, which has its own")
        return _trained_here(X, args, why)
    if why:  # nobody chose it, and elsewhere it may be another
        for option in given(args, OF_TRAINING):
            say(args, f"Warning: --{option} changes nothing: it is for --encoder ssl.")
    else:
        refuse(args, OF_TRAINING, f"is for --encoder ssl, and not for {name}")
    if ":" in name:
        return _of_user(name, args)
    if args.offline and args.weights is None:
        if name.startswith("timm/"):
            raise ValueError(
                f"--encoder {name} is not valid with --offline: what timm has in its "
                "cache is not known here. Set HF_HUB_OFFLINE=1 in place of --offline, "
                "or pass --weights"
            )
        if not os.path.exists(_cached(name)):
            raise ValueError(
                f"--encoder {name} needs weights that are not in the cache of PyTorch, "
                f"{_cached(name)}: go online, or pass --weights"
            )
    encoder = PretrainedEncoder(
        name,
        weights=args.weights or "auto",
        image_size=args.image_size or "auto",
        device=args.device,
    )
    if args.weights:
        why = f"weights in {args.weights}"
    encoder._check_parameters()  # before anything is said of its weights
    return encoder, f"{name}, {why or 'with its published weights'}"


def given(args, options):
    """Return those of the options that are given."""
    values = {option: getattr(args, option.replace("-", "_")) for option in options}
    return [option for option in options if values[option] not in (None, "auto", [])]


def refuse(args, options, why):
    """Raise ``ValueError`` if one of the options is given."""
    for option in given(args, options):
        raise ValueError(f"--{option} {why}")


def _default(args):
    """Return the default encoder, and why it is that."""
    path = _cached(DEFAULT)
    if os.path.exists(path):
        return DEFAULT, f"trained on ImageNet, weights in {path}"
    if args.offline:
        return "ssl", "for want of weights, offline"
    url = _url(DEFAULT)
    try:
        urlopen(Request(url, method="HEAD"), timeout=TIMEOUT).close()
    except (URLError, OSError, ValueError):
        return "ssl", "for want of weights, which cannot be downloaded"
    say(args, f"Downloading {url}, once, to {path}.")
    return DEFAULT, f"trained on ImageNet, weights from {url}"


def _url(name):
    import torchvision

    return torchvision.models.get_model_weights(name).DEFAULT.url


def _cached(name):
    """Return where PyTorch keeps the weights of a model of torchvision."""
    import torch

    file = _url(name).rpartition("/")[2]
    return os.path.join(torch.hub.get_dir(), "checkpoints", file)


def _trained_here(paths, args, why):
    """Return a pre-trainer whose training takes minutes."""
    size = args.image_size or _usual_size(paths)
    passes = PASSES * (SMALL / size) ** 2
    epochs = args.epochs or int(np.clip(passes / len(paths), *EPOCHS))
    encoder = SSLPretrainer(
        image_size=size,
        max_epochs=epochs,
        max_time=args.max_time,
        device=args.device,
        random_state=args.seed,
    )
    about = f"SimCLR on these images alone, {counted(epochs, 'epoch')} at {size} pixels"
    return encoder, f"{about}, {why}; --encoder takes better ones" if why else about


def _usual_size(paths):
    """Return the size for a training: of images of usual size, a small one."""
    sides = []
    for path in paths[:: max(1, len(paths) // 100)]:
        with open_image(path) as image:
            sides.append(min(image.size))
    return SMALL if np.median(sides) < 1.5 * SMALL else LARGE


def _of_user(name, args):
    """Return what a function of the user's makes."""
    module, _, function = name.partition(":")
    before = [*sys.path]
    sys.path.append(os.getcwd())
    try:
        made = getattr(import_module(module), function)()
    except (ImportError, AttributeError) as error:
        hint = f". Pass {module[:-3]}:{function}" if module.endswith(".py") else ""
        raise ValueError(
            f"--encoder {name} cannot be imported: {error}{hint}"
        ) from error
    finally:
        sys.path[:] = before
    about = f"{name}, of yours"
    if isinstance(made, PretrainedEncoder):
        why = (
            f"is not valid with {name}, which returns a PretrainedEncoder: set it there"
        )
        refuse(args, ["weights", "image-size"], why)
        return made, about
    if not isinstance(made, nn.Module):
        kind = type(made).__name__
        raise ValueError(f"--encoder {name} returns a {kind}, not a torch module")
    settings = {"weights": args.weights or "auto", "device": args.device}
    size = args.image_size or "auto"
    return PretrainedEncoder(made, image_size=size, **settings), about
