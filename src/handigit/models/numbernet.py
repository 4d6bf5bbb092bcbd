"""Ours, for numbers: a segmentation-free reader of lines, convolutions throughout; 1,016,726 weights."""

from jaxtyping import Float
from torch import Tensor, nn

from handigit.models.blocks import Residual, conv_bn

CHARACTERS = 18
"""Characters of `handigit.synth.number_texts.ALPHABET`; class 0 is the blank of CTC, so there is one class more."""
COLUMNS_PX = 4
"""Pixels of a line under one column of the last maps."""
FRAMES_A_COLUMN = 2
"""Answers of each column: two thin 1s side by side need a blank between them, and may stand 5 pixels apart."""


class NumberNet(nn.Module):
    """The digit model's trunk with its maps kept as long as the line, folded to one row and read by 1-D convolutions.

    Trained with connectionist temporal classification (Graves et al. 2006), after CRNN (Shi et al. 2017) with its
    recurrent layers replaced by convolutions along the line, which are as good on numbers and several times faster.
    """

    PAPER = "ours; CTC after Graves et al. 2006, CRNN after Shi et al. 2017"

    def __init__(
        self,
        widths: tuple[int, ...] = (16, 32, 64, 128),
        blocks: tuple[int, ...] = (0, 1, 1),
        *,
        deep: int = 2,
        wide: int = 192,
    ) -> None:
        """`widths` and `blocks` as in `DigitNet2`; then `deep` residual blocks of `wide` channels along the line."""
        super().__init__()
        layers: list[nn.Module] = [conv_bn(1, widths[0]), nn.ReLU()]
        for stage, (width, wider, depth) in enumerate(zip(widths, widths[1:], blocks, strict=False)):
            layers += [conv_bn(width, wider, stride=(2, 2) if stage < 2 else (2, 1)), nn.ReLU()]
            layers += [Residual(wider) for _ in range(depth)]
        self.trunk = nn.Sequential(*layers)
        fold = nn.Conv2d(widths[-1], wide, (4, 1), bias=False)
        self.fold = nn.Sequential(fold, nn.BatchNorm2d(wide), nn.ReLU())
        self.along = nn.Sequential(*(Along(wide, dilation=1 + i) for i in range(deep)))
        self.answer = nn.Conv2d(wide, FRAMES_A_COLUMN * (CHARACTERS + 1), 1)

    def forward(self, lines: Float[Tensor, "n 1 32 width"]) -> Float[Tensor, "n frames 19"]:
        """Logits of each frame, two for every four pixels; class 0 is CTC's blank."""
        maps = self.answer(self.along(self.fold(self.trunk(lines))))
        n, _, _, columns = maps.shape
        frames = maps.reshape(n, FRAMES_A_COLUMN, CHARACTERS + 1, columns).permute(0, 3, 1, 2)
        logits: Tensor = frames.reshape(n, columns * FRAMES_A_COLUMN, CHARACTERS + 1)
        return logits


class Along(nn.Module):
    """Two convolutions along the line, around which the input also goes straight on (He et al. 2016)."""

    def __init__(self, channels: int, *, dilation: int) -> None:
        """Each output sees `dilation` columns to either side, twice."""
        super().__init__()
        self.body = nn.Sequential(
            _along(channels, dilation),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            _along(channels, dilation),
            nn.BatchNorm2d(channels),
        )
        self.relu = nn.ReLU()

    def forward(self, maps: Float[Tensor, "n c 1 w"]) -> Float[Tensor, "n c 1 w"]:
        """The refined maps."""
        refined: Tensor = self.relu(maps + self.body(maps))
        return refined


def _along(channels: int, dilation: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, (1, 3), padding=(0, dilation), dilation=(1, dilation), bias=False)


class NumberNet2(NumberNet):
    """`NumberNet` with five residual blocks in its trunk instead of two and four along the line instead of two.

    In eight bits it takes 1.8 times as long for a line, which is less than finding the line takes.
    """

    PAPER = "ours; CTC after Graves et al. 2006, grown after Net2Net (Chen et al. 2016)"

    def __init__(self) -> None:
        super().__init__(blocks=(1, 2, 2), deep=4)

    def grow_from(self, smaller: NumberNet) -> None:
        """Take a smaller network's weights, and answer as it does: each block that it lacks passes its input on.

        The idea is Net2Net's (Chen et al. 2016), the scale of a block's last batch norm at zero (Goyal et al. 2017).
        """
        _grow(self.trunk, smaller.trunk)
        _grow(self.along, smaller.along)
        self.fold.load_state_dict(smaller.fold.state_dict())
        self.answer.load_state_dict(smaller.answer.state_dict())


def _grow(larger: nn.Sequential, smaller: nn.Sequential) -> None:
    """Give each layer its counterpart's weights, in their order; silence the blocks that have none."""
    left = list(smaller)
    for layer in larger:
        if left and _shapes(layer) == _shapes(left[0]):
            layer.load_state_dict(left.pop(0).state_dict())
        else:
            _silence(layer)
    assert not left, f"{len(left)} layers have no place in the larger network"


def _shapes(layer: nn.Module) -> tuple[type, list[tuple[int, ...]]]:
    return type(layer), [tuple(part.shape) for part in layer.state_dict().values()]


def _silence(block: nn.Module) -> None:
    assert isinstance(block, Residual | Along)
    *_, last = (part for part in block.modules() if isinstance(part, nn.BatchNorm2d))
    nn.init.zeros_(last.weight)
