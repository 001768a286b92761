"""What the classifiers of two networks estimate of the noise, in their warm-up.

    python benchmarks/estimates.py --data DIR
    python benchmarks/report.py

Three epochs from scratch, or five of the heads on the frozen encoder that SimCLR
pre-trained, of the protocol `small`.
"""

import argparse
from pathlib import Path

from protocols import PROTOCOLS, load
from rows import add_rows, environment, read_rows

from sknoisy import CoTeaching, CoTrainingClassifier, SSLPretrainer
from sknoisy.noise import add_noise

HERE = Path(__file__).parent
NOISES = [
    "symmetric_exclusive:0.2",
    "symmetric_exclusive:0.5",
    "symmetric_exclusive:0.8",
    "asymmetric_cifar10:0.2",
    "asymmetric_cifar10:0.4",
    "pair_flip:0.4",
    "instance_dependent:0.4",
]


def estimated(inputs, noisy, pretrained, protocol, device):
    """Return the estimates of the noise's rate and concentration."""
    warmup = 5 if pretrained else 3
    clf = CoTrainingClassifier(
        CoTeaching(warmup_epochs=warmup),
        encoder="auto" if pretrained else protocol.encoder,
        freeze_encoder=pretrained,
        views="none",
        max_epochs=warmup + 1,  # estimates are made as the warm-up ends
        device=device,
        random_state=0,
    )
    return clf.fit(inputs, noisy).loss_state_["noise"].tolist()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of CIFAR-10")
    parser.add_argument("--noises", nargs="+", default=NOISES)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--cache", default=str(HERE / ".cache"))
    parser.add_argument("--rows", type=Path, default=HERE / "estimates.jsonl")
    args = parser.parse_args()
    protocol = PROTOCOLS["small"]
    X, y, *_ = load(protocol, args.data)
    ssl = SSLPretrainer(
        "simclr",
        memory=args.cache,
        encoder=protocol.encoder,
        device=args.device,
        random_state=0,
        **protocol.ssl,
    )
    features = ssl.fit_transform(X)
    done = {
        (row["noise"], row["rate"], row["features"]) for row in read_rows(args.rows)
    }
    for noise in args.noises:
        name, _, rate = noise.partition(":")
        noisy = add_noise(y, name, float(rate), X=X, random_state=0)
        for kind, inputs in {"scratch": X, "simclr": features}.items():
            if (name, float(rate), kind) in done:
                continue
            pretrained = kind == "simclr"
            found = estimated(inputs, noisy.y, pretrained, protocol, args.device)
            row = {"noise": name, "rate": float(rate), "features": kind}
            row |= {"realised": noisy.rate, "estimated": round(found[0], 4)}
            row |= {"concentration": round(found[1], 4), **environment(args.device)}
            add_rows(args.rows, row)
            print(noise, kind, row["estimated"], row["concentration"], flush=True)


if __name__ == "__main__":
    main()
