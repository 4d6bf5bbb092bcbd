"""The sentences on the Learn page, keyed by the id of the element that shows them."""

import math
from typing import Any, Final

from handigit.records import Outcome, percent
from handigit.web.wording import answer_sentence

_MAPS: Final = "For each layer, the most active maps are shown."
_NO_MAPS: Final = "The active model has no feature maps to show. It sees the digit as one long row of numbers."
_NEGATIVE_EVIDENCE: Final = -0.1  # fraction of the strongest evidence from which counter-evidence is mentioned


def sentences(steps: dict[str, Any]) -> dict[str, str]:
    """Text for each step; steps after the ink are absent where there is none."""
    texts = _answer(steps["answer"]) | _picture(steps["picture"])
    if steps["glyph"] is None:
        return texts
    layers = {"layers-says": _MAPS if steps["layers"] else _NO_MAPS}
    return texts | layers | _evidence(steps["evidence"]) | _thresholds(steps["answer"])


def layer_caption(index: int, *, shown: int, count: int, side: int) -> str:
    """The caption of one layer's feature maps."""
    return f"Layer {index}: {shown} of {count} maps, {side} by {side} pixels each"


def _picture(picture: dict[str, Any]) -> dict[str, str]:
    ink = (
        "The ink is lighter than its background, as on a blackboard, so the picture is inverted first."
        if picture["reversed"]
        else "First the reader decides which shade is paper. Here the ink is darker than the paper, as usual."
    )
    size = f"{picture['width']} by {picture['height']} pixels"
    return {"picture-says": f"The reader receives this picture: {size}.", "ink-says": ink}


def _evidence(evidence: dict[str, Any]) -> dict[str, str]:
    ratio = math.exp(evidence["most"])
    worse = "more than a thousand" if ratio > 1000 else f"{ratio:.{1 if ratio < 10 else 0}f}"
    against = (
        "Where it is blue, the network would be surer without that ink."
        if evidence["least"] < _NEGATIVE_EVIDENCE * evidence["most"]
        else "Hardly any ink is evidence against it."
    )
    odds = f"Without its brightest spot, the odds of a {evidence['value']} would be {worse} times worse."
    return {"evidence-says": f"{odds} {against}"}


def _thresholds(answer: dict[str, Any]) -> dict[str, str]:
    temperature = (
        f"The scores are first divided by a temperature ({answer['temperature']}), then turned into ten probabilities "
        "that sum to 1. The temperature is chosen so that “90% sure” is right nine times in ten."
    )
    threshold = (
        f"To be wrong at most once in {round(1 / answer['target_error'])} answers, the reader must be "
        f"{percent(answer['threshold'])} sure. Below that, a person decides."
    )
    floor = f" Under {percent(answer['floor'])} it is not a digit at all." if answer["floor"] > 0 else ""
    return {"temperature-says": temperature, "threshold-says": threshold + floor}


def _answer(answer: dict[str, Any]) -> dict[str, str]:
    outcome, text = Outcome(answer["outcome"]), answer["text"]
    sentence = answer_sentence(outcome, text, answer["confidence"], expected="digit")
    return {"text": text or "–", "words": sentence, "outcome": outcome.label, "answer-says": sentence}
