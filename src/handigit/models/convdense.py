"""One convolution, then dense: the shortest convolutional net of the tutorials; 2,770,634 weights."""

from jaxtyping import Float
from torch import Tensor, nn


class ConvDense(nn.Module):
    """Conv 32 3x3, flatten, dense 128, dense 10; nearly all weights are in the first dense layer."""

    PAPER = "the tutorials' shortest convolutional net"

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32 * 26 * 26, 128), nn.ReLU(), nn.Linear(128, 10)
        )

    def forward(self, glyphs: Float[Tensor, "n 1 28 28"]) -> Float[Tensor, "n 10"]:
        """Logits of the ten digits."""
        logits: Tensor = self.layers(glyphs)
        return logits
