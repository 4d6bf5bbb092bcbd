"""Draw answers on their picture: one digit with what the model saw beside it, or all the numbers of a page.

It knows pictures and answers; how either came about is told elsewhere.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from handigit.records import Box, Digit, Number, Outcome, percent

_LEAST_PX: Final = 320
"""Longer side of the picture that is drawn on: smaller ones are enlarged so that the marks can be read."""
_MOST_PX: Final = 960
_MOST_PAGE_PX: Final = 1600
"""The same for a page with many numbers."""
_LABEL_PX: Final = 20
"""Room above the picture for the text of a number at its top."""
_LEGEND_PX: Final = 26
_PANEL_PX: Final = 260
_MARGIN: Final = 16
_BAR_PX: Final = 15
_INK: Final = (31, 41, 55)
_FAINT: Final = (107, 114, 128)
_PAPER: Final = (249, 250, 251)
_TRACK: Final = (229, 231, 235)
_TRACK_INK: Final = (147, 178, 220)
_COLOURS: Final = {
    Outcome.READ: (21, 128, 61),
    Outcome.DOUBT: (194, 65, 12),
    Outcome.BLANK: (107, 114, 128),
    Outcome.NOT_A_NUMBER: (185, 28, 28),
}
_WORDS: Final = {
    Outcome.READ: "read",
    Outcome.DOUBT: "doubt",
    Outcome.BLANK: "blank",
    Outcome.NOT_A_NUMBER: "not a number",
}


def annotate(image: Image.Image | UInt8[np.ndarray, "height width *colours"], digit: Digit) -> Image.Image:
    """The picture (upright, as its box counts pixels) with the answer marked, and a panel with glyph and bars."""
    picture = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    marked = _marked(picture, digit)
    glyph_px = _PANEL_PX - 2 * _MARGIN
    height = max(marked.height, 4 * _MARGIN + 40 + glyph_px + 10 * (_BAR_PX + 3))
    sheet = Image.new("RGB", (marked.width + _PANEL_PX, height), _PAPER)
    sheet.paste(marked, (0, (height - marked.height) // 2))
    _draw_panel(ImageDraw.Draw(sheet), sheet, digit, left=marked.width + _MARGIN)
    return sheet


def annotate_numbers(
    image: Image.Image | UInt8[np.ndarray, "height width *colours"], numbers: Sequence[Number]
) -> Image.Image:
    """The picture with each number's box, its digits' boxes, its text and how sure it is; a legend below."""
    picture = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    shown, scale = _shown(picture, most_px=_MOST_PAGE_PX)
    sheet = Image.new("RGB", (shown.width, shown.height + _LABEL_PX + _LEGEND_PX), _PAPER)
    sheet.paste(shown, (0, _LABEL_PX))
    pen = ImageDraw.Draw(sheet)
    for number in numbers:
        _draw_number(pen, number, scale=scale, limits=shown.size)
    counts = Counter(number.outcome for number in numbers)
    legend = "   ".join(f"{counts[outcome]} {_WORDS[outcome]}" for outcome in Outcome if counts[outcome])
    place = (_MARGIN // 2, shown.height + _LABEL_PX + 4)
    pen.text(place, legend or "no number found", font=ImageFont.load_default(14), fill=_FAINT)
    return sheet


def _draw_number(pen: ImageDraw.ImageDraw, number: Number, *, scale: float, limits: tuple[int, int]) -> None:
    """One number's boxes, and above them its text."""
    if number.box is None:
        return
    colour = _COLOURS[number.outcome]
    for digit in number.digits:
        if digit.box is not None:
            pen.rectangle(_frame(digit.box, scale, limits, line=0, down=_LABEL_PX), outline=_TRACK_INK, width=1)
    frame = _frame(number.box, scale, limits, line=3, down=_LABEL_PX)
    pen.rectangle(frame, outline=colour, width=2)
    said = f"{number.text} {percent(number.confidence)}" if number.text else _WORDS[number.outcome]
    font = ImageFont.load_default(15)
    width = pen.textlength(said, font=font)
    left, top = max(0, min(frame[0], limits[0] - width - 4)), max(0, frame[1] - 18)
    pen.rectangle((left, top, left + width + 4, top + 17), fill=_PAPER)
    pen.text((left + 2, top), said, font=font, fill=colour)


