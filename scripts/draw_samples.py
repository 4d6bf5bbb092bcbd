"""Draw the pictures under samples/: synthetic handwriting from fixed seeds.

    python scripts/draw_samples.py [FOLDER]

The pictures are documentation, fixture and snapshot test at once: each folder's `expected.json` holds the expected
outcome and text of each file. Run it again after a change of `synth` and look at the results.
"""

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from handigit.synth import Camera, Paper, Pen, Scene, Writer, picture
from handigit.synth.photo_paper import Rgb

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
ROTATED_90_CLOCKWISE = 6
"""EXIF orientation of a phone held upright: viewers rotate the stored picture by a quarter turn clockwise."""

BLACK, BLUE, GREY, RED, WHITE = (24, 24, 28), (28, 44, 130), (74, 74, 80), (160, 36, 44), (238, 238, 232)
PLAIN, CREAM = Paper(texture=1.0), Paper(colour=(244, 238, 222), texture=2.0)
SCANNER = Camera(blur_px=0.5, noise=1.0)
TELEPHONE = Camera(uneven=0.35, shadow=0.3, tilt=0.03, blur_px=1.0, noise=5.0, contrast=0.8, jpeg=80)
BALLPOINT, FELT, MARKER, PENCIL, HAIR = (
    Pen("ballpoint", 0.06, 0.25, 0.9, 0.2),
    Pen("felt", 0.12, 0.2, 0.95, 0.05),
    Pen("marker", 0.2, 0.1, 0.97, 0.05),
    Pen("pencil", 0.065, 0.35, 0.75, 0.5),
    Pen("ballpoint", 0.028, 0.2, 0.9, 0.1),
)
MOUSE = Pen("mouse", 0.07, 0.0, 1.0, 0.0, jagged=True)


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture to draw. `allograph` fixes the way of writing a digit; `size_px` is (height, width)."""

    file: str
    text: str
    seed: int
    allograph: str = ""
    pen: Pen = FELT
    ink: Rgb = BLACK
    paper: Paper = PLAIN
    camera: Camera = SCANNER
    size_px: tuple[int, int] = (200, 200)
    height: float = 0.55
    place: tuple[float, float] = (0.5, 0.5)
    finish: str = ""
    outcome: str | tuple[str, ...] = "read"


DIGIT_SAMPLES = (
    Sample("plain-3.png", "3", 1, "round"),
    Sample("off-centre-5.png", "5", 2, "top bar", size_px=(240, 320), height=0.3, place=(0.82, 0.76), ink=BLUE),
    Sample("white-on-black-2.png", "2", 3, "loop", pen=replace(FELT, width=0.09), ink=WHITE,
           paper=Paper((22, 24, 26), texture=3)),
    Sample("chalkboard-8.jpg", "8", 4, "figure eight", pen=replace(PENCIL, width=0.1, darkness=0.95),
           paper=Paper((38, 66, 54), texture=6), ink=WHITE, camera=Camera(uneven=0.3, blur_px=0.7, noise=3, jpeg=85),
           size_px=(300, 360)),
    Sample("thin-pen-6.png", "6", 5, "curved", pen=HAIR, ink=BLUE, size_px=(320, 320), height=0.6),
    Sample("thick-felt-0.png", "0", 6, "oval", pen=MARKER),
    Sample("telephone-4.jpg", "4", 7, "closed", pen=BALLPOINT, ink=BLUE, paper=CREAM, camera=TELEPHONE,
           size_px=(480, 640), height=0.4, place=(0.47, 0.52)),
    Sample("shadow-9.jpg", "9", 81, "straight stem", paper=CREAM, size_px=(420, 420),
           camera=Camera(uneven=0.25, shadow=0.55, blur_px=1.2, noise=6, contrast=0.75, jpeg=70)),
    Sample("printed-box-7.png", "7", 9, "plain", pen=BALLPOINT, ink=BLUE, height=0.5,
           paper=Paper(print_colour=(40, 40, 40), frame=True)),
    Sample("ruled-2.png", "2", 10, "plain", pen=BALLPOINT, ink=BLUE, size_px=(260, 360), height=0.3,
           paper=Paper(colour=(250, 250, 246), ruling="ruled", spacing=1.0, print_colour=(150, 178, 214))),
    Sample("squared-5.png", "5", 11, "one stroke", pen=PENCIL, ink=GREY, size_px=(300, 300), height=0.4,
           paper=Paper(colour=(250, 250, 247), ruling="squared", spacing=0.55, print_colour=(176, 196, 220))),
    Sample("transparent-6.png", "6", 12, "straight stem", pen=MOUSE, finish="transparent"),
    Sample("turned-by-exif-3.jpg", "3", 13, "flat top", ink=RED, size_px=(400, 300), height=0.4, finish="exif",
           paper=CREAM, camera=Camera(uneven=0.25, blur_px=0.8, noise=3, jpeg=85)),
    Sample("large-photo-8.jpg", "8", 14, "open top", pen=replace(FELT, width=0.09), ink=BLACK, paper=CREAM,
           size_px=(1500, 2000), height=0.13, place=(0.36, 0.58), finish="photo",
           camera=Camera(uneven=0.4, shadow=0.2, tilt=0.02, blur_px=1.5, noise=2, contrast=0.85)),
    Sample("tiny-28-pixels-4.png", "4", 15, "open", size_px=(28, 28), height=0.68, pen=replace(FELT, width=0.13)),
    Sample("crossed-7.webp", "7", 161, "crossed", ink=BLUE, finish="webp"),
    Sample("european-1.bmp", "1", 17, "long flag", size_px=(120, 120), pen=replace(FELT, width=0.09),
           outcome=("read", "doubt")),  # its stem leans like a 7's
    Sample("plain-1.png", "1", 18, "plain", pen=BALLPOINT),
    Sample("open-4.png", "4", 19, "open, slanting", ink=BLUE),
    Sample("slashed-0.png", "0", 20, "slashed", pen=BALLPOINT, size_px=(240, 240)),
    Sample("pencil-9.tiff", "9", 21, "hooked", pen=PENCIL, ink=GREY, paper=CREAM, size_px=(180, 160), finish="tiff"),
    Sample("faint-0.jpg", "0", 22, "overlapping", pen=replace(PENCIL, width=0.08, darkness=0.6), ink=GREY, paper=CREAM,
           camera=Camera(uneven=0.15, blur_px=1.0, noise=4, contrast=0.55, jpeg=75), size_px=(260, 260)),
)  # fmt: skip

BLANK_SAMPLES = (
    Sample("textured-sheet.png", "", 31, paper=Paper(colour=(240, 234, 218), texture=5.0), size_px=(180, 240)),
    Sample("empty-box.png", "", 32, paper=Paper(print_colour=(60, 60, 60), frame=True)),
    Sample("shadow-only.jpg", "", 33, paper=CREAM, size_px=(300, 400),
           camera=Camera(uneven=0.35, shadow=0.4, blur_px=1, noise=5, contrast=0.8, jpeg=75)),
    Sample("ruled-sheet.png", "", 34, size_px=(240, 320), height=0.25,
           paper=Paper(ruling="ruled", spacing=0.9, print_colour=(150, 178, 214))),
)  # fmt: skip

OTHER_SAMPLES = (
    Sample("letter-A.png", "A", 41),
    Sample("letter-k.png", "k", 42, pen=BALLPOINT, ink=BLUE, paper=CREAM),
    Sample("scribble.png", "scribble", 402, pen=BALLPOINT, ink=BLUE, size_px=(200, 280)),
    Sample(
        "crossed-out.jpg", "crossed_out", 44, paper=CREAM, camera=replace(TELEPHONE, shadow=0.0), size_px=(300, 300)
    ),
    Sample("two-digits.png", "42", 45, ink=BLUE, size_px=(200, 260), height=0.5),
)


def main() -> None:
    """Draw all samples and write the expected results."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else SAMPLES
    draw(folder / "digits", DIGIT_SAMPLES, lambda sample: {"outcome": sample.outcome, "text": sample.text})
    draw(folder / "blank", BLANK_SAMPLES, lambda _: {"outcome": "blank", "text": ""})
    draw(folder / "not_digits", OTHER_SAMPLES, lambda _: {"outcome": ["not_a_number", "doubt"]})


