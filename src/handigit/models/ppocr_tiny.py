"""The text recogniser PP-OCRv6 tiny, with one grey input channel and a head for the characters of numbers.

Its batch norms are folded into the convolutions before them while loading, as in `ppocr_small`.
"""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from handigit.models.ppocr_small import CHARACTERS, stack_blocks

_STAGES = ((48, (True, False)), (96, (True, False)), (160, (True, False, False)))
"""Channels of each stage, and which of its blocks have squeeze-and-excitation."""
_FEATURES = 80


class PPOCRTiny(nn.Module):
    """Grey crops in, one row of logits per 8 columns out; class 0 is the CTC blank.

    545,120 weights. Pixels are in -1..1, paper bright. Convolutions only: a frame sees its neighbourhood, and the means
    of the crop through squeeze-and-excitation.
    """

    LICENCE = "MIT; starts from PP-OCRv6 tiny, Apache-2.0"
    PAPER = "PP-OCRv6 tiny recogniser (PaddleOCR, Apache-2.0)"
    FULL_PRECISION = ("stem", "depthwise", "excitation", "neck")

    def __init__(self, classes: int = CHARACTERS + 1) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 24, 3, 2, 1), nn.GELU(), nn.Conv2d(24, 48, 3, 2, 1))
        self.blocks = stack_blocks(_STAGES)
        channels = _STAGES[-1][0]
        self.neck = nn.Sequential(
            nn.Conv2d(channels, channels, (1, 5), padding=(0, 2), groups=channels),
            nn.Hardswish(),
            nn.Conv2d(channels, channels, 1),
            nn.Hardswish(),
            nn.Conv2d(channels, _FEATURES, 1),
        )
        self.head = nn.Linear(_FEATURES, classes)

    def forward(self, crops: Float[Tensor, "n 1 48 width"]) -> Float[Tensor, "n frames classes"]:
        """Logits of the blank and of each character, per frame."""
        features = functional.avg_pool2d(self.blocks(self.stem(crops)), (3, 2))
        logits: Tensor = self.head(self.neck(features).squeeze(2).transpose(1, 2))
        return logits
