"""Every architecture, by name; each takes glyphs as `(n, 1, 28, 28)` and answers with `(n, 10)` logits.

It knows nothing of data, training or files: `build("cnn")` is a fresh network with random weights.
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
from handigit.models.digitnet2 import DigitNet2
from handigit.models.digitnet2_large import DigitNet2Large
from handigit.models.digitnet2_nano import DigitNet2Nano
from handigit.models.fast import Fast
from handigit.models.lenet5 import LeNet5
from handigit.models.mobilenet import MobileNet
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


@dataclass(frozen=True)
class Architecture:
    """One line of `handigit models`: `macs` are multiply-accumulates for one glyph."""

    name: str
    parameters: int
    macs: int
    paper: str


def build(name: str) -> nn.Module:
    """A fresh network, its weights drawn from torch's global generator.

    Raises:
        ModelError: nothing answers to that name.
    """
    if name not in ARCHITECTURES:
        raise ModelError(f"no model named {name!r}; there are: {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name]()


def describe(name: str) -> Architecture:
    """Size, cost and origin of an architecture, counted from a fresh network.

    Raises:
        ModelError: as `build`.
    """
    model = build(name)
    return Architecture(name, count_parameters(model), count_macs(model), str(getattr(model, "PAPER", "")))


__all__ = ["ARCHITECTURES", "Architecture", "build", "describe"]
