"""The networks and layers of this package."""

import math

import torch
from torch import nn
from torch.nn import functional as F


class Normalize(nn.Module):
    """Bring features or channels to mean 0 and deviation 1, as the first layer.

    Parameters
    ----------
    spec : InputSpec
        Its moments are subtracted and divided by.
    overall : bool, default=False
        Whether all are divided by one number, the root mean square of the deviations,
        which keeps their sizes relative to each other.
    """

    def __init__(self, spec, overall=False):
        super().__init__()
        shape = (-1, 1, 1) if spec.kind == "image" else (-1,)
        mean, std = (torch.from_numpy(x.copy()) for x in (spec.mean, spec.std))
        if overall:
            std = std.double().square().mean().sqrt().float().expand_as(std).clone()
        self.register_buffer("mean", mean.view(shape))
        self.register_buffer("std", std.view(shape))

    def forward(self, x):  # noqa: D102
        return (x - self.mean) / self.std

    def inverse(self, x):
        """Bring normalised features or channels back to their scale."""
        return x * self.std + self.mean


class Resize(nn.Module):
    """Resize images to another size, the way image files are read.

    The shorter side is resized to fit; of the longer side, the centre is kept.

    Parameters
    ----------
    size : (int, int)
        Height and width to return, in pixels.
    """

    def __init__(self, size):
        super().__init__()
        self.size = tuple(size)

    def forward(self, x):  # noqa: D102
        sides = x.shape[-2:]
        scale = max(new / old for new, old in zip(self.size, sides, strict=True))
        whole = [
            max(new, round(old * scale))
            for new, old in zip(self.size, sides, strict=True)
        ]
        x = F.interpolate(x, size=whole, mode="bilinear", antialias=scale < 1)
        top, left = ((a - b) // 2 for a, b in zip(whole, self.size, strict=True))
        return x[..., top : top + self.size[0], left : left + self.size[1]]

    def extra_repr(self):  # noqa: D102
        return f"size={self.size}"


class MLP(nn.Sequential):
    """Two hidden layers with batch normalisation, for vectors.

    Parameters
    ----------
    shape : (int,)
        Shape of a sample; images are flattened.
    width : int, default=256
        Number of units of each layer, and of features.
    """

    def __init__(self, shape, width=256):
        super().__init__(
            nn.Flatten(),
            nn.Linear(math.prod(shape), width, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(inplace=True),
            nn.Linear(width, width, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(inplace=True),
        )
        self.n_features = width


class FixedStatistics(nn.Sequential):
    """Layers in which batch normalisation keeps the statistics it was trained with.

    A few hundred samples, or a few epochs, would give worse statistics than those of a
    published encoder.
    """

    def train(self, mode=True):
        """Set the mode of all layers but batch normalisation, which only evaluates."""
        super().train(mode)
        for layer in self.modules():
            if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)):
                layer.eval()
        return self


class Identity(nn.Flatten):
    """The samples themselves as features; images are flattened.

    Parameters
    ----------
    shape : tuple of int
        Shape of a sample.
    """

    def __init__(self, shape):
        super().__init__()
        self.n_features = math.prod(shape)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut (He et al., CVPR 2016)."""

    def __init__(self, in_channels, channels, stride):
        super().__init__()
        self.conv1 = conv3x3(in_channels, channels, stride)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = conv3x3(channels, channels)
        self.norm2 = nn.BatchNorm2d(channels)
        self.shortcut = nn.Identity()
        if stride != 1 or in_channels != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride, bias=False),
                nn.BatchNorm2d(channels),
            )

    def forward(self, x):  # noqa: D102
        y = F.relu(self.norm1(self.conv1(x)), inplace=True)
        y = self.norm2(self.conv2(y))
        return F.relu(y + self.shortcut(x), inplace=True)


class PreActBlock(nn.Module):
    """Basic block with pre-activation (He et al., ECCV 2016)."""

    def __init__(self, in_channels, channels, stride):
        super().__init__()
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.conv1 = conv3x3(in_channels, channels, stride)
        self.norm2 = nn.BatchNorm2d(channels)
        self.conv2 = conv3x3(channels, channels)
        self.shortcut = None
        if stride != 1 or in_channels != channels:
            self.shortcut = nn.Conv2d(in_channels, channels, 1, stride, bias=False)

    def forward(self, x):  # noqa: D102
        y = F.relu(self.norm1(x), inplace=True)
        shortcut = x if self.shortcut is None else self.shortcut(y)
        y = self.conv2(F.relu(self.norm2(self.conv1(y)), inplace=True))
        return y + shortcut


class ConvNet(nn.Sequential):
    """A residual network of three stages that trains in minutes on a CPU.

    The stem halves the size of images until they are small: CPUs compute wide layers
    on small maps well.

    Parameters
    ----------
    shape : (int, int, int)
        Channels, height and width of an image.
    width : int, default=48
        Number of channels of the first stage. The second has twice as many; the third
        has four times as many, which is the number of features.
    size : int, default=16
        Largest size, in pixels, of the maps after the stem; smaller is faster.
    """

    def __init__(self, shape, width=48, size=16):
        layers = [conv3x3(shape[0], width), nn.BatchNorm2d(width), nn.ReLU(True)]
        halvings = max(0, math.ceil(math.log2(min(shape[1:]) / size)))
        for i in range(halvings):
            if i == 0:
                layers[0] = conv3x3(shape[0], width, stride=2)
            else:
                layers += [conv3x3(width, width, stride=2), nn.BatchNorm2d(width)]
                layers += [nn.ReLU(True)]
        super().__init__(
            *layers,
            BasicBlock(width, width, 1),
            BasicBlock(width, 2 * width, 2),
            BasicBlock(2 * width, 4 * width, 2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.n_features = 4 * width


class PreActResNet18(nn.Sequential):
    """ResNet-18 with pre-activation and the stem for CIFAR.

    Parameters
    ----------
    shape : (int, int, int)
        Channels, height and width of an image.
    """

    def __init__(self, shape):
        blocks, in_channels = [], 64
        for channels, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
            blocks += [PreActBlock(in_channels, channels, stride)]
            blocks += [PreActBlock(channels, channels, 1)]
            in_channels = channels
        super().__init__(
            conv3x3(shape[0], 64),
            *blocks,
            nn.BatchNorm2d(512),
            nn.ReLU(True),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.n_features = 512


def conv3x3(in_channels, channels, stride=1):
    """Return a 3x3 convolution whose padding keeps the size at stride 1."""
    return nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
