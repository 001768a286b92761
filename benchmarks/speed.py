"""Speed: an epoch of each estimator against the bare network and against peers.

    python benchmarks/speed.py --out speed.json
    python benchmarks/speed.py --device cuda --configs simclr/resnet18
    python benchmarks/speed.py --losses
    python benchmarks/speed.py --networks
    python benchmarks/speed.py --memory
    python benchmarks/speed.py --vectors DIR --out benchmarks/speed_vectors.json
    python benchmarks/speed.py --check

The limit is the same network's forward, backward and step on a random batch that lies
on the device: no data, no views, no loop around it. Everything runs interleaved in one
process, and medians are compared, because machines are noisy: read the ratios.
Peers (lightly, kornia, plain skorch) are measured if they are installed, in the same
precision: all in float32, and again in the default's where that is another. --memory
tells the peak memory of a fit on 50,000 images in memory, as a memmap and as files.
--vectors takes the folder of cifar10_features.npz, and tells how long whole fits take.
--check compares the ratios of this run with those in speed.json; if any is worse, it
names it, and the exit status is 1.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import torch
from accuracy import CLASSIFIERS
from pretrain import OTHER_ENCODERS
from regressions import losses
from torch import nn
from torch.nn import functional as F
from vector_speed import VECTORS, measure_vectors
from waits import WAITS, measure_wait

from sknoisy import NoisyRobustClassifier, SSLPretrainer
from sknoisy.data.devices import (
    generator,
    resolve_device,
    resolve_precision,
    to_channels_last,
)
from sknoisy.data.inputs import is_paths
from sknoisy.data.spec import InputSpec
from sknoisy.encoders.blueprint import Blueprint
from sknoisy.encoders.initialization import build
from sknoisy.encoders.networks import ConvNet
from sknoisy.losses import ELR, LOSSES, CrossEntropy
from sknoisy.selfsup import METHODS
from sknoisy.training.optim import OPTIMIZERS


# name: task, encoder, samples, shape of a sample, batch size
def narrow_convnet(shape):
    """Return a residual net of 16, 32 and 64 channels on maps of full size."""
    return ConvNet(shape, width=16, size=32)


CONFIGS = {
    "simclr/convnet": ("simclr", "convnet", 2048, (32, 32, 3), 256),
    "simclr/convnet16": ("simclr", narrow_convnet, 1024, (32, 32, 3), 256),
    "barlow_twins/convnet": ("barlow_twins", "convnet", 1024, (32, 32, 3), 256),
    "ce/convnet": ("ce", "convnet", 2048, (32, 32, 3), 128),
    "elr/convnet": ("elr", "convnet", 2048, (32, 32, 3), 128),
    "ce/mlp": ("ce", "mlp", 1792, (64,), 128),
    "elr/mlp": ("elr", "mlp", 1792, (64,), 128),
    "simclr/resnet18": ("simclr", "resnet18", 128, (32, 32, 3), 128),
    "ce/resnet18": ("ce", "resnet18", 256, (32, 32, 3), 128),
    "simclr/resnet18/128/files": ("simclr", "resnet18", 64, (128, 128, 3), 16),
    "predict/convnet": ("predict", "convnet", 10_000, (32, 32, 3), 128),
    "simclr/narrow": ("simclr", OTHER_ENCODERS["narrow"], 2048, (32, 32, 3), 256),
    "simclr/wide": ("simclr", OTHER_ENCODERS["wide"], 1024, (32, 32, 3), 256),
}
WITHOUT_PEERS = ("predict/convnet", "simclr/narrow", "simclr/wide")
BASELINE = Path(__file__).with_name("speed.json")
GPU_SAMPLES = 8  # times as many on a GPU, where an epoch would end too soon to time


class Limit:
    """The bare network on a resident random batch."""

    def __init__(self, task, encoder, X, batch_size, device, precision):
        self.task, self.device = task, device
        self.n_steps = max(1, len(X) // batch_size)
        spec = InputSpec.learn(X)
        self.precision = resolve_precision(precision, device, spec.kind)
        blueprint = Blueprint(encoder, spec)
        net = blueprint.build(generator(0))
        x = spec.open(X).fetch(torch.arange(batch_size))
        self.y = torch.arange(batch_size, device=device) % 10
        if task in METHODS:
            self.method = METHODS[task]()
            heads = build(lambda: nn.ModuleDict(self.method.build(net)))
            self.net = nn.ModuleDict({"encoder": net, **heads}).to(device)
            optimizer, lr, decay = "lars", 0.4, 1e-4
        else:
            head = build(nn.Linear, net.n_features, 10)
            self.net = nn.Sequential(net, head).to(device)
            optimizer, lr, decay = "sgd", 0.02, 1e-3
        self.x = to_channels_last(x.to(device))
        self.optimizer = OPTIMIZERS[optimizer](
            self.net.parameters(), lr, weight_decay=decay
        )

    def autocast(self):
        """As the estimators do, and for those peers that run this class's network."""
        enabled = self.precision is not None
        return torch.autocast(self.device.type, self.precision, enabled=enabled)

    def epoch(self):
        self.net.train()
        for _ in range(self.n_steps):
            self.optimizer.zero_grad(set_to_none=True)
            with self.autocast():
                if self.task in METHODS:
                    loss = self.method.loss(self.net, self.x, self.x.clone())
                else:
                    loss = F.cross_entropy(self.net(self.x).float(), self.y)
            loss.backward()
            self.optimizer.step()
        synchronize(self.device)


