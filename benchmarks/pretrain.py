"""Pre-train an encoder by SimCLR on all training images of a protocol, and keep it.

    python benchmarks/pretrain.py --data DIR
    python benchmarks/pretrain.py --data DIR --encoder wide
    python benchmarks/pretrain.py --data DIR --start encoder.safetensors

If the file is there, only its linear probe is printed. Otherwise, written are the
fitted SSLPretrainer, its weights rounded to float16, for ``sknoisy.load``, and beside
it a JSON file with settings, time, versions, and the curve of a linear probe: ridge
regression of the classes on standardised features, with the true labels, which nothing
else here sees. The encoder of protocol "cifar10_cpu" is committed: hours on a CPU,
minutes on a GPU.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from protocols import PROTOCOLS, load, small_convnet
from rows import environment
from skorch.callbacks import Callback

import sknoisy
from sknoisy import SSLPretrainer
from sknoisy.encoders.inference import forward_all
from sknoisy.encoders.networks import ConvNet


def wide_convnet(shape):
    """Return a convnet of more channels than the default one."""
    return ConvNet(shape, width=64)


OTHER_ENCODERS = {"narrow": small_convnet, "wide": wide_convnet}
OWN = [f"protocols.{small_convnet.__name__}", f"__main__.{wide_convnet.__name__}"]


class LinearProbe(Callback):
    """Accuracy of a linear probe every few epochs, and the seconds until there."""

    def __init__(self, data, spec, every):
        self.data = data
        self.spec = spec
        self.every = every

    def on_train_begin(self, net, **kwargs):
        self.curve_, self.seconds_ = [], 0.0

    def on_epoch_end(self, net, **kwargs):
        self.seconds_ += net.history[-1]["dur"]
        if len(net.history) % self.every == 0:
            self.probe(net)

    def on_train_end(self, net, **kwargs):
        if len(net.history) % self.every:
            self.probe(net)

    def probe(self, net):
        X, y, X_test, y_test = self.data
        encoder = net.module_["encoder"]
        features, test = (
            forward_all(encoder, self.spec.open(part), net.device)
            for part in (X, X_test)
        )
        accuracy = ridge_probe(features, y, test, y_test)
        self.curve_.append((len(net.history), round(self.seconds_, 1), accuracy))
        print(*self.curve_[-1], flush=True)


def ridge_probe(features, y, test, y_test, penalty=1e-3):
    """Return the accuracy in percent of ridge regression of one-hot classes."""
    mean, std = features.mean(axis=0), features.std(axis=0) + 1e-6
    A, B = ((np.c_[(x - mean) / std, np.ones(len(x))]) for x in (features, test))
    classes, codes = np.unique(y, return_inverse=True)
    gram = A.T @ A + penalty * len(A) * np.eye(A.shape[1])
    weights = np.linalg.solve(gram, A.T @ np.eye(len(classes))[codes])
    predicted = classes[(B @ weights).argmax(axis=1)]
    return round(100 * float((predicted == y_test).mean()), 2)


def portable(ssl):
    """Round the encoder's weights to float16, and leave its device open."""
    ssl.device = ssl.encoder_.device = "auto"
    ssl.encoder_.state = {
        name: array.astype(np.float16) if array.dtype == np.float32 else array
        for name, array in ssl.encoder_.state.items()
    }
    return ssl


def default_file(protocol, encoder):
    """Return the protocol's file, or one beside it for another encoder."""
    file = protocol.pretrained
    return file if encoder is None else file.with_stem(f"{file.stem}_{encoder}")


def probe_of(file, data):
    """Return the accuracy of the linear probe of an encoder in a file."""
    X, y, X_test, y_test = data
    ssl = sknoisy.load(file, allow=OWN)
    features, test = (np.asarray(ssl.transform(part)) for part in (X, X_test))
    return ridge_probe(features, y, test, y_test)


def started_from(file):
    """Return what is known of the training that this one goes on from."""
    if file is None:
        return {}
    about = file.with_suffix(".json")
    return {"start": json.loads(about.read_text()) if about.exists() else file.name}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of the data set")
    parser.add_argument("--protocol", choices=PROTOCOLS, default="cifar10_cpu")
    parser.add_argument("--encoder", choices=OTHER_ENCODERS, help="not the protocol's")
    parser.add_argument("--epochs", type=int, help="default: the protocol's")
    parser.add_argument("--batch-size", type=int, help="default: the protocol's")
    parser.add_argument("--max-time", type=float, help="seconds of training")
    parser.add_argument("--start", type=Path, help="file of this to go on from")
    parser.add_argument("--every", type=int, default=20, help="epochs between probes")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, help="default: the file of the protocol")
    args = parser.parse_args()
    protocol = PROTOCOLS[args.protocol]
    out = args.out or default_file(protocol, args.encoder)
    data = load(protocol, args.data)
    if out.exists():
        print(out, "is there; its linear probe:", probe_of(out, data))
        return
    spec = sknoisy.data.spec.InputSpec.learn(data[0])
    probe = LinearProbe(data, spec, args.every)
    settings = {"max_epochs": 200, "batch_size": 1024} | protocol.ssl
    given = {"max_epochs": args.epochs, "batch_size": args.batch_size}
    settings |= {name: value for name, value in given.items() if value is not None}
    ssl = SSLPretrainer(
        "simclr",
        encoder=OTHER_ENCODERS.get(args.encoder, protocol.encoder),
        max_time=args.max_time,
        device=args.device,
        callbacks=[probe],
        random_state=0,
        verbose=False,
        **settings,
    )
    start = args.start and sknoisy.load(args.start, allow=OWN)
    started = time.perf_counter()
    ssl.fit(start.transform(data[0]) if start else data[0])
    out.parent.mkdir(exist_ok=True)
    portable(ssl).save(out)
    about = {
        "encoder": args.encoder or protocol.encoder,
        "method": "simclr",
        "epochs": len(ssl.history_),
        "batch_size": settings["batch_size"],
        "max_time": args.max_time,
        **started_from(args.start),
        "n_train": len(data[0]),
        "seconds": round(time.perf_counter() - started, 1),
        "curve": "epoch, seconds of training, accuracy of the linear probe",
        "probe": probe.curve_,
        **environment(args.device),
    }
    out.with_suffix(".json").write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main()
