"""Draw the README's first picture: samples, each with its result and the glyph that the model saw.

python scripts/draw_hero.py        # writes docs/pictures/reading.png
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from handigit import Digit, Outcome, Reader
from handigit.records import percent

PROJECT = Path(__file__).resolve().parents[1]
PICTURE = PROJECT / "docs" / "pictures" / "reading.png"
SHOWN = (
    "digits/telephone-4.jpg", "digits/chalkboard-8.jpg", "digits/squared-5.png", "digits/crossed-7.webp",
    "digits/shadow-9.jpg", "digits/printed-box-7.png", "digits/off-centre-5.png", "digits/thin-pen-6.png",
    "digits/slashed-0.png", "digits/turned-by-exif-3.jpg", "not_digits/letter-k.png", "blank/ruled-sheet.png",
)  # fmt: skip
COLUMNS, CELL, GAP, CAPTION = 6, 200, 16, 62
INK, FAINT = (31, 41, 55), (107, 114, 128)
COLOURS = {
    Outcome.READ: (21, 128, 61),
    Outcome.DOUBT: (194, 65, 12),
    Outcome.BLANK: (107, 114, 128),
    Outcome.NOT_A_NUMBER: (185, 28, 28),
}


def upright(path: Path) -> Image.Image:
    """The picture upright, transparency on white."""
    with Image.open(path) as picture:
        coloured = ImageOps.exif_transpose(picture).convert("RGBA")
    flat = Image.new("RGBA", coloured.size, "white")
    flat.alpha_composite(coloured)
    return flat.convert("RGB")


def cell(path: Path, digit: Digit) -> Image.Image:
    """A sample with its box, above the result and the glyph."""
    picture = upright(path)
    scale = CELL / max(picture.size)
    shown = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.LANCZOS)
    sheet = Image.new("RGB", (CELL, CELL + CAPTION), "white")
    left, top = (CELL - shown.width) // 2, (CELL - shown.height) // 2
    pen, colour = ImageDraw.Draw(sheet), COLOURS[digit.outcome]
    pen.rectangle((0, 0, CELL - 1, CELL - 1), fill=(243, 244, 246))
    sheet.paste(shown, (left, top))
    if digit.box:
        box = digit.box
        edges = (left + box.left * scale - 3, top + box.top * scale - 3)
        pen.rectangle((*edges, left + box.right * scale + 2, top + box.bottom * scale + 2), outline=colour, width=3)
    words = digit.outcome.value.replace("_", " ")
    if digit.value is None:
        pen.text((4, CELL + 20), words, font=ImageFont.load_default(20), fill=colour)
    else:
        pen.text((4, CELL + 2), str(digit.value), font=ImageFont.load_default(50), fill=colour)
        pen.text((44, CELL + 10), words, font=ImageFont.load_default(20), fill=colour)
        pen.text((44, CELL + 34), percent(digit.confidence), font=ImageFont.load_default(18), fill=FAINT)
    if digit.glyph is not None:
        seen = Image.fromarray((digit.glyph * 255).astype(np.uint8)).resize((56, 56), Image.Resampling.NEAREST)
        sheet.paste(seen.convert("RGB"), (CELL - 56, CELL + 6))
    return sheet


def main() -> None:
    """Read, draw, write."""
    reader = Reader()
    cells = [cell(PROJECT / "samples" / name, reader.digit(PROJECT / "samples" / name)) for name in SHOWN]
    rows = -(-len(cells) // COLUMNS)
    size = COLUMNS * (CELL + GAP) + GAP, rows * (CELL + CAPTION + GAP) + GAP
    sheet = Image.new("RGB", size, "white")
    for index, picture in enumerate(cells):
        row, column = divmod(index, COLUMNS)
        sheet.paste(picture, (GAP + column * (CELL + GAP), GAP + row * (CELL + CAPTION + GAP)))
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    sheet.quantize(128, dither=Image.Dither.FLOYDSTEINBERG).save(PICTURE, optimize=True)
    print(f"wrote {PICTURE.relative_to(PROJECT)}: {PICTURE.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
