"""A model's card: the facts that travel with a model, as JSON in the ONNX file's metadata.

`train/export.py` writes it, the engines in `read` read it.
"""

import math
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from handigit.errors import ModelError

METADATA_KEY = "handigit.card"
FORMAT = 1


class Threshold(BaseModel):
    """The minimum confidence of `read` answers for a target error rate."""

    model_config = ConfigDict(frozen=True)

    target_error: float = Field(gt=0, lt=1)
    confidence: float = Field(ge=0, le=1)


class Combination(BaseModel):
    """How a number model's texts are combined with those of a second, independent model.

    A text's score is the product of the first model's probability and the second's, which has the exponent `weight` and
    is at least `floor`. `coefficients` of a logistic curve turn features of the best text into its confidence.
    """

    model_config = ConfigDict(frozen=True)

    partner: str
    weight: float = Field(ge=0)
    floor: float = Field(gt=0, lt=1)
    intercept: float = 0.0
    coefficients: dict[str, float]

    def confidence(self, features: dict[str, float]) -> float:
        """The probability that a text with these features is right."""
        score = self.intercept + sum(weight * features[name] for name, weight in self.coefficients.items())
        return 1 / (1 + math.exp(-min(max(score, -40.0), 40.0)))


class Card(BaseModel):
    """Everything that a reader needs to use a model, and a person to trust it.

    `steepness` and `shift`: a number's probability becomes its confidence along this logistic curve (Platt 1999).

    `combination`: of a number model that is calibrated together with a second one, whose file's SHA-256 is its
    `partner`; the thresholds then apply to the combined confidence.

    `digit_floor`: ink whose best digit has a lower probability is a non-digit; 0: the model cannot distinguish. A model
    trained to answer non-digits with a flat distribution is far below it there.
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
    combination: Combination | None = None
    recipe: dict[str, Any] = {}
    data: dict[str, str] = {}
    scores: dict[str, float] = {}
    licence: str = "MIT"
    code_version: str = ""

    def to_json(self) -> str:
        """The card as text, with its keys in a fixed order, so that equal cards are equal bytes."""
        return self.model_dump_json(exclude_defaults=False)

    @classmethod
    def from_json(cls, text: str, *, source: str) -> "Card":
        """Read a card.

        Raises:
            ModelError: not a card, or one of a later format than this version knows.
        """
        try:
            card = cls.model_validate_json(text)
        except ValidationError as problem:
            first = problem.errors()[0]
            field = ".".join(str(part) for part in first["loc"]) or "the whole text"
            raise ModelError(
                f"{source}: its card is not valid at {field}: {first['msg']}; export the model again"
            ) from None
        if card.format > FORMAT:
            raise ModelError(f"{source}: card format {card.format} is newer than {FORMAT}; update handigit")
        return card

    def confidence(self, probability: float) -> float:
        """The calibrated confidence in a number of this probability, both 0..1."""
        p = min(max(probability, 1e-9), 1 - 1e-9)
        return 1 / (1 + math.exp(-(self.steepness * math.log(p / (1 - p)) + self.shift)))

    def threshold(self, target_error: float) -> float:
        """The minimum confidence for the outcome `read` at this target error rate.

        Between two measured rates the stricter one applies, below all of them the strictest.
        """
        strict_enough = [t for t in self.thresholds if t.target_error <= target_error]
        if strict_enough:
            return max(strict_enough, key=lambda t: t.target_error).confidence
        return max((t.confidence for t in self.thresholds), default=1.0 - target_error)
