"""StripNet: a fully convolutional, segmentation-free reader of strips; 1,850,140 weights."""

from typing import Final

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from handigit.models.blocks import Residual, conv_bn

CHARACTERS: Final = 19
"""Characters of `handigit.synth.number_texts.ALPHABET`; class 0 is the CTC blank."""
_ROWS: Final = 32
"""Height at which a strip is seen: a digit that fills most of a crop is then as large as in MNIST."""
_FRAMES_PER_COLUMN: Final = 2
"""Frames for every four columns of the smaller strip: two thin 1s may be 5 pixels apart, and CTC needs a blank
between them."""


class StripNet(nn.Module):
    """Grey strips in, one row of logits per 3 columns out; class 0 is the CTC blank. Pixels are in -1..1, paper bright.

    A residual trunk at the strip's full length, folded to one row and read by dilated 1-D convolutions. Trained with
    connectionist temporal classification (Graves et al. 2006), after CRNN (Shi et al. 2017) with its recurrent layers
    replaced by convolutions along the line: as accurate on numbers and several times faster.
    """

    PAPER = "ours; CTC after Graves et al. 2006, CRNN after Shi et al. 2017"

    def __init__(
        self,
        widths: tuple[int, ...] = (16, 32, 64, 128),
        blocks: tuple[int, ...] = (1, 2, 2),
        *,
        deep: int = 4,
        wide: int = 192,
    ) -> None:
        """`widths` and `blocks` as in `DigitNet2`; then `deep` residual blocks of `wide` channels along the line."""
        super().__init__()
        layers: list[nn.Module] = [conv_bn(1, widths[0]), nn.ReLU()]
        for stage, (width, wider, depth) in enumerate(zip(widths, widths[1:], blocks, strict=False)):
            layers += [conv_bn(width, wider, stride=(2, 2) if stage < 2 else (2, 1)), nn.ReLU()]
            layers += [Residual(wider) for _ in range(depth)]
        self.trunk = nn.Sequential(*layers)
        fold = nn.Conv2d(widths[-1], wide, (_ROWS // 8, 1), bias=False)
        self.fold = nn.Sequential(fold, nn.BatchNorm2d(wide), nn.ReLU())
        self.along = nn.Sequential(*(LineBlock(wide, dilation=1 + i) for i in range(deep)))
        self.answer = nn.Conv2d(wide, _FRAMES_PER_COLUMN * (CHARACTERS + 1), 1)

    def forward(self, strips: Float[Tensor, "n 1 48 width"]) -> Float[Tensor, "n frames 20"]:
        """Logits of the blank and of each character, per frame."""
        ink = (1 - strips) / 2
        smaller = functional.interpolate(ink, scale_factor=_ROWS / strips.shape[2], mode="bilinear")
        maps = self.answer(self.along(self.fold(self.trunk(smaller))))
        n, _, _, columns = maps.shape
        frames = maps.reshape(n, _FRAMES_PER_COLUMN, CHARACTERS + 1, columns).permute(0, 3, 1, 2)
        logits: Tensor = frames.reshape(n, columns * _FRAMES_PER_COLUMN, CHARACTERS + 1)
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
