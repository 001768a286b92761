"""Classes that chance alone may have made more frequent than others."""


def evenness(shares):
    """Return how far chance explains that classes are not equally frequent, in [0, 1].

    Parameters
    ----------
    shares : tensor of shape (n, n_classes)
        Weighted labels.

    Returns
    -------
    evenness : tensor of shape ()
        The variance that frequencies of equally probable labels have, over that which
        these have; 1 if that is less.
    """
    counted, n_classes = shares.sum(dim=1), shares.shape[1]
    total = counted.sum()
    # As many labels of equal weight tell as much: Kish's effective sample size.
    n_samples = total.square() / counted.square().sum()
    frequencies = shares.sum(dim=0) / total
    spread = (frequencies - 1 / n_classes).square().sum() / (n_classes - 1)
    return (1 / (n_classes * n_samples * spread)).clamp(max=1)


def evenness_of_means(shares):
    """Return how far the means of classes, which penalties shrink to, are evened.

    Parameters
    ----------
    shares : tensor of shape (n, n_classes)
        Weighted labels.

    Returns
    -------
    evenness : tensor of shape ()
        That of the labels; 0 with two classes, whose single difference does not tell
        how much frequencies vary.
    """
    return evenness(shares) if shares.shape[1] > 2 else shares.new_zeros(())


def balanced(labels, strength):
    """Make classes more equally frequent, as far as `strength`, in [0, 1], has it.

    Parameters
    ----------
    labels : tensor of shape (n, n_classes)
        Probabilities of classes.
    strength : float or tensor of shape ()
        0: they stay as they are; 1: each class is divided by its frequency.
    """
    labels = labels / labels.mean(dim=0) ** strength
    return labels / labels.sum(dim=1, keepdim=True)
