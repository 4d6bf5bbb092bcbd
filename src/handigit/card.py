"""A model's card: all that must travel with a model, as JSON in the ONNX file's metadata.

It knows what a card holds, not how an ONNX file is written or run: `train/export.py` writes it, `read/engine.py`
reads it.
"""

import math
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from handigit.errors import ModelError

METADATA_KEY = "handigit.card"
FORMAT = 1


class Threshold(BaseModel):
    """The least confidence at which answers are `read`, bought with a wanted error rate."""

    model_config = ConfigDict(frozen=True)

    target_error: float = Field(gt=0, lt=1)
    confidence: float = Field(ge=0, le=1)


class Card(BaseModel):
    """What a reader must know of a model to use it, and a person to trust it.

    `steepness` and `shift`: a number's probability becomes its confidence along this logistic curve (Platt 1999).

    `digit_floor`: ink of which the surest digit is less probable than this is no digit at all; 0: the model cannot
    tell. A model that has learnt to answer what is no digit by all ten equally lies far below it there.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: int = FORMAT
    task: Literal["digit", "number"] = "digit"
    name: str
    architecture: str
    parameters: int = 0
    input: tuple[int, ...] = (1, 28, 28)
    alphabet: str = "0123456789"
    output: Literal["logits", "probabilities"] = "logits"
    temperature: float = Field(default=1.0, gt=0)
    steepness: float = Field(default=1.0, gt=0)
    shift: float = 0.0
    thresholds: tuple[Threshold, ...] = ()
    digit_floor: float = Field(default=0.0, ge=0, le=1)
    recipe: dict[str, Any] = {}
    data: dict[str, str] = {}
    scores: dict[str, float] = {}
    licence: str = "MIT"
    code_version: str = ""

    def to_json(self) -> str:
        """The card as text, keys in a fixed order, so that equal cards are equal bytes."""
        return self.model_dump_json(exclude_defaults=False)

    @classmethod
    def from_json(cls, text: str, *, source: str) -> "Card":
        """Read a card.

        Raises:
            ModelError: the text is no card, or one of a later format than this version knows.
        """
        try:
            card = cls.model_validate_json(text)
        except ValidationError as problem:
            first = problem.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the whole text"
            raise ModelError(
                f"{source}: its card is not valid at {where}: {first['msg']}; export the model again"
            ) from None
        if card.format > FORMAT:
            raise ModelError(f"{source}: card format {card.format} is newer than {FORMAT}; update handigit")
        return card

    def confidence(self, probability: float) -> float:
        """The calibrated confidence in a number that the model gives this probability, both 0..1."""
        within = min(max(probability, 1e-9), 1 - 1e-9)
        return 1 / (1 + math.exp(-(self.steepness * math.log(within / (1 - within)) + self.shift)))

    def threshold(self, target_error: float) -> float:
        """The least confidence for the outcome `read` at this wanted error rate.

        Between two measured rates the stricter one holds; below the strictest measured one nothing is sure enough
        that we could know, so the strictest stands.
        """
        within = [t for t in self.thresholds if t.target_error <= target_error]
        if within:
            return max(within, key=lambda t: t.target_error).confidence
        return max((t.confidence for t in self.thresholds), default=1.0 - target_error)
