"""A small residual network: full resolution first, then halved twice; 121,274 weights."""

from jaxtyping import Float
from torch import Tensor, nn

from handigit.models.blocks import Residual, conv_bn


class ResNet(nn.Module):
    """Three stages of 16, 32, 64 channels at 28, 14, 7 pixels, each with a residual block; the average at the end."""

    PAPER = "He et al. 2016, Deep residual learning for image recognition"

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            conv_bn(1, 16), nn.ReLU(), Residual(16),
            conv_bn(16, 32, stride=2), nn.ReLU(), Residual(32),
            conv_bn(32, 64, stride=2), nn.ReLU(), Residual(64),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
        )  # fmt: skip

    def forward(self, glyphs: Float[Tensor, "n 1 28 28"]) -> Float[Tensor, "n 10"]:
        """Logits of the ten digits."""
        logits: Tensor = self.layers(glyphs)
        return logits
