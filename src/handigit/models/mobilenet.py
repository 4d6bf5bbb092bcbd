"""Depthwise separable convolutions: few weights and few multiplications; 42,186 weights."""

from jaxtyping import Float
from torch import Tensor, nn

from handigit.models.blocks import conv_bn


def separable(inputs: int, outputs: int, *, stride: int = 1) -> nn.Sequential:
    """A 3x3 convolution within each channel, then 1x1 across them."""
    return nn.Sequential(
        conv_bn(inputs, inputs, stride=stride, groups=inputs), nn.ReLU(), conv_bn(inputs, outputs, 1), nn.ReLU()
    )


class MobileNet(nn.Module):
    """MobileNet's blocks, scaled to 28x28 pixels."""

    PAPER = "Howard et al. 2017, MobileNets: efficient convolutional neural networks"

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            conv_bn(1, 32, stride=2), nn.ReLU(),
            separable(32, 64),
            separable(64, 96, stride=2), separable(96, 96),
            separable(96, 192, stride=2),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(192, 10),
        )  # fmt: skip

    def forward(self, glyphs: Float[Tensor, "n 1 28 28"]) -> Float[Tensor, "n 10"]:
        """Logits of the ten digits."""
        logits: Tensor = self.layers(glyphs)
        return logits
