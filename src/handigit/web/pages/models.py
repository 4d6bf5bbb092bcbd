"""The page at /models: what can read here, how good it says it is, what it got wrong, and which of it reads.

It knows what a model's card and the store say; switching is the API's work.
"""

import json
from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from handigit.records import Outcome, percent
from handigit.store.statistics import Crop, Insights, Misread
from handigit.web.pages.charts import share
from handigit.web.pages.layout import AsReader, render

router = APIRouter()
_MOST_MISREAD: Final = 8
_TASKS: Final = {"digit": "single digits", "number": "whole numbers"}
_WORDS: Final = {Outcome.BLANK: "nothing", Outcome.NOT_A_NUMBER: "no number"}
_MARGIN: Final = 0.15
"""How much of what is around a crop is shown with it."""


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a model: its digest, what it is as pairs of words, and three tables folded away."""

    sha256: str
    name: str
    task: str
    facts: tuple[tuple[str, str], ...]
    scores: tuple[tuple[str, str], ...]
    thresholds: tuple[tuple[str, str], ...]
    data: tuple[tuple[str, str], ...]
    recipe: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """A model as the page has it; `problem` says why one cannot be used."""

    name: str
    active: bool
    parts: tuple[Part, ...]
    problem: str
    misread: tuple["Mistake", ...]

    @property
    def sha256(self) -> str:
        """What its first file's bytes must have, so that what was looked at is what is switched to."""
        return self.parts[0].sha256 if self.parts else ""


@dataclass(frozen=True, slots=True)
class Mistake:
    """A misread number, with the crop's place on its page as SVG's `viewBox` has it."""

    reading: int
    read: str
    truth: str
    confidence: str
    crop: Crop | None
    view: str


@router.get("/models")
def show(request: Request, user: AsReader) -> Response:
    """The page."""
    service = request.app.state.service
    insights = service.store.insights if service.store else None
    models = [_shown(one, insights) for one in service.models.known()]
    return render(request, "models.html", user, models=sorted(models, key=lambda one: not one.active))


def _shown(model: dict[str, Any], insights: Insights | None) -> Shown:
    digests = tuple(part["sha256"] for part in model["parts"])
    misread = insights.misread(digests, most=_MOST_MISREAD) if insights and digests else ()
    return Shown(
        name=model["name"],
        active=model["active"],
        parts=tuple(_part(part["sha256"], part["card"]) for part in model["parts"]),
        problem=model.get("problem", ""),
        misread=tuple(map(_mistake, misread)),
    )


def _part(sha256: str, card: dict[str, Any]) -> Part:
    facts = {
        "architecture": card["architecture"],
        "weights": f"{card['parameters']:,}" if card["parameters"] else "unknown",
        "input": " x ".join(str(side) if side else "any" for side in card["input"]),
        "alphabet": card["alphabet"],
        "temperature": f"{card['temperature']:.3f}",
        "licence": card["licence"],
        "made with": card["code_version"] or "unknown",
    }
    wanted = {share(one["target_error"]): f"{one['confidence']:.4f}" for one in card["thresholds"]}
    return Part(
        sha256=sha256,
        name=card["name"],
        task=_TASKS[card["task"]],
        facts=tuple(facts.items()),
        scores=tuple((name.replace("_", " "), _score(name, value)) for name, value in card["scores"].items()),
        thresholds=tuple(wanted.items()),
        data=tuple(card["data"].items()),
        recipe=tuple((name.replace("_", " "), _value(value)) for name, value in card["recipe"].items()),
    )


def _score(name: str, value: float) -> str:
    return f"{value:.4f}" if "loss" in name else share(value)


def _value(value: Any) -> str:
    return (
        ", ".join(map(str, value))
        if isinstance(value, list)
        else value
        if isinstance(value, str)
        else json.dumps(value)
    )


def _mistake(one: Misread) -> Mistake:
    read = one.read or "nothing"
    truth = _WORDS.get(one.truth.outcome, one.truth.text)
    return Mistake(one.reading, read, truth, percent(one.confidence), one.crop, _view(one.crop) if one.crop else "")


def _view(crop: Crop) -> str:
    """The crop and a little of what is around it."""
    margin = round(_MARGIN * max(crop.box.width, crop.box.height))
    left, top = max(crop.box.left - margin, 0), max(crop.box.top - margin, 0)
    right, bottom = min(crop.box.right + margin, crop.width), min(crop.box.bottom + margin, crop.height)
    return f"{left} {top} {right - left} {bottom - top}"
