"""Every architecture by name: `build("cnn")` is a network with random weights.

Digit models map glyphs `(n, 1, 28, 28)` to logits `(n, 10)`; number models map strips `(n, 1, 48, width)` to logits
`(n, frames, characters + 1)`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from handigit.errors import ModelError
from handigit.models.cnn import Cnn
from handigit.models.convdense import ConvDense
from handigit.models.cost import count_macs, count_parameters
from handigit.models.dense import Dense
from handigit.models.digitnet import DigitNet
from handigit.models.digitnet2 import DigitNet2, DigitNet2Large, DigitNet2Nano
from handigit.models.fast import Fast
from handigit.models.lenet5 import LeNet5
from handigit.models.mobilenet import MobileNet
from handigit.models.ppocr_small import PPOCRSmall
from handigit.models.ppocr_tiny import PPOCRTiny
from handigit.models.resnet import ResNet

ARCHITECTURES: dict[str, Callable[[], nn.Module]] = {
    "dense": Dense,
    "convdense": ConvDense,
    "lenet5": LeNet5,
    "cnn": Cnn,
    "mobilenet": MobileNet,
    "resnet": ResNet,
    "digitnet": DigitNet,
    "digitnet2": DigitNet2,
    "digitnet2-large": DigitNet2Large,
    "digitnet2-nano": DigitNet2Nano,
    "fast": Fast,
}
NUMBER_ARCHITECTURES: dict[str, Callable[[], nn.Module]] = {"ppocr-small": PPOCRSmall, "ppocr-tiny": PPOCRTiny}


@dataclass(frozen=True)
class Architecture:
    """One line of `handigit models`: `macs` are multiply-accumulates for one glyph, or for a strip of four digits."""

    name: str
    parameters: int
    macs: int
    paper: str


def build(name: str) -> nn.Module:
    """A network with weights from torch's global generator.

    Raises:
        ModelError: an unknown name.
    """
    known = ARCHITECTURES | NUMBER_ARCHITECTURES
    if name not in known:
        raise ModelError(f"no model named {name!r}; there are: {', '.join(known)}")
    return known[name]()


def describe(name: str) -> Architecture:
    """Size, cost and source of an architecture, counted from a new network.

    Raises:
        ModelError: as `build`.
    """
    model = build(name)
    shape = (1, 48, 160) if name in NUMBER_ARCHITECTURES else (1, 28, 28)
    return Architecture(name, count_parameters(model), count_macs(model, shape), str(getattr(model, "PAPER", "")))


__all__ = [
    "ARCHITECTURES",
    "NUMBER_ARCHITECTURES",
    "Architecture",
    "build",
    "describe",
]
