"""DigitNet, second generation: a thin first layer at full resolution, then halved three times; 195,066 weights."""

from jaxtyping import Float
from torch import Tensor, nn

from handigit.models.blocks import Residual, conv_bn


class DigitNet2(nn.Module):
    """A 3x3 stem at 28 pixels, then stages that halve the maps and refine them by residual blocks.

    The thin full-resolution layer costs a tenth more than the first generation's 5x5 stem with stride 2, and is more
    accurate. The last maps keep 2x2 or 3x3 positions: the position of a stroke's end distinguishes digits.
    """

    PAPER = "ours; residual blocks after He et al. 2016"

    def __init__(self, widths: tuple[int, ...] = (16, 32, 64, 128), blocks: tuple[int, ...] = (1, 1, 0)) -> None:
        """`widths` are the channels of the stem and of each stage, `blocks` the residual blocks of each stage."""
        super().__init__()
        layers: list[nn.Module] = [conv_bn(1, widths[0]), nn.ReLU()]
        for width, wider, depth in zip(widths, widths[1:], blocks, strict=False):
            layers += [conv_bn(width, wider, stride=2), nn.ReLU(), *(Residual(wider) for _ in range(depth))]
        side = {2: 3, 3: 2}[len(blocks)]  # 28 px halved by each stage and by the pooling
        layers += [nn.MaxPool2d(2), nn.Flatten(), nn.Linear(widths[-1] * side * side, 10)]
        self.layers = nn.Sequential(*layers)

    def forward(self, glyphs: Float[Tensor, "n 1 28 28"]) -> Float[Tensor, "n 10"]:
        """Logits of the ten digits."""
        logits: Tensor = self.layers(glyphs)
        return logits


class DigitNet2Large(DigitNet2):
    """Twice the residual blocks of `DigitNet2`, and one more on the smallest maps; 583,034 weights."""

    def __init__(self) -> None:
        super().__init__(blocks=(2, 2, 1))


class DigitNet2Nano(DigitNet2):
    """Half the widths of `DigitNet2`, and one stage less; 32,066 weights."""

    def __init__(self) -> None:
        super().__init__(widths=(8, 16, 32), blocks=(1, 1))
