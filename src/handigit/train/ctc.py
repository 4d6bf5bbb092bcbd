"""Between texts and the frames of a number model: what to learn, and the plainest reading of an answer.

Connectionist temporal classification (Graves et al. 2006); class 0 is the blank. It knows nothing of pictures.
"""

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own abbreviation
from jaxtyping import Float, Int64
from torch import Tensor

from handigit.models.numbernet import COLUMNS_PX, FRAMES_A_COLUMN
from handigit.synth.texts import ALPHABET


def count_frames(widths_px: Int64[Tensor, " n"]) -> Int64[Tensor, " n"]:
    """Frames of a line so wide that belong to it, not to its padding."""
    return (widths_px + COLUMNS_PX - 1) // COLUMNS_PX * FRAMES_A_COLUMN


def ctc_loss(
    logits: Float[Tensor, "n frames classes"],
    frames: Int64[Tensor, " n"],
    texts: tuple[str, ...],
    *,
    robust_loss: float = 0.0,
) -> Float[Tensor, ""]:
    """Mean negative log-likelihood of the texts, a line's taken for each of its characters and once for its end.

    With `robust_loss` above 0 it is the generalised cross-entropy of that exponent (Zhang & Sabuncu 2018): a line pulls
    by its probability to that power, so lines that nobody could read hardly pull. Lines too narrow for what is written
    in them, as crops cut through can be, teach nothing.
    """
    targets = torch.tensor([1 + ALPHABET.index(character) for text in texts for character in text], dtype=torch.int64)
    lengths = torch.tensor([len(text) for text in texts], dtype=torch.int64)
    log_shares = F.log_softmax(logits, dim=2).transpose(0, 1)
    losses = F.ctc_loss(log_shares, targets, frames, lengths, reduction="none", zero_infinity=True)
    if robust_loss:
        losses = (1 - torch.exp(-robust_loss * losses)) / robust_loss
    return (losses / (lengths + 1)).mean()


def greedy(logits: Float[Tensor, "n frames classes"], frames: Int64[Tensor, " n"]) -> list[str]:
    """The text along the most likely class of each frame: repeats and blanks left out."""
    best = logits.argmax(2)
    texts = []
    for row, count in zip(best.tolist(), frames.tolist(), strict=True):
        kept = [now for before, now in zip([0, *row[: count - 1]], row[:count], strict=True) if now and now != before]
        texts.append("".join(ALPHABET[index - 1] for index in kept))
    return texts
