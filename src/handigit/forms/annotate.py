"""Pages with the results drawn on them: each field framed by its outcome, its text beside it."""

from pathlib import Path
from typing import Final

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from handigit.forms.page_ink import Grey
from handigit.forms.record import Field, FieldOutcome, Record
from handigit.forms.template import Template

_COLOURS: Final = {
    FieldOutcome.READ: (0, 130, 60),
    FieldOutcome.DOUBT: (215, 110, 0),
    FieldOutcome.BLANK: (130, 130, 130),
}
_LONGEST_PX: Final = 2400


def annotate_record(page: Grey, record: Record, *, number: int = 0) -> UInt8[np.ndarray, "_ _ 3"]:
    """The page in colour with the fields that were read on it; `number`: its place in its source, from 0."""
    scale = min(1.0, _LONGEST_PX / max(page.shape))
    picture = Image.fromarray(page).convert("RGB")
    if scale < 1:
        picture = picture.resize((round(page.shape[1] * scale), round(page.shape[0] * scale)))
    draw = ImageDraw.Draw(picture)
    for field in record.fields.values():
        if field.page == number and field.box is not None:
            _draw_field(draw, field, scale)
    return np.asarray(picture, np.uint8)


def _draw_field(draw: ImageDraw.ImageDraw, field: Field, scale: float) -> None:
    assert field.box is not None
    sides = [side * scale for side in field.box.as_list()]
    size = float(np.clip(0.4 * (sides[3] - sides[1]), 10, 36))
    colour = _COLOURS[field.outcome]
    draw.rectangle(sides, outline=colour, width=max(1, round(size / 10)))
    text = field.text or ("?" if field.outcome is FieldOutcome.DOUBT else "")
    if text:
        draw.text((sides[2] + 3, sides[1]), text, fill=colour, font=ImageFont.load_default(size))


def draw_template(template: Template, page: int = 1) -> UInt8[np.ndarray, "_ _ 3"]:
    """The blank of a page with the template's fields and their names on it."""
    from handigit.forms.blank import load_blanks

    blank = load_blanks(template)[page - 1]
    grow = 1.5
    paper = cv2.resize(blank.paper, None, fx=grow, fy=grow, interpolation=cv2.INTER_CUBIC)
    picture = Image.fromarray(np.asarray(paper, np.uint8)).convert("RGB")
    draw = ImageDraw.Draw(picture)
    for spec in blank.fields:
        for area in [area for _, area in spec.choices] or [spec.box]:
            sides = [side * blank.scale * grow for side in area.as_list()]
            draw.rectangle(sides, outline=(0, 90, 190), width=2)
            for place in range(1, spec.cells or 1):
                x = sides[0] + (sides[2] - sides[0]) * place / (spec.cells or 1)
                draw.line([x, sides[1], x, sides[3]], fill=(120, 170, 220))
        box = spec.box
        at = (box.left * blank.scale * grow + 2, box.top * blank.scale * grow + 1)
        draw.text(at, spec.name, fill=(190, 30, 30), font=ImageFont.load_default(11))
    return np.asarray(picture, np.uint8)


def save_picture(picture: UInt8[np.ndarray, "_ _ 3"], path: Path) -> None:
    """Write a picture as PNG; its folder is made if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)