class BarePrediction(Limit):
    """The bare network in evaluation mode on resident batches."""

    @torch.inference_mode()
    def epoch(self):
        self.net.eval()
        for _ in range(self.n_steps):
            self.net(self.x)
        synchronize(self.device)


class Ours:
    """An epoch through ``fit``, as its history tells."""

    def __init__(self, task, encoder, X, batch_size, device, precision):
        settings = {"encoder": encoder, "batch_size": batch_size, "max_epochs": 1}
        settings |= {"device": str(device), "precision": precision, "random_state": 0}
        self.X, self.y = X, np.arange(len(X)) % 10
        if is_paths(self.X):
            settings["image_size"] = 128
        if task in METHODS:
            self.estimator = SSLPretrainer(task, **settings)
        else:
            loss = {"ce": CrossEntropy, "elr": ELR}.get(task, CrossEntropy)()
            self.estimator = NoisyRobustClassifier(loss, **settings)
        if task == "predict":
            self.estimator.fit(X[:500], self.y[:500])

    def epoch(self):
        return sum(row["dur"] for row in self.estimator.fit(self.X, self.y).history_)


class OurPrediction(Ours):
    """``predict`` as a whole."""

    def epoch(self):
        self.estimator.predict(self.X)


class Lightly(Limit):
    """lightly's way: its views of each sample in a DataLoader, its loss."""

    def __init__(self, *arguments, workers=0):
        super().__init__(*arguments)
        from lightly.loss import BarlowTwinsLoss, NTXentLoss
        from lightly.transforms import SimCLRTransform
        from PIL import Image

        task, _, X, batch_size, *_ = arguments
        transform = SimCLRTransform(input_size=X.shape[1], gaussian_blur=0.0)
        images = [Image.fromarray(image) for image in X]

        class Dataset(torch.utils.data.Dataset):
            def __len__(self):
                return len(images)

            def __getitem__(self, i):
                return transform(images[i])

        self.loader = torch.utils.data.DataLoader(
            Dataset(),
            batch_size,
            shuffle=True,
            drop_last=True,
            num_workers=workers,
            persistent_workers=workers > 0,
        )
        self.loss = {"simclr": NTXentLoss, "barlow_twins": BarlowTwinsLoss}[task]()

    def epoch(self):
        self.net.train()
        total = 0.0
        for views in self.loader:
            with self.autocast():
                a, b = (
                    self.net["projector"](self.net["encoder"](v.to(self.device)))
                    for v in views
                )
                loss = self.loss(a, b)
            total += loss.item()
            loss.backward()
            self.optimizer.step()
            self.optimizer.zero_grad()


