"""
Photographs in a folder
=======================

From a folder of images to a classifier and a list of labels that are probably wrong.
"""

# %%
# There is a folder for each class, with some images in the wrong one, and a damaged
# file. Digits stand for photographs here. Real photographs would start from published
# weights: ``PretrainedEncoder("resnet50", weights="imagenet")`` in place of the
# pre-training.

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.pipeline import Pipeline

from sknoisy import LabelErrorDetector, NoisyRobustClassifier, SSLPretrainer
from sknoisy.datasets import load_image_folder
from sknoisy.noise import symmetric_exclusive
from sknoisy.plotting import LabelErrorDisplay

folder = Path(tempfile.mkdtemp())
digits = load_digits(n_class=5)
noisy = symmetric_exclusive(digits.target, rate=0.1, random_state=0)
for i, (pixels, label) in enumerate(zip(digits.images, noisy.y, strict=True)):
    path = folder / f"digit {label}" / f"{i:04}.png"
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.uint8(pixels / 16 * 255)).save(path)
(folder / "digit 0" / "damaged.png").write_bytes(b"not an image")

# %%
# Files that cannot be read are left out and listed.

found = load_image_folder(folder, on_error="skip")
print(f"{len(found.X)} images of {found.classes}")
for skipped in found.skipped:
    print("left out:", skipped)

# %%
# The network learns first from the images alone, then from the labels. The detector
# trains the first part once, and cross-validates the second.

pipe = Pipeline(
    [
        ("ssl", SSLPretrainer(image_size=8, max_epochs=10, random_state=0)),
        ("clf", NoisyRobustClassifier("elr", max_epochs=10, random_state=0)),
    ]
)
detector = LabelErrorDetector(pipe, cv=2, random_state=0).fit(found.X, found.y)

is_wrong = np.array([noisy.is_wrong[int(Path(path).stem)] for path in found.X])
called = is_wrong[detector.label_errors_]
print(
    f"{is_wrong.sum()} labels are wrong; {len(called)} are called wrong, "
    f"{called.sum()} of them rightly"
)
LabelErrorDisplay.from_estimator(detector, found.X, found.y, n_images=10, image_size=8)

# %%
# ``detector.to_html("report.html")`` writes a report in which people review these
# labels. The command ``sknoisy check FOLDER`` does all of this in a terminal.
