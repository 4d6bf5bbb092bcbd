"""784-512-256-10: the three-layer net of the tutorials; 535,818 weights."""

from jaxtyping import Float
from torch import Tensor, nn


class Dense(nn.Module):
    """Two hidden layers of ReLU and no idea of neighbourhood (after LeCun et al. 1998, section III.C.3)."""

    PAPER = "LeCun et al. 1998, Gradient-based learning applied to document recognition (fully connected nets)"

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10)
        )

    def forward(self, glyphs: Float[Tensor, "n 1 28 28"]) -> Float[Tensor, "n 10"]:
        """Logits of the ten digits."""
        logits: Tensor = self.layers(glyphs)
        return logits
