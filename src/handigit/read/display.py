"""Results for people: drawn on their picture, shown in a notebook, or as a table."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont, ImageOps, UnidentifiedImageError

from handigit.images import Source, open_pages
from handigit.images.grey import DEEP_MODES
from handigit.records import Box, Digit, Number, Outcome, percent

if TYPE_CHECKING:
    import pandas as pd

    from handigit.read.document import PageReading

_MIN_SIDE_PX: Final = 320
"""Longer side below which a picture is enlarged, so that labels are legible."""
_MAX_SIDE_PX: Final = 960
_MAX_PAGE_SIDE_PX: Final = 1600
_LABEL_PX: Final = 20
"""Margin above the picture for the label of a number at its top edge."""
_LEGEND_PX: Final = 26
_PANEL_PX: Final = 260
_MARGIN: Final = 16
_BAR_PX: Final = 15
_INK: Final = (31, 41, 55)
_FAINT: Final = (107, 114, 128)
_PAPER: Final = (249, 250, 251)
_TRACK: Final = (229, 231, 235)
_TRACK_INK: Final = (147, 178, 220)
_MAX_COLOUR_PX: Final = 40_000_000
"""Larger pictures are annotated on the decoded grey page."""
_COLOURS: Final = {
    Outcome.READ: (21, 128, 61),
    Outcome.DOUBT: (194, 65, 12),
    Outcome.BLANK: (107, 114, 128),
    Outcome.NOT_A_NUMBER: (185, 28, 28),
}
COLUMNS: Final = ("page", "raw", "text", "value", "outcome", "confidence", "left", "top", "right", "bottom")
"""Columns of `to_dataframe`."""


def annotate(image: Image.Image | UInt8[np.ndarray, "height width *colours"], digit: Digit) -> Image.Image:
    """The picture (upright, in the pixels of its box) with the digit marked, and a panel with its glyph and bars."""
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
    """The picture with each number's box, text and confidence, its digits' boxes, and a legend below."""
    picture = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    canvas, scale = _resized_on_white(picture, max_side_px=_MAX_PAGE_SIDE_PX)
    sheet = Image.new("RGB", (canvas.width, canvas.height + _LABEL_PX + _LEGEND_PX), _PAPER)
    sheet.paste(canvas, (0, _LABEL_PX))
    pen = ImageDraw.Draw(sheet)
    for number in numbers:
        _draw_number(pen, number, scale=scale, size=canvas.size)
    counts = Counter(number.outcome for number in numbers)
    legend = "   ".join(f"{counts[outcome]} {outcome.label}" for outcome in Outcome if counts[outcome])
    corner = (_MARGIN // 2, canvas.height + _LABEL_PX + 4)
    pen.text(corner, legend or "no number found", font=ImageFont.load_default(14), fill=_FAINT)
    return sheet


def _draw_number(pen: ImageDraw.ImageDraw, number: Number, *, scale: float, size: tuple[int, int]) -> None:
    """Draw one number's boxes, with its text above them."""
    if number.box is None:
        return
    colour = _COLOURS[number.outcome]
    for digit in number.digits:
        if digit.box is not None:
            pen.rectangle(_frame(digit.box, scale, size, line=0, down=_LABEL_PX), outline=_TRACK_INK, width=1)
    frame = _frame(number.box, scale, size, line=3, down=_LABEL_PX)
    pen.rectangle(frame, outline=colour, width=2)
    label = f"{number.raw} {percent(number.confidence)}" if number.text else number.outcome.label
    font = ImageFont.load_default(15)
    width = pen.textlength(label, font=font)
    left, top = max(0, min(frame[0], size[0] - width - 4)), max(0, frame[1] - 18)
    pen.rectangle((left, top, left + width + 4, top + 17), fill=_PAPER)
    pen.text((left + 2, top), label, font=font, fill=colour)


