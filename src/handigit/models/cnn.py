"""Two convolutions, max-pooling, dropout, dense: the CNN of the tutorials; 421,642 weights."""

from jaxtyping import Float
from torch import Tensor, nn


class Cnn(nn.Module):
    """Conv 32 and 64 of 3x3, each with max-pooling, then dense 128 between two dropouts (Srivastava et al. 2014)."""

    PAPER = "the tutorials' CNN; dropout: Srivastava et al. 2014"

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Dropout(0.25), nn.Linear(64 * 7 * 7, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10),
        )  # fmt: skip

    def forward(self, glyphs: Float[Tensor, "n 1 28 28"]) -> Float[Tensor, "n 10"]:
        """Logits of the ten digits."""
        logits: Tensor = self.layers(glyphs)
        return logits
