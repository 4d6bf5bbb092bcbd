"""Readings to put into a store, and the policies under which the tests do it."""

import numpy as np

from handigit.records import Box, Digit, Number, Outcome
from handigit.store import Provenance, Policy

PROVENANCE = Provenance("till 7.png", "digit", "d" * 64, request_id="r1")
EVERY_READ = Policy(control_share=1, second_share=0)
NO_SAMPLES = Policy(control_share=0, second_share=0)


def number(text: str, *, confidence: float = 0.99, outcome: Outcome = Outcome.READ, second: float = 0.01) -> Number:
    """What a reader might say of a line; each digit ten pixels wide."""
    digits = tuple(
        Digit(
            outcome,
            int(sign) if sign.isdigit() else None,
            confidence,
            (0.1,) * 10,
            Box(10 * place, 0, 10 * place + 10, 12),
        )
        for place, sign in enumerate(text)
    )
    box = Box(0, 0, 10 * len(text), 12)
    return Number(outcome, text, confidence, digits, (("0" * len(text), second),), text, box)


def doubt(text: str, *, margin: float = 0.1) -> Number:
    """A number whose best answer is likelier than the second by so much."""
    return number(text, confidence=0.5 + margin / 2, second=0.5 - margin / 2, outcome=Outcome.DOUBT)


def page(seed: int = 0) -> np.ndarray:
    """A small page with ink on it, another for another seed."""
    grey = np.full((40, 60), 250, np.uint8)
    grey[10:30, 20:24] = 10
    grey[0, 0] = seed
    return grey
