"""Our network: a small (2+1)D video CNN, convolutions within frames and convolutions over time.

Of the family of R(2+1)D (Tran et al., 2018): every block convolves within frames, then over time,
with a residual path around the latter. No normalisation layers, every rectifier used once and not
in place: DeepLift is complete on it (Shrikumar et al., 2017).

What the head reads are means over time. The mean absolute change beside them, tried on practice
cohort 500 with the first checkpoint (448 people), raised r from .65 to .68, but to .70 with random
weights: how much moves is read from any convolutions. So it is left out, and what pre-training is
worth can be seen.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

GAIN = 4.0  # small changes are brought to the scale of the picture


class Stem(nn.Module):
    """The first convolution, of clips beside their change: six channels, *frame minus mean* last.

    A change is linear in its clip. So one convolution of the clip and one of its mean frame give
    what a convolution of six channels would, in half the time.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolve = nn.Conv3d(6, width, (1, 5, 5), stride=(1, 2, 2), padding=(0, 2, 2))

    def forward(self, clips: Tensor) -> Tensor:
        """(N, 3, T, H, W) to (N, C, T, H / 2, W / 2)."""
        still, change = self.convolve.weight.split(3, dim=1)
        convolve = partial(functional.conv3d, stride=(1, 2, 2), padding=(0, 2, 2))
        if clips.shape[2] == 1:  # a picture: nothing changes
            return convolve(clips, still, self.convolve.bias)
        mean = convolve(clips.mean(dim=2, keepdim=True), GAIN * change)
        return convolve(clips, still + GAIN * change, self.convolve.bias) - mean


class AlongFrames(nn.Conv3d):
    """A convolution over time alone, as one of pictures (T, H W): half the time on one thread."""

    def forward(self, values: Tensor) -> Tensor:
        """(N, C, T, H, W) to (N, C', T', H, W)."""
        flat = functional.conv2d(values.flatten(3), self.weight[..., 0], self.bias)
        return flat.unflatten(3, values.shape[3:])


class OverTime(nn.Module):
    """A convolution over three frames; edges repeat the first and last frame.

    A jump to zero would look like a movement. So a clip of one frame gives what that frame gives
    in a clip that stands still.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolve = AlongFrames(width, width, (3, 1, 1))

    def forward(self, values: Tensor) -> Tensor:
        """(N, C, T, H, W) to the same shape."""
        edges = values[:, :, :1], values[:, :, -1:]
        return self.convolve(torch.cat([edges[0], values, edges[1]], dim=2))


class Block(nn.Module):
    """Half the side within frames, then over time with a way past it."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.within = nn.Conv3d(n_in, n_out, (1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1))
        self.rectify = nn.ReLU()
        self.over_time = OverTime(n_out)
        self.rectify_again = nn.ReLU()

    def forward(self, values: Tensor) -> Tensor:
        """(N, C, T, H, W) to (N, C', T, H / 2, W / 2)."""
        seen = self.rectify(self.within(values))
        return self.rectify_again(seen + self.over_time(seen))


class Grid(nn.Module):
    """Mean over the cells of a 4 x 4 grid, of pictures of any size."""

    def forward(self, values: Tensor) -> Tensor:
        """(N, C, T, H, W) to (N, C, T, 4, 4)."""
        if values.shape[-2:] == (4, 4):
            return values
        return functional.adaptive_avg_pool3d(values, (values.shape[2], 4, 4))


class TimeBlock(nn.Module):
    """A dilated convolution over five frames with a way past it, on embeddings (N, E, T)."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        edges = {"padding": "same", "padding_mode": "replicate"}
        self.convolve = nn.Conv1d(width, width, 5, dilation=dilation, **edges)
        self.rectify = nn.ReLU()
        self.mix = nn.Conv1d(width, width, 1)

    def forward(self, values: Tensor) -> Tensor:
        """(N, E, T) to (N, E, T)."""
        return values + self.mix(self.rectify(self.convolve(values)))


class Whiten(nn.Module):
    """Features measured against what is no movement: within-class covariance normalisation.

    Another face, room or headset changes the features, too. Twins who move alike show how
    (`pretraining.whiten`), and along these directions the features are shrunk, as in the
    recognition of speakers (Hatch, Kajarekar and Stolcke, 2006). Without it nothing is changed.
    """

    weight: Tensor

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.eye(n_features))

    def forward(self, values: Tensor) -> Tensor:
        """(N, D) to (N, D)."""
        return values @ self.weight


class _Stage(nn.Module):
    """Layers on clips or, `alone`, on every frame as a clip of its own: an image network."""

    def __init__(self, layers: nn.Module, *, alone: bool) -> None:
        super().__init__()
        self.layers, self.alone = _begin(layers), alone

    def forward(self, values: Tensor) -> Tensor:
        """(N, C, T, ...) to (N, E, T)."""
        if not self.alone:
            return self.layers(values).flatten(2)
        count, frames = values.shape[0], values.shape[2]
        apart = values.transpose(1, 2).flatten(0, 1).unsqueeze(2)
        return self.layers(apart).reshape(count, frames, -1).transpose(1, 2)


def _begin(layers: nn.Module) -> nn.Module:
    """Initial weights that keep the signal's scale through many rectifiers (He et al., 2015).

    What a way leads past starts small.
    """
    for name, module in layers.named_modules():
        if isinstance(module, nn.Conv1d | nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.zeros_(module.bias)
            if name.endswith(("over_time.convolve", "mix")):
                module.weight.data.mul_(0.3)
    return layers


WIDTHS = (24, 48, 64, 96)
N_EMBEDDING, N_FEATURES = 192, 256
DILATIONS = (1, 2, 4)  # of the last block: together about three seconds at 12.5 frames/s


def trunk(*, alone: bool = False) -> nn.Module:
    """Normalised clips (N, 3, T, H, W) to one embedding per frame (N, E, T).

    The place on the face is kept until the last convolution, which covers what is left of the
    picture: crops show the face at about the same place.
    """
    blocks = [Block(a, b) for a, b in pairwise(WIDTHS)]
    whole = nn.Conv3d(WIDTHS[-1], N_EMBEDDING, (1, 4, 4))
    layers = nn.Sequential(Stem(WIDTHS[0]), nn.ReLU(), *blocks, Grid(), whole, nn.ReLU())
    return _Stage(layers, alone=alone)


def last_block(*, alone: bool = False) -> nn.Module:
    """Embeddings (N, E, T) to features (N, D, T): what a frame and its neighbours show."""
    blocks = [TimeBlock(N_EMBEDDING, dilation) for dilation in DILATIONS]
    widen = nn.Conv1d(N_EMBEDDING, N_FEATURES, 1)
    return _Stage(nn.Sequential(*blocks, widen, nn.ReLU()), alone=alone)
