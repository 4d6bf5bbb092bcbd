"""The reader of numbers as forms use it: crops in, texts with probabilities out. Only this module knows `Reader`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from handigit import Number, Outcome, Reader
from handigit.forms.joint import UNLISTED
from handigit.forms.page_ink import Grey
from handigit.images import Limits

_ALTERNATIVES: Final = 48
"""Texts per crop that joint decoding works with: the true one must be among them."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The texts that a crop may hold, the likeliest first, each with its confidence; they sum to 1 at most.

    `raw`: the likeliest as written; `outcome`: that of the reader.
    """

    texts: tuple[tuple[str, float], ...]
    raw: str
    outcome: Outcome

    @property
    def shares(self) -> dict[str, float]:
        """The probability of each text: the alternatives, in proportion, share what the likeliest leaves.

        `UNLISTED` of that is for other texts. Confidences of alternatives are lower: none may exceed the first.
        """
        if not self.texts:
            return {}
        (text, confidence), *others = self.texts
        total = sum(share for _, share in others)
        scale = (1 - UNLISTED) * (1 - confidence) / total if total else 0.0
        return {text: confidence} | {text: share * scale for text, share in others}


class NumberReader:
    """Reads batches of crops; `digest` names the model, `threshold` is the confidence from which a text is `read`."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    @property
    def digest(self) -> str:
        """The SHA-256 of the number model."""
        return self._reader.number_engine.digest

    @property
    def limits(self) -> Limits:
        """What pictures may be."""
        return self._reader.limits

    @property
    def threshold(self) -> float:
        """The least confidence of a text that is read, at the reader's target error."""
        return self._reader.number_engine.card.threshold(self._reader.target_error)

    def read(self, crops: Sequence[Grey], *, pattern: str | None, alphabet: str | None = None) -> list[Reading]:
        """Read crops, ink dark on light, that hold one number each."""
        found = self._reader.numbers_on(crops, pattern=pattern, alphabet=alphabet, max_alternatives=_ALTERNATIVES)
        return [_reading(one) for one in found]

    def read_digits(self, crops: Sequence[Grey]) -> list[tuple[tuple[float, ...], bool]]:
        """The probabilities of the ten digits in crops of one digit each, and whether each is strange: no digit."""
        usual = {Outcome.READ, Outcome.DOUBT}
        return [(one.probabilities, one.outcome not in usual) for one in self._reader.digits_on(crops)]


def _reading(number: Number) -> Reading:
    texts = [(number.text, number.confidence), *number.alternatives] if number.text else []
    return Reading(tuple(texts), number.raw, number.outcome)
