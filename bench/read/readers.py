"""Two readers with one interface, pictures to `Answers`: Handigit, and the tutorials' resizing of the picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from bench.read.pictures import Pictures
from handigit.read import Engine, Reader
from handigit.records import Outcome

TUTORIAL_READS = 0.5
"""The softmax from which the tutorials' answer counts as read: it has no rejection of its own."""
NO_DIGIT = (Outcome.BLANK, Outcome.NOT_A_NUMBER)
CHUNK = 256
"""Pictures resized at a time."""


@dataclass(frozen=True, eq=False)
class Answers:
    """One answer a picture.

    `values` are the digits, -1 where the reader says there is none; `likeliest` the most probable digit wherever there
    is ink, and `confidence` how probable it is: -1 and 0 for a blank.
    """

    values: np.ndarray
    likeliest: np.ndarray
    confidence: np.ndarray
    outcomes: tuple[Outcome, ...]

    @property
    def read(self) -> np.ndarray:
        """Which were sure enough."""
        return np.array([outcome is Outcome.READ for outcome in self.outcomes], dtype=bool)

    @property
    def called_no_digit(self) -> np.ndarray:
        """Which were called a blank, or no number."""
        return np.array([outcome in NO_DIGIT for outcome in self.outcomes], dtype=bool)

    def __add__(self, other: "Answers") -> "Answers":
        """Both, one after the other."""
        return Answers(
            values=np.concatenate([self.values, other.values]),
            likeliest=np.concatenate([self.likeliest, other.likeliest]),
            confidence=np.concatenate([self.confidence, other.confidence]),
            outcomes=self.outcomes + other.outcomes,
        )


class Way(Protocol):
    """A way from pictures to answers; `engine` is the model itself, for glyphs that need no finding."""

    engine: Engine
    through: str

    def answers(self, pictures: Pictures) -> Answers:
        """Read them."""
        ...

    def threshold(self, target_error: float) -> float:
        """The least confidence at which an answer is `read` where this error is wanted."""
        ...


class ThroughReader:
    """`Reader.digits` on the pictures as they are: unknown polarity, unknown size."""

    through = "Reader.digits"

    def __init__(self, model: Path, threads: int | None) -> None:
        self._reader = Reader(model, threads=threads)
        self.engine = self._reader.engine

    def answers(self, pictures: Pictures) -> Answers:
        """Read them, at the reader's own wanted error of 1 %."""
        digits = self._reader.digits(pictures.images)
        return Answers(
            values=np.array([-1 if digit.value is None else digit.value for digit in digits], np.int64),
            likeliest=np.array(
                [-1 if digit.box is None else np.argmax(digit.probabilities) for digit in digits], np.int64
            ),
            confidence=np.array([digit.confidence for digit in digits], np.float64),
            outcomes=tuple(digit.outcome for digit in digits),
        )

    def threshold(self, target_error: float) -> float:
        """What the card says, and never less than the floor under which nothing is a digit."""
        card = self.engine.card
        return max(card.threshold(target_error), card.digit_floor)


class Resized:
    """The tutorials' way: the whole picture resized to 28x28, known polarity, plain softmax."""

    through = "pictures merely resized to 28x28, inverted where the ink is dark"

    def __init__(self, model: Path, threads: int | None) -> None:
        self.engine = Engine(model, threads=threads)

    def answers(self, pictures: Pictures) -> Answers:
        """Read them."""
        chunks = range(0, len(pictures.images), CHUNK)
        shares = np.concatenate([self._softmax(resized(pictures.images[i : i + CHUNK], pictures)) for i in chunks])
        confidence, values = shares.max(axis=1), shares.argmax(axis=1)
        outcomes = (Outcome.READ if sure >= TUTORIAL_READS else Outcome.DOUBT for sure in confidence)
        return Answers(values, values, confidence, tuple(outcomes))

    def threshold(self, target_error: float) -> float:
        """The same whatever is wanted."""
        del target_error
        return TUTORIAL_READS

    def _softmax(self, glyphs: np.ndarray) -> np.ndarray:
        """Probabilities without the card's temperature: the tutorials have none."""
        logits = self.engine.logits(glyphs).astype(np.float64)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def resized(images: Sequence[np.ndarray], pictures: Pictures) -> np.ndarray:
    """Pictures as glyphs, float32 (n, 28, 28) in 0..1, ink bright: squeezed into the square, nothing cut or centred."""
    glyphs = np.stack([cv2.resize(_grey(image), (28, 28), interpolation=cv2.INTER_AREA) for image in images])
    return (255 - glyphs if pictures.dark_ink else glyphs).astype(np.float32) / 255


def _grey(image: np.ndarray) -> np.ndarray:
    return image if image.ndim == 2 else np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
