"""NumberNet: a fully convolutional, segmentation-free reader of lines; 1,016,726 weights."""

from jaxtyping import Float
from torch import Tensor, nn

from handigit.models.blocks import Residual, conv_bn

CHARACTERS = 18
"""Length of `handigit.synth.number_texts.ALPHABET`; class 0, CTC's blank, is extra."""
COLUMNS_PX = 4
"""Pixels of a line under one column of the last maps."""
FRAMES_PER_COLUMN = 2
"""Two thin 1s may be 5 pixels apart, and CTC needs a blank between them."""


class NumberNet(nn.Module):
    """The digit model's trunk at the line's full length, folded to one row and read by 1-D convolutions.

    Trained with connectionist temporal classification (Graves et al. 2006), after CRNN (Shi et al. 2017) with its
    recurrent layers replaced by convolutions along the line: as accurate on numbers and several times faster.
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
        self.along = nn.Sequential(*(LineBlock(wide, dilation=1 + i) for i in range(deep)))
        self.answer = nn.Conv2d(wide, FRAMES_PER_COLUMN * (CHARACTERS + 1), 1)

    def forward(self, lines: Float[Tensor, "n 1 32 width"]) -> Float[Tensor, "n frames 19"]:
        """Logits of each frame, two for every four pixels; class 0 is CTC's blank."""
        maps = self.answer(self.along(self.fold(self.trunk(lines))))
        n, _, _, columns = maps.shape
        frames = maps.reshape(n, FRAMES_PER_COLUMN, CHARACTERS + 1, columns).permute(0, 3, 1, 2)
        logits: Tensor = frames.reshape(n, columns * FRAMES_PER_COLUMN, CHARACTERS + 1)
        return logits


class LineBlock(nn.Module):
    """A residual block (He et al. 2016) of two convolutions along the line."""

    def __init__(self, channels: int, *, dilation: int) -> None:
        """Each output sees `dilation` columns to either side, twice."""
        super().__init__()
        self.body = nn.Sequential(
            _line_convolution(channels, dilation),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            _line_convolution(channels, dilation),
            nn.BatchNorm2d(channels),
        )
        self.relu = nn.ReLU()

    def forward(self, maps: Float[Tensor, "n c 1 w"]) -> Float[Tensor, "n c 1 w"]:
        """The refined maps."""
        refined: Tensor = self.relu(maps + self.body(maps))
        return refined


def _line_convolution(channels: int, dilation: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, (1, 3), padding=(0, dilation), dilation=(1, dilation), bias=False)


class NumberNet2(NumberNet):
    """`NumberNet` with five residual blocks in its trunk instead of two and four along the line instead of two.

    Quantised to eight bits it takes 1.8 times as long per line, still less than finding the line.
    """

    PAPER = "ours; CTC after Graves et al. 2006, grown after Net2Net (Chen et al. 2016)"

    def __init__(self) -> None:
        super().__init__(blocks=(1, 2, 2), deep=4)

    def grow_from(self, smaller: NumberNet) -> None:
        """Copy a smaller network's weights so that the outputs are equal: each extra block passes its input through.

        The idea is Net2Net's (Chen et al. 2016), the scale of a block's last batch norm at zero (Goyal et al. 2017).
        """
        _grow(self.trunk, smaller.trunk)
        _grow(self.along, smaller.along)
        self.fold.load_state_dict(smaller.fold.state_dict())
        self.answer.load_state_dict(smaller.answer.state_dict())


def _grow(larger: nn.Sequential, smaller: nn.Sequential) -> None:
    """Copy each layer's weights from its counterpart, in order; silence blocks without one."""
    remaining = list(smaller)
    for layer in larger:
        if remaining and _shapes(layer) == _shapes(remaining[0]):
            layer.load_state_dict(remaining.pop(0).state_dict())
        else:
            _silence(layer)
    assert not remaining, f"{len(remaining)} layers have no place in the larger network"


def _shapes(layer: nn.Module) -> tuple[type, list[tuple[int, ...]]]:
    return type(layer), [tuple(part.shape) for part in layer.state_dict().values()]


def _silence(block: nn.Module) -> None:
    assert isinstance(block, Residual | LineBlock)
    *_, last = (part for part in block.modules() if isinstance(part, nn.BatchNorm2d))
    nn.init.zeros_(last.weight)
