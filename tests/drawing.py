"""Drawing on a page's pad with a mouse or a finger; the shapes are the synthesiser's."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from playwright.sync_api import CDPSession, Page, expect

from handigit.synth.shapes import DIGITS
from handigit.synth.strokes import parse_figure

Path = list[tuple[float, float]]
"""One stroke; x and y as fractions of the pad's height."""
_STEP = 2  # every second point is enough: the pad smooths lines
_NUMBER_STEP = 5  # in small digits fewer are


def strokes_of(
    digit: int, *, left: float = 0.3, top: float = 0.2, height: float = 0.6, shape: int = 0, step: int = _STEP
) -> list[Path]:
    """A digit's strokes, `height` high, its upper left corner at (`left`, `top`)."""
    drawn = parse_figure(DIGITS[digit][shape].strokes)
    points = (drawn.sharp @ drawn.points) * height + (left, top)
    strokes = np.split(points, drawn.ends[:-1])
    return [[(float(x), float(y)) for x, y in (*stroke[:-1:step], stroke[-1])] for stroke in strokes]


MARKS: dict[str, tuple[float, list[Path]]] = {
    ".": (0.45, [[(0.12, 0.96), (0.16, 0.97), (0.14, 1.0)]]),
    ",": (0.45, [[(0.2, 0.9), (0.2, 1.0), (0.08, 1.2)]]),
    "-": (0.75, [[(0.05, 0.55), (0.3, 0.55), (0.55, 0.54)]]),
    "/": (1.05, [[(0.9, -0.1), (0.5, 0.5), (0.1, 1.15)]]),
}
"""Advance and strokes of what people write between digits, in fractions of a digit's height."""


def strokes_of_number(text: str, *, wide: float = 2.0) -> list[Path]:
    """A number's strokes, on a pad `wide` heights wide; digits, and the marks of `MARKS`."""
    advances = [MARKS[character][0] if character in MARKS else 0.85 for character in text]
    height = min(0.4, 0.9 * wide / sum(advances))
    left, top, strokes = 0.06 * wide, 0.5 - height / 2, []
    for character, advance in zip(text, advances, strict=True):
        if character in MARKS:
            scaled = [[(left + x * height, top + y * height) for x, y in stroke] for stroke in MARKS[character][1]]
            strokes += scaled
        else:
            strokes += strokes_of(int(character), left=left, top=top, height=height, step=_NUMBER_STEP)
        left += advance * height
    return strokes


@dataclass
class Mouse:
    """Draws with a mouse."""

    page: Page

    def draw(self, strokes: Sequence[Path]) -> None:
        """One stroke after another, each with the button down."""
        for first, *rest in _on_screen(self.page, strokes):
            self.page.mouse.move(*first)
            self.page.mouse.down()
            for point in rest:
                self.page.mouse.move(*point)
            self.page.mouse.up()


@dataclass
class Finger:
    """Draws with a finger, through touch events."""

    page: Page
    session: CDPSession

    def draw(self, strokes: Sequence[Path]) -> None:
        """One stroke after another, the finger lifted between them."""
        for first, *rest in _on_screen(self.page, strokes):
            self._touch("touchStart", [first])
            for point in rest:
                self._touch("touchMove", [point])
            self._touch("touchEnd", [])

    def _touch(self, kind: str, points: list[tuple[float, float]]) -> None:
        touches = [{"x": x, "y": y} for x, y in points]
        self.session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})


def wait_for_answer(page: Page) -> None:
    """Wait until the pad's final answer is shown, that to all strokes."""
    expect(page.locator("#answer-card")).to_have_attribute("aria-busy", "false")


def _on_screen(page: Page, strokes: Sequence[Path]) -> Iterator[Path]:
    pad = page.locator("#pad")
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    assert box is not None
    for stroke in strokes:
        yield [(box["x"] + x * box["height"], box["y"] + y * box["height"]) for x, y in stroke]