class LightlyPlain(Lightly):
    """The same with the memory format that its own examples train in."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.net.to(memory_format=torch.contiguous_format)


class Kornia(Limit):
    """kornia's batched views on the device, in a plain loop."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        import kornia.augmentation as K

        _, _, X, self.batch_size, device, _ = arguments
        size = X.shape[1:3]
        self.views = nn.Sequential(
            K.RandomResizedCrop(size, scale=(0.2, 1.0)),
            K.RandomHorizontalFlip(),
            K.ColorJitter(0.4, 0.4, 0.4, 0.1, p=0.8),
            K.RandomGrayscale(p=0.2),
        )
        self.images = torch.from_numpy(X).permute(0, 3, 1, 2).to(device)

    def epoch(self):
        self.net.train()
        order = torch.randperm(len(self.images), device=self.device)
        for index in order.split(self.batch_size):
            batch = self.images[index].float() / 255
            self.optimizer.zero_grad(set_to_none=True)
            a, b = (to_channels_last(self.views(batch)) for _ in range(2))
            with self.autocast():
                loss = self.method.loss(self.net, a, b)
            loss.backward()
            self.optimizer.step()
        synchronize(self.device)


class Skorch:
    """skorch with torchvision's views of each sample in its DataLoader."""

    def __init__(self, task, encoder, X, batch_size, device, precision):
        from skorch import NeuralNetClassifier
        from torchvision.transforms import v2

        spec = InputSpec.learn(X)
        lower = resolve_precision(precision, device, spec.kind)

        class Net(NeuralNetClassifier):
            def infer(self, x, **fit_params):
                with torch.autocast(device.type, lower, enabled=lower is not None):
                    return super().infer(x, **fit_params)

        net = Blueprint(encoder, spec).build(generator(0))
        module = nn.Sequential(net, build(nn.Linear, net.n_features, 10))
        y = torch.arange(len(X)) % 10
        if X.ndim == 2:
            data = torch.utils.data.TensorDataset(torch.from_numpy(X), y)
        else:
            view = v2.Compose(
                [
                    v2.RandomCrop(X.shape[1], padding=4),
                    v2.RandomHorizontalFlip(),
                    v2.ToDtype(torch.float32, scale=True),
                ]
            )
            images = torch.from_numpy(X).permute(0, 3, 1, 2)

            class Dataset(torch.utils.data.Dataset):
                def __len__(self):
                    return len(images)

                def __getitem__(self, i):
                    return view(images[i]), y[i]

            data = Dataset()
        self.data = data
        self.net = Net(
            module,
            criterion=nn.CrossEntropyLoss,
            classes=list(range(10)),
            train_split=None,
            batch_size=batch_size,
            max_epochs=1,
            lr=0.02,
            device=str(device),
            verbose=0,
        ).initialize()

    def epoch(self):
        self.net.partial_fit(self.data, y=None)


def peers(task, encoder):
    if task in METHODS:
        found = {"lightly": Lightly}
        cores = os.cpu_count()
        found[f"lightly, {cores} workers"] = partial(Lightly, workers=cores)
        if encoder == "convnet":
            found["lightly, not channels_last"] = LightlyPlain
        return found | ({"kornia": Kornia} if task == "simclr" else {})
    return {"skorch": Skorch}


def write_files(X, folder=None):
    """Write images as JPEG files; return their paths."""
    from PIL import Image

    folder = Path(folder or tempfile.mkdtemp(prefix="sknoisy"))
    paths = [str(folder / f"{i}.jpg") for i in range(len(X))]
    for path, image in zip(paths, X, strict=True):
        Image.fromarray(image).save(path)
    return np.array(paths)


def synchronize(device):
    if device.type == "cuda":
        torch.cuda.synchronize()


