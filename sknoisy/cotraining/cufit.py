"""CUFIT: heads on one encoder, each of which learns what the one before agrees with."""

from sknoisy.cotraining.base import CoTraining
from sknoisy.cotraining.ensembles import given_losses
from sknoisy.losses.expected import weighted_mean


def cascade_loss(logits, target, weights=None, trusted=None):
    """Return CUFIT's loss: each head learns where the one before it gives the label.

    Parameters
    ----------
    logits : tensor of shape (n, n_networks, n_classes)
        Logits of all heads, in the order of the cascade.
    target : tensor of shape (n,), int64, or (n, n_classes)
        Codes of the given labels, or soft labels, whose most probable class counts for
        the agreement.
    weights : tensor of shape (n,), default=None
        Weights of the samples; by default all are 1.
    trusted : tensor of shape (n,), bool, default=None
        Samples that all heads learn.

    Returns
    -------
    loss : tensor of shape ()
        Sum over the heads of the mean over the batch. A sample counts 0 for a head if
        the previous head does not predict its label.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.cotraining.cufit import cascade_loss
    >>> logits = torch.tensor([[[2.0, 0.0], [0.0, 0.0]], [[0.0, 2.0], [0.0, 0.0]]])
    >>> target = torch.tensor([0, 0])
    >>> given = torch.nn.functional.cross_entropy(logits[:, 0], target)
    >>> (cascade_loss(logits, target) - given).item()  # log(2), of one sample in two
    0.3465...
    """
    losses = given_losses(logits, target)
    codes = target.argmax(dim=1) if target.is_floating_point() else target
    agrees = logits.detach().argmax(dim=2) == codes[:, None]
    if trusted is not None:
        agrees = agrees | trusted[:, None]
    total = losses[:, 0] + (losses[:, 1:] * agrees[:, :-1]).sum(dim=1)
    return weighted_mean(total, weights)


class CUFIT(CoTraining):
    """Three heads, each of which learns the labels that the previous one predicts.

    The first head is linear and learns all labels. The second learns the labels that
    the first predicts, and the third those that the second predicts. The third head
    makes the prediction. The method is meant for an encoder that is not trained: an
    array of features, or ``freeze_encoder=True``. It needs no noise rate and no
    threshold, and stores nothing for each sample.

    Parameters
    ----------
    warmup_epochs : int or "auto", default=0
        Epochs of cross-entropy on all samples that come first; the paper has none.

    Notes
    -----
    The paper's second and third heads are adapters inside a vision transformer; here
    they are heads with one hidden, normalised layer, for any encoder. The paper trains
    with Adam at 1e-3 and weight decay 1e-5 for 100 epochs, in batches of 32, and
    divides the rate by 10 after 50, 75 and 90 epochs; here the classifier's parameters
    decide. The classifier's `head` is not used. If the encoder is trained, there are
    three copies of it.

    References
    ----------
    Yu et al., Curriculum Fine-tuning of Vision Foundation Model for Medical Image
    Classification Under Label Noise, NeurIPS 2024.
    """

    n_networks = 3
    soft_labels = True
    heads = ("linear", "mlp", "mlp")
    vector_encoder = "identity"
    predicting = (2,)

    def __init__(self, warmup_epochs=0):
        self.warmup_epochs = warmup_epochs

    def loss(self, net, index, batch):  # noqa: D102
        return cascade_loss(
            net.observed_logits(index, batch),
            net.targets(index),
            weights=net.weights(index),
            trusted=net.trusted(index),
        )
