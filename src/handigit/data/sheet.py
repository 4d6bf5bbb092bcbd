"""A set as one PNG: figures, two bar charts, and a contact sheet of samples with their labels.

It knows how to draw, not what to count: that is `summary.py`.
"""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from jaxtyping import Int64
from PIL import Image, ImageDraw, ImageFont

from handigit.data.atomic import replacing
from handigit.data.dataset import Dataset
from handigit.data.summary import Bar, choose_samples, label_of, summarise

_ENLARGED_PX = 56  # a glyph's side on the sheet: twice its own
_CELL_PX = _ENLARGED_PX + 20  # with its label above
_ACROSS = 10
_WIDTH_PX = _ACROSS * _CELL_PX + 20
_LINE_PX = 18
_TEXT, _MUTED, _BAR = "#1c1c1c", "#6a6a6a", "#2a7f9e"


def write_png(dataset: Dataset, path: Path, *, samples: int, seed: int) -> None:
    """The set at a glance as a picture 780 pixels wide.

    Raises:
        DataError: the file cannot be written.
    """
    summary = summarise(dataset)
    grid = contact_sheet(dataset, choose_samples(dataset, count=samples, seed=seed))
    facts_px, charts_px = (len(summary.facts) + 1) * _LINE_PX, 12 * _LINE_PX
    sheet = Image.new("RGB", (_WIDTH_PX, facts_px + charts_px + grid.height + 10), "white")
    draw = ImageDraw.Draw(sheet)
    for number, (name, value) in enumerate(summary.facts):
        draw.text((10, 8 + number * _LINE_PX), name, fill=_MUTED, font=_font())
        draw.text((110, 8 + number * _LINE_PX), value, fill=_TEXT, font=_font())
    _draw_chart(draw, (10, facts_px), "class balance", summary.balance)
    _draw_chart(draw, (_WIDTH_PX // 2, facts_px), "intensity of the pixels that are not 0", summary.intensity)
    sheet.paste(grid, (10, facts_px + charts_px))
    with replacing(path) as stream:
        stream.write(encode_png(sheet))


def contact_sheet(dataset: Dataset, chosen: Int64[np.ndarray, " m"]) -> Image.Image:
    """The chosen glyphs in rows of ten, ink dark on light, each under its label."""
    rows = -(-len(chosen) // _ACROSS)
    sheet = Image.new("L", (_ACROSS * _CELL_PX, max(rows * _CELL_PX, 1)), 255)
    draw = ImageDraw.Draw(sheet)
    for place, index in enumerate(chosen.tolist()):
        left, top = place % _ACROSS * _CELL_PX, place // _ACROSS * _CELL_PX
        draw.text((left, top), label_of(dataset, index), fill=0, font=_font())
        glyph = Image.fromarray(255 - dataset.glyphs[index])
        sheet.paste(glyph.resize((_ENLARGED_PX, _ENLARGED_PX), Image.Resampling.NEAREST), (left, top + 16))
    return sheet


def encode_png(picture: Image.Image) -> bytes:
    """The picture as a PNG file's bytes."""
    buffer = BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def _draw_chart(draw: ImageDraw.ImageDraw, corner: tuple[int, int], title: str, bars: Sequence[Bar]) -> None:
    left, top = corner
    draw.text((left, top), title if bars else f"{title}: not known", fill=_MUTED, font=_font())
    for number, bar in enumerate(bars, start=1):
        y = top + number * _LINE_PX
        draw.text((left, y), bar.label, fill=_TEXT, font=_font())
        draw.rectangle((left + 60, y + 3, left + 60 + round(200 * bar.share), y + 14), fill=_BAR)
        draw.text((left + 268, y), f"{bar.value:,}", fill=_TEXT, font=_font())


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font: nothing to find on the machine."""
    return ImageFont.load_default(13)