def measure(name, device, precision, repeats, left_out=()):
    task, encoder, n, shape, batch_size = CONFIGS[name]
    n *= GPU_SAMPLES if device.type == "cuda" else 1
    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, (n, *shape), dtype=np.uint8)
    X = X.astype(np.float32) if len(shape) == 1 else X
    arguments = task, encoder, X, batch_size, device, precision
    ours = arguments
    if name.endswith("/files"):
        ours = task, encoder, write_files(X), *arguments[3:]
    predicting = task == "predict"
    runners = {
        "limit": (BarePrediction if predicting else Limit)(*arguments),
        "sknoisy": (OurPrediction if predicting else Ours)(*ours),
    }
    for peer, make in peers(task, encoder).items():
        if peer in left_out or name in WITHOUT_PEERS:
            continue
        try:
            runners[peer] = make(*arguments)
        except ImportError as error:
            print(f"{peer} is not installed: {error}")
    seconds = {runner: [] for runner in runners}
    for repeat in range(repeats + 1):
        for runner, epoch in runners.items():
            if device.type == "cuda" and runner == "sknoisy":
                torch.cuda.reset_peak_memory_stats()
                others = torch.cuda.memory_allocated()  # what the peers keep there
            started = time.perf_counter()
            reported = epoch.epoch()
            elapsed = time.perf_counter() - started if reported is None else reported
            if repeat:  # the first warms up
                seconds[runner].append(elapsed)
            if device.type == "cuda" and runner == "sknoisy":
                peak = torch.cuda.max_memory_allocated() - others
    # The limit runs whole batches only: compare seconds a sample.
    counts = dict.fromkeys(runners, n)
    counts["limit"] = runners["limit"].n_steps * batch_size
    each = {k: statistics.median(v) / counts[k] for k, v in seconds.items()}
    row = {"config": name, "device": str(device), "precision": precision}
    row["repeats"] = repeats
    row["samples_per_s"] = {k: round(1 / v, 1) for k, v in each.items()}
    row["ratio_to_limit"] = {k: round(v / each["limit"], 3) for k, v in each.items()}
    row["speedup_over"] = {
        k: round(v / each["sknoisy"], 2) for k, v in each.items() if k in runners
    }
    # The ratio of each round, for how much the machine's noise makes of it.
    rounds = [a / b for a, b in zip(seconds["sknoisy"], seconds["limit"], strict=True)]
    row["rounds"] = [round(r * counts["limit"] / n, 3) for r in rounds]
    row["peak_rss_mib"] = peak_mib()
    if device.type == "cuda":
        row["peak_device_mib"] = round(peak / 2**20)  # of the last epoch
    return row


def measure_losses(device, repeats):
    """Return the time of an epoch with each loss, over that with cross-entropy.

    The network is the mlp on 64 features at batch 128: with any other, the loss is a
    smaller part of a step.
    """
    _, encoder, n, shape, batch_size = CONFIGS["ce/mlp"]
    X = np.random.default_rng(0).random((n, *shape), dtype=np.float32)
    y = np.arange(n) % 10
    seconds = {name: [] for name in LOSSES}
    for _ in range(repeats):
        for name in LOSSES:
            clf = NoisyRobustClassifier(
                name,
                encoder=encoder,
                batch_size=batch_size,
                max_epochs=20,  # all stages of losses that have some
                device=str(device),
                random_state=0,
            ).fit(X, y)
            seconds[name] += [row["dur"] for row in clf.history_[1:]]
    return over_ce(seconds)


def measure_networks(device, repeats):
    """Return the time of an epoch of classifiers of several networks, over one's.

    Of the third and fourth epoch, after one of warm-up and the one in which the noise
    is estimated, with all that is around them.
    """
    X = np.random.default_rng(0).integers(0, 256, (2048, 32, 32, 3), dtype=np.uint8)
    y = np.arange(len(X)) % 10
    makers = {"ce": partial(NoisyRobustClassifier, "ce"), **CLASSIFIERS}
    seconds = {name: [] for name in makers}
    for _ in range(repeats):
        for name, make in makers.items():
            times = []
            for epochs in (2, 4):
                clf = make(device=str(device), random_state=0, encoder="convnet")
                clf.set_params(max_epochs=epochs)
                if name != "ce":
                    clf.set_params(method__warmup_epochs=1)
                started = time.perf_counter()
                clf.fit(X, y)
                times.append(time.perf_counter() - started)
            seconds[name].append(times[1] - times[0])
    return over_ce(seconds)


def over_ce(seconds):
    """Return the medians of seconds by name, over that of "ce"."""
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    return {name: round(v / medians["ce"], 2) for name, v in medians.items()}


