"""The steps of reading a digit in words: from their figures to the sentences beside them.

It knows what a step found, not how; each sentence has the name of the element on the page that it goes into.
"""

import math
from typing import Any, Final

from handigit.records import Outcome, percent
from handigit.web.wording import WORDS, sentence

_AGAINST: Final = -0.1
"""Share of what speaks most for a digit from which on what speaks against it is worth a word."""


def sentences(told: dict[str, Any]) -> dict[str, str]:
    """What the page says of these steps; nothing of those after the ink where there is none."""
    says = _of_answer(told["answer"]) | _of_picture(told["picture"])
    if told["glyph"] is None:
        return says
    return (
        says | {"layers-says": _of_layers(told["layers"])} | _of_evidence(told["evidence"]) | _of_odds(told["answer"])
    )


def of_layer(place: int, *, shown: int, count: int, side: int) -> str:
    """A layer's maps: so many of them, so many pixels high."""
    return f"Layer {place}: {shown} of {count} maps, {side} by {side} pixels each"


def _of_picture(picture: dict[str, Any]) -> dict[str, str]:
    ink = (
        "The ink is the lighter of the two shades here, as on a blackboard, so light and dark are exchanged first."
        if picture["reversed"]
        else "First the reader asks which shade is paper; here the ink is darker than it, as usual."
    )
    size = f"{picture['width']} by {picture['height']} pixels"
    return {"picture-says": f"This is what the reader is given: {size}.", "ink-says": ink}


def _of_layers(layers: list[dict[str, Any]]) -> str:
    if layers:
        return "Of each layer those maps are shown in which most was found."
    return "The model that reads now has no layers of pictures to show; it sees the digit as one long row of numbers."


def _of_evidence(found: dict[str, Any]) -> dict[str, str]:
    times = math.exp(found["most"])
    worse = "more than a thousand" if times > 1000 else f"{times:.{1 if times < 10 else 0}f}"
    against = (
        "Where it is blue, the net would be surer without that ink."
        if found["least"] < _AGAINST * found["most"]
        else "Hardly anything speaks against it."
    )
    odds = f"Without its brightest spot the odds of a {found['value']} would be {worse} times worse."
    return {"evidence-says": f"{odds} {against}"}


def _of_odds(answer: dict[str, Any]) -> dict[str, str]:
    """How the scores become an answer."""
    temperature = (
        "The net’s ten scores become probabilities that sum to 1. They are divided by a temperature of "
        f"{answer['temperature']} first, so that “90 % sure” is right nine times in ten."
    )
    threshold = (
        f"To be wrong at most once in {round(1 / answer['target_error'])} answers, it must be "
        f"{percent(answer['threshold'])} sure; below that it asks a person."
    )
    floor = f" Under {percent(answer['floor'])} it is no digit at all." if answer["floor"] > 0 else ""
    return {"temperature-says": temperature, "threshold-says": threshold + floor}


def _of_answer(answer: dict[str, Any]) -> dict[str, str]:
    outcome, text = Outcome(answer["outcome"]), answer["text"]
    says = sentence(outcome, text, answer["confidence"], what="digit")
    return {"text": text or "–", "words": says, "outcome": WORDS[outcome], "answer-says": says}