def _marked(image: Image.Image, digit: Digit) -> Image.Image:
    """The picture at display size with the digit's box."""
    marked, scale = _resized_on_white(image, max_side_px=_MAX_SIDE_PX)
    if digit.box is not None:
        pen, line = ImageDraw.Draw(marked), max(2, max(marked.size) // 200)
        pen.rectangle(_frame(digit.box, scale, marked.size, line=line), outline=_COLOURS[digit.outcome], width=line)
    return marked


def _resized_on_white(image: Image.Image, *, max_side_px: int) -> tuple[Image.Image, float]:
    """The picture on white at display size, and the scale from its own size."""
    longest = max(image.size)
    scale = _MIN_SIDE_PX / longest if longest < _MIN_SIDE_PX else min(1.0, max_side_px / longest)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    flat = Image.new("RGBA", image.size, "white")
    flat.alpha_composite(image.convert("RGBA"))
    resampling = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
    return flat.convert("RGB").resize(size, resampling), scale


def _frame(
    box: Box, scale: float, size: tuple[int, int], *, line: int, down: int = 0
) -> tuple[float, float, float, float]:
    """The scaled box with room for the line around it, clipped to `size` (width, height) and shifted `down`."""
    left, top, right, bottom = (edge * scale for edge in box.as_list())
    return (
        max(left - line, 0),
        max(top - line, 0) + down,
        min(right + line, size[0]) - 1,
        min(bottom + line, size[1]) - 1 + down,
    )


def _draw_panel(pen: ImageDraw.ImageDraw, sheet: Image.Image, digit: Digit, *, left: int) -> None:
    """Draw the outcome, the glyph, and a bar for each digit's probability."""
    colour = _COLOURS[digit.outcome]
    value = "-" if digit.value is None else str(digit.value)
    pen.text((left, _MARGIN - 6), value, font=ImageFont.load_default(44), fill=colour)
    pen.text((left + 44, _MARGIN), digit.outcome.label, font=ImageFont.load_default(20), fill=colour)
    if digit.glyph is None:
        pen.text((left, 4 * _MARGIN + 10), "no ink found", font=ImageFont.load_default(14), fill=_FAINT)
        return
    confidence = "no digit stands out" if digit.value is None else f"{percent(digit.confidence)} sure"
    pen.text((left + 44, _MARGIN + 24), confidence, font=ImageFont.load_default(14), fill=_FAINT)
    glyph_px, top = _PANEL_PX - 2 * _MARGIN, 2 * _MARGIN + 40
    glyph = Image.fromarray((np.clip(digit.glyph, 0, 1) * 255).astype(np.uint8))
    sheet.paste(glyph.resize((glyph_px, glyph_px), Image.Resampling.NEAREST).convert("RGB"), (left, top))
    for number, probability in enumerate(digit.probabilities):
        _draw_bar(pen, number, probability, left=left, top=top + glyph_px + _MARGIN // 2 + number * (_BAR_PX + 3))


def _draw_bar(pen: ImageDraw.ImageDraw, value: int, probability: float, *, left: int, top: int) -> None:
    """Draw one digit's probability as a bar."""
    font = ImageFont.load_default(13)
    start, end = left + 16, left + _PANEL_PX - 2 * _MARGIN - 44
    likely = probability >= 0.5
    pen.text((left, top - 1), str(value), font=font, fill=_INK if likely else _FAINT)
    pen.rectangle((start, top + 2, end, top + _BAR_PX - 2), fill=_TRACK)
    if probability >= 0.005:
        length = max(2, round((end - start) * probability))
        pen.rectangle((start, top + 2, start + length, top + _BAR_PX - 2), fill=_INK if likely else _FAINT)
    pen.text((end + 6, top - 1), percent(probability), font=font, fill=_INK if likely else _FAINT)


def write_annotated(source: Path | IO[bytes], index: int, result: "PageReading", path: Path) -> None:
    """Write page `index` of a file with its results: one digit and its glyph, or the numbers' boxes."""
    picture = _in_colour(source, index, result.page)
    path.parent.mkdir(parents=True, exist_ok=True)
    (annotate(picture, result.digit) if result.digit else annotate_numbers(picture, result.numbers)).save(path)


def _in_colour(source: Path | IO[bytes], index: int, page: UInt8[np.ndarray, "height width"]) -> Image.Image:
    """The page in its own colours, upright; the decoded grey page where that is not possible."""
    if page.size > _MAX_COLOUR_PX:
        return Image.fromarray(page)
    if not isinstance(source, Path):
        source.seek(0)
    try:
        with Image.open(source) as picture:
            picture.seek(index)
            if picture.mode in DEEP_MODES:
                return Image.fromarray(page)
            return ImageOps.exif_transpose(picture).convert("RGBA")
    except (UnidentifiedImageError, EOFError):  # a PDF, or frames that are counted differently
        return Image.fromarray(page)


def show(image: Source, results: Digit | Number | Sequence[Number], *, page: int = 0) -> Image.Image:
    """The picture with the results drawn on it, as a Pillow image; a notebook displays it.

    `page`: the page of a document, from 0; numbers of other pages are left out.

    Raises:
        ImageError: the picture cannot be decoded.
        IndexError: the document has no such page.
    """
    pages = list(open_pages(image))
    if not 0 <= page < len(pages):
        raise IndexError(f"page {page} of a document with {len(pages)} pages; pages count from 0")
    if isinstance(results, Digit):
        return annotate(pages[page], results)
    numbers = [results] if isinstance(results, Number) else results
    return annotate_numbers(pages[page], [number for number in numbers if number.page == page])


def to_dataframe(results: Digit | Number | Sequence[Digit | Number]) -> "pd.DataFrame":
    """One row per result; `COLUMNS` names the columns. Needs pandas.

    Raises:
        ImportError: pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError:
        raise ImportError("to_dataframe needs pandas: pip install pandas") from None
    several = [results] if isinstance(results, Digit | Number) else results
    return pd.DataFrame([_row(result) for result in several], columns=list(COLUMNS))


def _row(result: Digit | Number) -> dict[str, Any]:
    number = result.as_number() if isinstance(result, Digit) else result
    sides = number.box.as_list() if number.box else [None] * 4
    values = (number.page, number.raw, number.text, number.value, number.outcome.value, number.confidence, *sides)
    return dict(zip(COLUMNS, values, strict=True))