def measure_memory(kind):
    """Return MiB of memory at the peak of a fit on 50,000 images, and before it."""
    shape = (50_000, 32, 32, 3)
    rng = np.random.default_rng(0)
    settings = {"max_epochs": 1, "device": "cpu", "random_state": 0}
    with tempfile.TemporaryDirectory(prefix="sknoisy") as folder:
        file = Path(folder) / "X.npy"
        X = np.lib.format.open_memmap(file, "w+", dtype=np.uint8, shape=shape)
        for start in range(0, len(X), 1000):
            X[start : start + 1000] = rng.integers(0, 256, (1000, *shape[1:]), np.uint8)
        if kind == "files":
            X = write_files(X, folder)
            settings["image_size"] = 32
        elif kind == "array":
            X = np.array(X)
        y = np.arange(len(X)) % 10
        small = X[:2000]
        NoisyRobustClassifier("ce", **settings).fit(small, y[:2000])
        before = peak_mib()
        NoisyRobustClassifier("ce", **settings).fit(X, y)
    return {"kind": kind, "before_mib": before, "peak_mib": peak_mib()}


def peak_mib():
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def bare_convnet(X, device):
    """Return the limit of training the default network of images on X."""
    return Limit("ce", "convnet", X, 128, device, "auto")


def distinct(precisions, name, device):
    """Return what the precisions are for a configuration, each once."""
    task, _, _, shape, _ = CONFIGS[name]
    if task == "predict":  # which is in float32
        return ["float32"]
    kind = "vector" if len(shape) == 1 else "image"
    dtypes = [resolve_precision(precision, device, kind) for precision in precisions]
    return dict.fromkeys("bfloat16" if dtype else "float32" for dtype in dtypes)


def show(row):
    """Print a row."""
    name, ratios = row["config"], row["ratio_to_limit"]
    name += f" in {row['precision']}" if "precision" in row else ""
    print(f"{name}: {ratios['sknoisy']:.2f} of the limit's time")
    unit = "seconds" if "seconds" in row else "samples/s"
    for runner, value in row[
        "seconds" if "seconds" in row else "samples_per_s"
    ].items():
        print(f"  {runner:20}{value:10.1f} {unit}{ratios[runner]:8.2f}")


def write(rows, device, path):
    """Write rows, and the versions that they are of, into a file."""
    versions = {"torch": torch.__version__, "python": platform.python_version()}
    if device.type == "cuda":
        versions["gpu"] = torch.cuda.get_device_name(device)
    path.write_text(json.dumps({"versions": versions, "rows": rows}, indent=1))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--configs", nargs="+", default=[*CONFIGS, *WAITS], metavar="NAME"
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument(
        "--precisions",
        nargs="+",
        default=["float32", "auto"],
        choices=["auto", "float32", "bfloat16"],
        help="of all that is compared; those that are the same are measured once",
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--without", nargs="+", default=[], metavar="PEER")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--check", nargs="?", const=BASELINE, type=Path)
    parser.add_argument("--losses", action="store_true", help="cost of each loss")
    parser.add_argument("--networks", action="store_true", help="cost of several")
    parser.add_argument("--memory", nargs="?", const="all", metavar="KIND")
    parser.add_argument("--vectors", metavar="DIR", help="folder of features")
    parser.add_argument("--classifiers", nargs="+", default=VECTORS, choices=VECTORS)
    args = parser.parse_args()
    if args.memory == "all":  # each in a process of its own: peaks do not go down
        for kind in ("array", "memmap", "files"):
            subprocess.run([sys.executable, __file__, "--memory", kind], check=True)
        return
    if args.memory:
        print(json.dumps(measure_memory(args.memory)))
        return
    warnings.simplefilter("ignore")
    if args.vectors:
        measure_vectors(args.vectors, args.repeats, args.classifiers, args.out)
        return
    device = resolve_device(args.device)
    if args.losses or args.networks:
        measure_them = measure_losses if args.losses else measure_networks
        print(json.dumps(measure_them(device, args.repeats), indent=1))
        return
    baseline = json.loads(args.check.read_text())["rows"] if args.check else None
    rows = []
    for name in args.configs:
        if name in WAITS:
            bare = partial(bare_convnet, device=device)
            found = [measure_wait(name, device, args.repeats, bare)]
        else:
            found = [
                measure(name, device, precision, args.repeats, args.without)
                for precision in distinct(args.precisions, name, device)
            ]
        for row in found:
            show(row)
        rows += found
        if args.out:  # what a run that is stopped has measured is there
            write(rows, device, args.out)
    if baseline is not None:
        sys.exit("\n".join(losses(rows, baseline)) or None)


if __name__ == "__main__":
    main()
