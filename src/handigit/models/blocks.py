"""Layers that several architectures share."""

from jaxtyping import Float
from torch import Tensor, nn


def conv_bn(inputs: int, outputs: int, size: int = 3, *, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """A padded convolution, then batch norm (Ioffe & Szegedy 2015), whose shift replaces a bias."""
    convolution = nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs))


class Residual(nn.Module):
    """Two 3x3 convolutions around which the input passes unchanged (He et al. 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.path = nn.Sequential(conv_bn(channels, channels), nn.ReLU(), conv_bn(channels, channels))
        self.relu = nn.ReLU()

    def forward(self, maps: Float[Tensor, "n channels h w"]) -> Float[Tensor, "n channels h w"]:
        """Feature maps of the same shape."""
        output: Tensor = self.relu(maps + self.path(maps))
        return output
