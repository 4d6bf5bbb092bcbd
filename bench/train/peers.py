"""Other people's training recipes, reimplemented in PyTorch to be timed beside ours: network, data, loop.

    train_mnist_fast    github.com/tuomaso/train_mnist_fast, 8_Final_00s76: 99.04 % in 0.76 s on a GTX 1660 Ti
    keras_example       keras.io/examples/vision/mnist_convnet: about 99.2 % after 12 epochs

Each takes glyphs and labels in memory and returns a network for glyphs in 0..1. What the originals leave open is chosen
in their favour: weights and batches are channels last, nothing is copied unnecessarily, nothing is measured during
training.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own abbreviation
from jaxtyping import Float
from torch import Tensor, nn, optim

from handigit.train.digit_task import Samples
from handigit.train.trainer import to_device

MEAN, DEVIATION = 0.1307, 0.3081
"""Of MNIST's training pixels in 0..1."""


class MnistFast(nn.Module):
    """train_mnist_fast's last network; it standardises glyphs itself except while it trains."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 24, 5), nn.MaxPool2d(2), nn.ReLU(),
            nn.Conv2d(24, 32, 3), nn.MaxPool2d(2), nn.ReLU(),
            nn.Flatten(), nn.Linear(800, 256), nn.ReLU(), nn.Linear(256, 10),
        )  # fmt: skip

    def forward(self, glyphs: Float[Tensor, "n 1 28 28"]) -> Float[Tensor, "n 10"]:
        """Logits of the ten digits."""
        logits: Tensor = self.layers(glyphs if self.training else (glyphs - MEAN) / DEVIATION)
        return logits


class KerasExample(nn.Module):
    """Keras's simple convnet, with the weights Keras starts from (Glorot & Bengio 2010)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Dropout(0.5), nn.Linear(1600, 10),
        )  # fmt: skip
        for weight in self.parameters():
            nn.init.xavier_uniform_(weight) if weight.ndim > 1 else nn.init.zeros_(weight)

    def forward(self, glyphs: Float[Tensor, "n 1 28 28"]) -> Float[Tensor, "n 10"]:
        """Logits of the ten digits."""
        logits: Tensor = self.layers(glyphs)
        return logits


def train_mnist_fast(samples: Samples, *, seed: int) -> nn.Module:
    """One epoch of Adam under one cycle, batch 256, inputs standardised beforehand."""
    torch.manual_seed(seed)
    network = to_device(MnistFast(), samples.labels.device)
    glyphs = as_floats(samples).sub_(MEAN).div_(DEVIATION)
    batches = list(shuffled(samples, 256))
    optimizer = optim.Adam(network.parameters(), lr=1e-2, betas=(0.7, 0.9))
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=len(batches), cycle_momentum=False)
    for batch in batches:
        step(network, optimizer, glyphs[batch], samples.labels[batch])
        schedule.step()
    return network


def train_keras_example(samples: Samples, *, seed: int, epochs: int = 12) -> nn.Module:
    """Adam at its defaults, batch 128. The original keeps a tenth of the data to look at; here it learns from all."""
    torch.manual_seed(seed)
    network = to_device(KerasExample(), samples.labels.device)
    glyphs = as_floats(samples)
    optimizer = optim.Adam(network.parameters(), lr=1e-3, eps=1e-7)
    for _ in range(epochs):
        for batch in shuffled(samples, 128):
            step(network, optimizer, glyphs[batch], samples.labels[batch])
    return network


def as_floats(samples: Samples) -> Float[Tensor, "n 1 28 28"]:
    """All glyphs at once, 0..1."""
    return samples.glyphs.unsqueeze(1).float().div_(255).contiguous(memory_format=torch.channels_last)


def shuffled(samples: Samples, size: int) -> Iterator[Tensor]:
    """The places of all samples in random order, a batch at a time; the last may be smaller."""
    yield from torch.split(torch.randperm(len(samples), device=samples.labels.device), size)


def step(network: nn.Module, optimizer: optim.Optimizer, glyphs: Tensor, labels: Tensor) -> None:
    """Forward, backward, and a step of the optimiser."""
    loss = F.cross_entropy(network(glyphs), labels)
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
