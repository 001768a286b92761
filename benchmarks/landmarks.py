"""Accuracy and time of the default on vectors, over its number of landmarks.

    python benchmarks/landmarks.py --data DIR [--sets embeddings features ...]

prints a row for each training of docs/benchmarks/embeddings.md, "How many landmarks".
Only the landmarks differ: labels and the samples that are tested are the same.
"""

import argparse
import time

import numpy as np
import protocols
from sklearn.model_selection import train_test_split
from trusted import data as mixed
from vector_data import cifar10_features, diamonds

import sknoisy
from sknoisy import NoisyRobustClassifier
from sknoisy.noise import add_noise


def embeddings(folder, n_samples=20_000):
    X, y, X_test, y_test = cifar10_features(folder)
    return X[:n_samples], y[:n_samples], X_test, y_test


def features(folder):
    """Return what the committed SimCLR encoder makes of CIFAR-10."""
    protocol = protocols.PROTOCOLS["cifar10_cpu"]
    X, y, X_test, y_test = protocols.load(protocol, folder)
    ssl = sknoisy.load(protocol.pretrained)
    return np.asarray(ssl.transform(X)), y, np.asarray(ssl.transform(X_test)), y_test


def of_diamonds(target, folder):
    X, y = diamonds(target, folder)
    X, X_test, y, y_test = train_test_split(X, y, test_size=10_000, random_state=0)
    return X, y, X_test, y_test


SETS = {
    "embeddings_5000": lambda folder: embeddings(folder, 5_000),
    "embeddings_10000": lambda folder: embeddings(folder, 10_000),
    "embeddings": embeddings,
    "features": features,
    "diamonds_cut": lambda folder: of_diamonds("cut", folder),
    "diamonds_color": lambda folder: of_diamonds("color", folder),
    "mixed": lambda folder: mixed("large", folder),
}
TRAININGS = [  # set, noise, its rate, landmarks
    ("embeddings_5000", "symmetric_exclusive", 0.4, (1060, 2000)),
    ("embeddings_10000", "symmetric_exclusive", 0.4, (1500, 2800)),
    ("embeddings_10000", None, 0, (1500, 2800)),
    ("embeddings", "symmetric_exclusive", 0.4, (2000, 4000)),
    ("features", None, 0, (2000, 3400)),
    ("features", "instance_dependent", 0.4, (2000, 3400)),
    ("diamonds_cut", "symmetric_exclusive", 0.3, (2000, 3400)),
    ("diamonds_color", None, 0, (2000, 3400)),
    ("mixed", "symmetric_exclusive", 0.6, (670, 1766, 2000)),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder of CIFAR-10's files")
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    args = parser.parse_args()
    for name in args.sets:
        X, y, X_test, y_test = SETS[name](args.data)
        X, X_test = X.astype(np.float32), X_test.astype(np.float32)
        for of, noise, rate, landmarks in TRAININGS:
            if of != name:
                continue
            noisy = add_noise(y, noise, rate, X=X, random_state=0).y if noise else y
            for n_landmarks in landmarks:
                clf = NoisyRobustClassifier(random_state=0)
                clf.set_params(loss__n_landmarks=n_landmarks)
                started = time.process_time()
                score = clf.fit(X, noisy).score(X_test, y_test)
                seconds = time.process_time() - started
                row = name, len(X), noise, rate, n_landmarks, f"{100 * score:.1f}"
                print(*row, f"{seconds:.0f} CPU s", flush=True)


if __name__ == "__main__":
    main()