def draw(folder: Path, samples: tuple[Sample, ...], expected: Any) -> None:
    """Write these pictures and their `expected.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    for sample in samples:
        save(pixels(sample), folder / sample.file, sample.finish)
    text = json.dumps({sample.file: expected(sample) for sample in samples}, indent=2)
    (folder / "expected.json").write_text(text + "\n", encoding="utf-8")
    print(f"{folder}: {len(samples)} pictures, {sum(p.stat().st_size for p in folder.iterdir()) / 1e3:.0f} kB")


def pixels(sample: Sample) -> UInt8[np.ndarray, "h w 3"]:
    """The sample's picture."""
    scene = Scene(
        writer=writer_of(sample),
        pen=sample.pen,
        paper=sample.paper,
        camera=sample.camera,
        ink=sample.ink,
        height=sample.height,
        place=sample.place,
    )
    return picture(sample.text, seed=sample.seed, size_px=sample.size_px, scene=scene).pixels


def writer_of(sample: Sample) -> Writer:
    """A legible writer who uses the sample's allograph."""
    writer = Writer.draw(np.random.default_rng(sample.seed))
    writer = replace(writer, slant=writer.slant / 2, aspect=1.05, habit=writer.habit / 2, warp=writer.warp / 2)
    writer = replace(writer, tremor=writer.tremor / 2)
    return writer.preferring(int(sample.text), sample.allograph) if sample.allograph else writer


def save(image: UInt8[np.ndarray, "h w 3"], path: Path, finish: str) -> None:
    """Write the picture in the format of its name, with the sample's finish."""
    drawn = Image.fromarray(image)
    if finish == "transparent":
        ink = 255 - np.asarray(drawn.convert("L"))
        alpha = Image.fromarray(np.clip((ink.astype(float) - 20) * 1.15, 0, 255).astype(np.uint8))
        drawn = Image.new("RGBA", drawn.size, (24, 24, 28, 0))
        drawn.putalpha(alpha)
        drawn.save(path, optimize=True)
    elif finish == "exif":
        exif = Image.Exif()
        exif[0x0112] = ROTATED_90_CLOCKWISE
        drawn.transpose(Image.Transpose.ROTATE_90).save(path, quality=82, exif=exif)
    elif path.suffix == ".jpg":
        drawn.save(path, quality=60 if finish == "photo" else 82)
    elif path.suffix == ".webp":
        drawn.save(path, quality=80)
    elif path.suffix == ".tiff":
        drawn.convert("L").save(path, compression="tiff_lzw")
    elif path.suffix == ".bmp":
        drawn.convert("L").save(path)
    else:
        drawn.quantize(96, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main()
