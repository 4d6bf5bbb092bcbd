"""The text recogniser PP-OCRv6 small, with one grey input channel and a head for the characters of numbers.

The published ONNX file has its batch norms folded into most convolutions; the remaining five are folded while loading,
so that the network has no running statistics and averages of its weights are valid networks.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

CHARACTERS = 19
"""Characters of `handigit.synth.number_texts.ALPHABET`; class 0 is the CTC blank."""
_STAGES = ((96, (True, False, False)), (192, (True, False, True, False, True, False)), (384, (True, False)))
"""Channels of each stage, and which of its blocks have squeeze-and-excitation."""
_FEATURES = 120
_HEADS = 8


class PPOCRSmall(nn.Module):
    """Grey crops in, one row of logits per 8 columns out; class 0 is the CTC blank.

    3,004,196 weights. Pixels are in -1..1, paper bright.
    """

    LICENCE = "MIT; starts from PP-OCRv6 small, Apache-2.0"
    PAPER = "PP-OCRv6 small recogniser (PaddleOCR, Apache-2.0); SVTR neck after Du et al. 2022"
    FULL_PRECISION = ("stem", "depthwise", "excitation", "neck")
    """Modules that eight bits would change most; the pointwise convolutions of the blocks are most of the work."""

    def __init__(self, classes: int = CHARACTERS + 1) -> None:
        super().__init__()
        self.stem = Stem()
        self.blocks = stack_blocks(_STAGES)
        self.neck = Neck(_STAGES[-1][0])
        self.head = nn.Linear(_FEATURES, classes)
        self.stem.requires_grad_(False)  # its edges serve numbers as well, and training it costs a seventh of the time

    def forward(self, crops: Float[Tensor, "n 1 48 width"]) -> Float[Tensor, "n frames classes"]:
        """Logits of the blank and of each character, per frame."""
        features = functional.avg_pool2d(self.blocks(self.stem(crops)), (3, 2))
        logits: Tensor = self.head(self.neck(features))
        return logits


class Stem(nn.Module):
    """To a quarter of the size and 96 channels, along a convolved and a pooled branch (after PP-HGNetV2)."""

    def __init__(self) -> None:
        super().__init__()
        self.halve = nn.Conv2d(1, 48, 3, 2, 1)
        self.squeeze = nn.Conv2d(48, 24, 2)
        self.expand = nn.Conv2d(24, 48, 2)
        self.merge = nn.Conv2d(96, 48, 3, 2, 1)
        self.widen = nn.Conv2d(48, 96, 1)

    def forward(self, crops: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "n 96 h4 w4"]:
        """Features on a grid of 4 pixels."""
        halved = functional.relu(self.halve(crops))
        convolved = functional.relu(self.squeeze(functional.pad(halved, (0, 1, 0, 1))))
        convolved = functional.relu(self.expand(functional.pad(convolved, (0, 1, 0, 1))))
        pooled = functional.max_pool2d(functional.pad(halved, (0, 1, 0, 1)), 2, 1)  # at least 0: the padding is inert
        merged = functional.relu(self.merge(torch.cat([pooled, convolved], 1)))
        return functional.relu(self.widen(merged))


class Block(nn.Module):
    """Depthwise convolution, optional squeeze-and-excitation, and a two-layer perceptron across channels.

    Where the channels change, the height is halved and there is no residual connection.
    """

    def __init__(self, inputs: int, outputs: int, *, excited: bool = False) -> None:
        super().__init__()
        self.residual = inputs == outputs
        self.depthwise = nn.Conv2d(inputs, inputs, 3, 1 if self.residual else (2, 1), 1, groups=inputs)
        self.excitation = Excitation(inputs) if excited else nn.Identity()
        hidden = 2 * inputs
        self.expand = nn.Conv2d(inputs, hidden, 1)
        self.reduce = nn.Conv2d(hidden, outputs, 1)

    def forward(self, features: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h2 w"]:
        """The features, mixed over space, then over channels."""
        features = self.excitation(self.depthwise(features))
        mixed: Tensor = self.reduce(functional.gelu(self.expand(features)))
        return features + mixed if self.residual else mixed


def stack_blocks(stages: Sequence[tuple[int, Sequence[bool]]]) -> nn.Sequential:
    """The blocks of all stages; a stage is its channels, and which of its blocks have squeeze-and-excitation."""
    blocks: list[nn.Module] = []
    for index, (channels, excited) in enumerate(stages):
        if index:
            blocks.append(Block(stages[index - 1][0], channels))
        blocks += [Block(channels, channels, excited=one) for one in excited]
    return nn.Sequential(*blocks)


class Excitation(nn.Module):
    """Squeeze-and-excitation (Hu et al. 2018): channels scaled by their means over the whole crop."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, channels // 4, 1)
        self.excite = nn.Conv2d(channels // 4, channels, 1)

    def forward(self, features: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """The features, each channel scaled by 0..1."""
        means = features.mean((2, 3), keepdim=True)
        return features * functional.hardsigmoid(self.excite(functional.relu(self.squeeze(means))))


class Neck(nn.Module):
    """Two transformer layers along the line, beside a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.shortcut = nn.Conv2d(channels, _FEATURES, 1)
        self.reduce = nn.Conv2d(channels, _FEATURES, 1)
        self.local = nn.Conv2d(_FEATURES, _FEATURES, (1, 7), padding=(0, 3), groups=_FEATURES)
        self.layers = nn.Sequential(TransformerLayer(), TransformerLayer())
        self.norm = nn.LayerNorm(_FEATURES)

    def forward(self, features: Float[Tensor, "n c 1 frames"]) -> Float[Tensor, "n frames 120"]:
        """One row of features per frame."""
        reduced = functional.silu(self.reduce(features))
        reduced = reduced + functional.silu(self.local(reduced))
        attended = self.norm(self.layers(reduced.squeeze(2).transpose(1, 2)))
        shortcut = functional.silu(self.shortcut(features)).squeeze(2).transpose(1, 2)
        return torch.as_tensor(attended + shortcut)


class TransformerLayer(nn.Module):
    """Self-attention and a perceptron, each with a layer norm before it and a residual connection around it."""

    def __init__(self) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(_FEATURES)
        self.attention = SelfAttention()
        self.perceptron_norm = nn.LayerNorm(_FEATURES)
        self.perceptron = nn.Sequential(
            nn.Linear(_FEATURES, 2 * _FEATURES), nn.SiLU(), nn.Linear(2 * _FEATURES, _FEATURES)
        )

    def forward(self, frames: Float[Tensor, "n frames 120"]) -> Float[Tensor, "n frames 120"]:
        """The frames after one layer."""
        frames = frames + self.attention(self.attention_norm(frames))
        return torch.as_tensor(frames + self.perceptron(self.perceptron_norm(frames)))


class SelfAttention(nn.Module):
    """Multi-head attention whose queries, keys and values come from one linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(_FEATURES, 3 * _FEATURES)
        self.merge = nn.Linear(_FEATURES, _FEATURES)

    def forward(self, frames: Float[Tensor, "n frames 120"]) -> Float[Tensor, "n frames 120"]:
        """A weighted mean of all frames, per frame."""
        count, length, _ = frames.shape
        projected = self.project(frames).reshape(count, length, 3, _HEADS, _FEATURES // _HEADS)
        queries, keys, values = projected.permute(2, 0, 3, 1, 4)
        # Faster than scaled_dot_product_attention for heads of 15 features and a few dozen frames.
        weights = torch.softmax((queries * (_FEATURES // _HEADS) ** -0.5) @ keys.transpose(2, 3), dim=-1)
        attended = weights @ values
        merged: Tensor = self.merge(attended.transpose(1, 2).reshape(count, length, _FEATURES))
        return merged