def _marked(image: Image.Image, digit: Digit) -> Image.Image:
    """The picture at a size that can be looked at, with the box and the answer on it."""
    marked, scale = _shown(image, most_px=_MOST_PX)
    if digit.box is not None:
        pen, line = ImageDraw.Draw(marked), max(2, max(marked.size) // 200)
        pen.rectangle(_frame(digit.box, scale, marked.size, line=line), outline=_COLOURS[digit.outcome], width=line)
    return marked


def _shown(image: Image.Image, *, most_px: int) -> tuple[Image.Image, float]:
    """The picture on white at a size that can be looked at, and how many of its pixels one of the given became."""
    longest = max(image.size)
    scale = _LEAST_PX / longest if longest < _LEAST_PX else min(1.0, most_px / longest)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    flat = Image.new("RGBA", image.size, "white")
    flat.alpha_composite(image.convert("RGBA"))
    how = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
    return flat.convert("RGB").resize(size, how), scale


def _frame(
    box: Box, scale: float, limits: tuple[int, int], *, line: int, down: int = 0
) -> tuple[float, float, float, float]:
    """The box enlarged, with room for the line around it, moved down, and within (width, height)."""
    left, top, right, bottom = (edge * scale for edge in box.as_list())
    return (
        max(left - line, 0),
        max(top - line, 0) + down,
        min(right + line, limits[0]) - 1,
        min(bottom + line, limits[1]) - 1 + down,
    )


def _draw_panel(pen: ImageDraw.ImageDraw, sheet: Image.Image, digit: Digit, *, left: int) -> None:
    """The answer in words, the glyph, and a bar for each digit's probability."""
    colour = _COLOURS[digit.outcome]
    value = "-" if digit.value is None else str(digit.value)
    pen.text((left, _MARGIN - 6), value, font=ImageFont.load_default(44), fill=colour)
    pen.text((left + 44, _MARGIN), _WORDS[digit.outcome], font=ImageFont.load_default(20), fill=colour)
    if digit.glyph is None:
        pen.text((left, 4 * _MARGIN + 10), "no ink found", font=ImageFont.load_default(14), fill=_FAINT)
        return
    sure = "no digit stands out" if digit.value is None else f"{percent(digit.confidence)} sure"
    pen.text((left + 44, _MARGIN + 24), sure, font=ImageFont.load_default(14), fill=_FAINT)
    glyph_px, top = _PANEL_PX - 2 * _MARGIN, 2 * _MARGIN + 40
    seen = Image.fromarray((np.clip(digit.glyph, 0, 1) * 255).astype(np.uint8))
    sheet.paste(seen.resize((glyph_px, glyph_px), Image.Resampling.NEAREST).convert("RGB"), (left, top))
    for number, share in enumerate(digit.probabilities):
        _draw_bar(pen, number, share, left=left, top=top + glyph_px + _MARGIN // 2 + number * (_BAR_PX + 3))


def _draw_bar(pen: ImageDraw.ImageDraw, number: int, share: float, *, left: int, top: int) -> None:
    """One digit's probability, from 0 to the panel's width."""
    font = ImageFont.load_default(13)
    start, end = left + 16, left + _PANEL_PX - 2 * _MARGIN - 44
    likely = share >= 0.5
    pen.text((left, top - 1), str(number), font=font, fill=_INK if likely else _FAINT)
    pen.rectangle((start, top + 2, end, top + _BAR_PX - 2), fill=_TRACK)
    if share >= 0.005:
        length = max(2, round((end - start) * share))
        pen.rectangle((start, top + 2, start + length, top + _BAR_PX - 2), fill=_INK if likely else _FAINT)
    pen.text((end + 6, top - 1), percent(share), font=font, fill=_INK if likely else _FAINT)
