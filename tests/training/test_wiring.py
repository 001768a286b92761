"""How formulas are wired into the loop: tests of the formulas would not notice."""

import numpy as np
import pytest
import torch

from sknoisy import (
    CoTrainingClassifier,
    DivideMix,
    ELRPlus,
    Loss,
    NoisyRobustClassifier,
)
from sknoisy.cotraining.elr_plus import averaging_decay
from sknoisy.scores import gmm_clean_probability

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 4)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)


class ByPosition(Loss):
    """A loss that is the sample's position; it moves nothing."""

    def __call__(self, logits, target, index):
        return index.float() + 0 * logits.sum(dim=1)


@pytest.mark.parametrize("batch_size", [7, 16, 50])
def test_the_loss_of_an_epoch_is_the_mean_over_samples(batch_size):
    clf = NoisyRobustClassifier(ByPosition(), max_epochs=2, batch_size=batch_size)
    for row in clf.fit(X, Y).history_:
        assert row["train_loss"] == pytest.approx(24.5, abs=1e-4)


def test_the_rate_changes_with_every_step():
    from skorch.callbacks import Callback

    class Rates(Callback):
        def on_grad_computed(self, net, **kwargs):
            rates.append(net.optimizer_.param_groups[0]["lr"])

    rates = []
    settings = {"max_epochs": 3, "batch_size": 10, "lr": 0.1, "callbacks": [Rates()]}
    NoisyRobustClassifier("ce", **settings).fit(X, Y)
    done = np.arange(15) / 15
    expected = 0.1 * (0.01 + 0.99 * (1 + np.cos(np.pi * done)) / 2)
    np.testing.assert_allclose(rates, expected, rtol=1e-6)


def test_networks_of_dividemix_split_by_the_other_ones_losses(digits):
    images, y = digits

    class Watched(DivideMix):
        def before_epoch(self, net):
            super().before_epoch(net)
            if not self.is_warmup:
                losses = self._losses[-1]
                for k, (labelled, _) in enumerate(self.splits):
                    clean = gmm_clean_probability(losses[:, 1 - k])
                    least = np.sort(clean)[-max(1, len(clean) // 10)]
                    limit = min(self.settings["p_threshold"], least)
                    found = np.sort(labelled.numpy())
                    seen.append(np.array_equal(found, np.flatnonzero(clean >= limit)))
                differ.append(not np.array_equal(*(losses.T > np.median(losses))))

    seen, differ = [], []
    clf = CoTrainingClassifier(
        Watched(loss_history=1, warmup_epochs=2), max_epochs=4, random_state=0
    )
    clf.fit(images.reshape(300, -1), np.where(np.arange(300) % 3, y, (y + 3) % 10))
    assert len(seen) == 4 and all(seen) and any(differ)


def test_the_averages_of_elr_plus_follow_more_slowly_later():
    class Watched(ELRPlus):
        def after_step(self, net, progress):
            before = None
            if not self.is_warmup:
                before = [p.clone() for p in self._averages.parameters()]
            super().after_step(net, progress)
            if before is None:
                return
            decay = averaging_decay(self.decay, progress)
            pairs = zip(
                before,
                self._averages.parameters(),
                net.module_.parameters(),
                strict=True,
            )
            for old, new, weights in pairs:
                torch.testing.assert_close(new, old.lerp(weights.detach(), 1 - decay))
            decays.append(decay)

    decays = []
    method = Watched(decay=0.9, warmup_epochs=1)
    CoTrainingClassifier(method, max_epochs=4, batch_size=10, random_state=0).fit(X, Y)
    assert decays[0] < decays[-1] == 0.9 and decays == sorted(decays)
