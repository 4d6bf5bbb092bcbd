"""LeNet-5 in its usual modern form: ReLU, max-pooling, a plain output layer; 61,706 weights."""

from jaxtyping import Float
from torch import Tensor, nn


class LeNet5(nn.Module):
    """6 and 16 convolutions of 5x5, dense 120, 84, 10 (LeCun et al. 1998).

    Of the paper's parts, the partial connection table, the trained sub-sampling and the RBF output are left out.
    """

    PAPER = "LeCun et al. 1998, Gradient-based learning applied to document recognition (LeNet-5)"

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
        )  # fmt: skip

    def forward(self, glyphs: Float[Tensor, "n 1 28 28"]) -> Float[Tensor, "n 10"]:
        """Logits of the ten digits."""
        logits: Tensor = self.layers(glyphs)
        return logits
