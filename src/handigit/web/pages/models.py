"""The page at /models: model cards, their mistakes, and switching between them."""

import json
from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from handigit.records import Outcome, percent
from handigit.store.statistics import Crop, Insights, Misread
from handigit.web.pages.charts import rate
from handigit.web.pages.layout import AsReader, render
from handigit.web.state import state_of

router = APIRouter()
_MAX_MISTAKES: Final = 8
_TASKS: Final = {"digit": "single digits", "number": "whole numbers"}
_NOTES: Final = {
    "number": "The training scores are measured on synthetic lines that are hard on purpose. Insights shows how well "
    "your own numbers are read.",
}
"""Explanations of scores that mislead on their own, by task."""
_TRUTH_WORDS: Final = {Outcome.BLANK: "nothing", Outcome.NOT_A_NUMBER: "no number"}
_CROP_MARGIN: Final = 0.15  # fraction of the crop's longer side shown around it


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a model, as pairs of label and value."""

    sha256: str
    name: str
    task: str
    facts: tuple[tuple[str, str], ...]
    details: tuple[tuple[str, str], ...]
    note: str
    scores: tuple[tuple[str, str], ...]
    thresholds: tuple[tuple[str, str], ...]
    data: tuple[tuple[str, str], ...]
    recipe: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Mistake:
    """A misread number; `view` is the crop's place on its page as an SVG `viewBox`."""

    reading: int
    read: str
    truth: str
    confidence: str
    crop: Crop | None
    view: str


@dataclass(frozen=True, slots=True)
class ModelPanel:
    """A model as the page shows it; `problem`: why it cannot be used."""

    name: str
    active: bool
    parts: tuple[Part, ...]
    problem: str
    mistakes: tuple[Mistake, ...]

    @property
    def sha256(self) -> str:
        """Digest of the first file, so that the model switched to is the one that was shown."""
        return self.parts[0].sha256 if self.parts else ""


@router.get("/models")
def show(request: Request, user: AsReader) -> Response:
    """The page."""
    service = state_of(request).service
    insights = service.store.insights if service.store else None
    panels = [_panel(model, insights) for model in service.models.describe_all()]
    panels.sort(key=lambda panel: not panel.active)
    return render(request, "models.html", user, models=panels, has_previous=service.models.has_previous)


def _panel(model: dict[str, Any], insights: Insights | None) -> ModelPanel:
    digests = tuple(part["sha256"] for part in model["parts"])
    misread = insights.misread(digests, most=_MAX_MISTAKES) if insights and digests else ()
    return ModelPanel(
        name=model["name"],
        active=model["active"],
        parts=tuple(part_of(part["sha256"], part["card"]) for part in model["parts"]),
        problem=model.get("problem", ""),
        mistakes=tuple(map(_mistake, misread)),
    )


def part_of(sha256: str, card: dict[str, Any]) -> Part:
    """A model file from its digest and its card as JSON."""
    facts = {
        "architecture": card["architecture"],
        "weights": f"{card['parameters']:,}" if card["parameters"] else "unknown",
        "licence": card["licence"],
    }
    details = {
        "input": " x ".join(str(side) if side else "any" for side in card["input"]),
        "alphabet": card["alphabet"],
        "temperature": f"{card['temperature']:.3f}",
        "made with": card["code_version"] or "unknown",
        "SHA-256": sha256,
    }
    thresholds = {rate(entry["target_error"]): f"{entry['confidence']:.4f}" for entry in card["thresholds"]}
    return Part(
        sha256=sha256,
        name=card["name"],
        task=_TASKS[card["task"]],
        facts=tuple(facts.items()),
        details=tuple(details.items()),
        note=_NOTES.get(card["task"], "") if card["scores"] else "",
        scores=tuple(
            (_label(name), f"{value:.4f}" if "loss" in name else rate(value)) for name, value in card["scores"].items()
        ),
        thresholds=tuple(thresholds.items()),
        data=tuple(card["data"].items()),
        recipe=tuple((_label(name), _recipe_value(value)) for name, value in card["recipe"].items()),
    )


def _label(name: str) -> str:
    return name.replace("_", " ")


def _recipe_value(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value)


def _mistake(misread: Misread) -> Mistake:
    return Mistake(
        reading=misread.reading,
        read=misread.read or "nothing",
        truth=_TRUTH_WORDS.get(misread.truth.outcome, misread.truth.text),
        confidence=percent(misread.confidence),
        crop=misread.crop,
        view=view_box(misread.crop) if misread.crop else "",
    )


def view_box(crop: Crop) -> str:
    """The crop with a margin, clipped to its page, as an SVG `viewBox`."""
    margin = round(_CROP_MARGIN * max(crop.box.width, crop.box.height))
    left, top = max(crop.box.left - margin, 0), max(crop.box.top - margin, 0)
    right, bottom = min(crop.box.right + margin, crop.width), min(crop.box.bottom + margin, crop.height)
    return f"{left} {top} {right - left} {bottom - top}"
