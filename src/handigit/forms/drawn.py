"""Forms filled in by drawn handwriting and seen by drawn scanners and cameras, with their true values.

For samples, tests and measurements. All handwriting is synthetic, from `handigit.synth`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float64, UInt8

from handigit.atomic import write_file
from handigit.forms.blank import render_print
from handigit.forms.drawn_values import draw_values
from handigit.forms.page_ink import Matrix, to_pixels, transform
from handigit.forms.specs import Area, FieldSpec, Kind
from handigit.forms.template import Template
from handigit.synth.real_digits import Hand, Hands
from handigit.synth.write_number import LineStyle, write_number
from handigit.synth.writer import Pen, Writer

Points = Float64[np.ndarray, "n 2"]
PAPER: Final = 255
_PEN_MM: Final = 0.5
_DIGIT: Final = 0.62
"""Height of a written digit, in heights of its box."""


@dataclass(frozen=True, eq=False)
class FilledPage:
    """A filled page as ink on paper: grey pixels at `px_per_mm`, and the written text by field."""

    pixels: UInt8[np.ndarray, "_ _"]
    px_per_mm: float
    template: Template
    page: int
    values: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Scan:
    """A page as seen: pixels, the matrix from millimetres of the flat form to them, and the written text.

    `curl_mm`: how far the curl of the sheet moves its middle, `width_mm` its width; see `places`.
    """

    pixels: UInt8[np.ndarray, "_ _"]
    matrix: Matrix
    values: Mapping[str, str]
    template: Template | None = None
    page: int = 1
    curl_mm: float = 0.0
    width_mm: float = 1.0

    def places(self, points: Points) -> Points:
        """Where points of the form, in millimetres, are on the picture, in pixels, with the sheet's curl."""
        curled = np.array(points, np.float64)
        curled[:, 1] -= self.curl_mm * (np.sin(curled[:, 0] * (np.pi / self.width_mm)) - 0.5)
        return transform(self.matrix, curled)


@dataclass(frozen=True, slots=True, eq=False)
class Someone:
    """Who fills in a form, with which pen, leaning how far, and with whose real digits if not drawn ones."""

    writer: Writer
    pen: Pen
    lean: float
    hand: Hand | None = None


@dataclass(frozen=True, slots=True)
class View:
    """How a filled page is seen. Angles in degrees, `dpi` of the result, the rest as fractions.

    `perspective`: how far corners move, of the side; `bend`: curl of the sheet, of its height; `fold`: depth of a
    fold's shadow; `light`: light lost at the darkest place; `noise`: grey levels; `blur`: pixels; `ring`: a coffee
    ring; `jpeg`: quality, 0 for none; `table`: whether the table around the sheet is seen.
    """

    dpi: int = 150
    rotation: float = 0.0
    perspective: float = 0.0
    bend: float = 0.0
    fold: float = 0.0
    light: float = 0.0
    noise: float = 0.0
    blur: float = 0.0
    ring: bool = False
    jpeg: int = 0
    table: bool = False
    upside_down: bool = False

    @classmethod
    def scanner(cls, rng: np.random.Generator, *, dpi: int | None = None) -> "View":
        """A flat-bed or feeder scanner: a little skew, noise, one in seven upside down."""
        return cls(
            dpi=dpi or int(rng.choice([100, 150, 200, 300])),
            rotation=float(rng.normal(0, 0.8)),
            bend=float(abs(rng.normal(0, 0.001))),
            noise=float(rng.uniform(0, 6)),
            blur=float(rng.uniform(0.2, 0.8)),
            fold=float(rng.choice([0.0, 0.0, 0.3])),
            ring=bool(rng.random() < 0.15),
            jpeg=int(rng.choice([0, 60, 85])),
            upside_down=bool(rng.random() < 1 / 7),
        )

    @classmethod
    def telephone(cls, rng: np.random.Generator, *, dpi: int | None = None) -> "View":
        """A photograph on a table: perspective, uneven light, curl, blur."""
        return cls(
            dpi=dpi or int(rng.choice([100, 150, 200])),
            rotation=float(rng.normal(0, 5)),
            perspective=float(rng.uniform(0.01, 0.06)),
            bend=float(rng.uniform(0, 0.006)),
            fold=float(rng.choice([0.0, 0.0, 0.4])),
            light=float(rng.uniform(0.1, 0.45)),
            noise=float(rng.uniform(1, 8)),
            blur=float(rng.uniform(0.4, 1.2)),
            ring=bool(rng.random() < 0.15),
            jpeg=int(rng.integers(55, 92)),
            table=True,
        )


def fill(
    template: Template,
    rng: np.random.Generator,
    *,
    page: int = 1,
    values: Mapping[str, str] | None = None,
    copy: str = "1",
    dpi: int = 200,
    hands: Hands | None = None,
) -> FilledPage:
    """Fill in one page by one hand; values that are not given are drawn so that the checks hold.

    `hands`: real digits to write with; none: drawn ones.
    """
    values = draw_values(template, rng) if values is None else values
    paper = render_print(template, page, longest_px=round(max(template.pages[page - 1].size) / 25.4 * dpi), copy=copy)
    ink = np.zeros(paper.shape, np.uint8)
    px_per_mm = paper.shape[1] / template.pages[page - 1].size[0]
    who = Someone(Writer.draw(rng), _pen(rng), float(rng.normal(0, 0.12)), hands.hand(rng) if hands else None)
    for spec in template.fields_on(page):
        if values.get(spec.name):
            _write(ink, spec, values[spec.name], px_per_mm, rng, who)
    darkness = float(rng.uniform(0.65, 1.0))
    pixels = np.clip(paper.astype(np.float32) * (1 - darkness * ink.astype(np.float32) / 255), 0, 255).astype(np.uint8)
    return FilledPage(pixels, px_per_mm, template, page, values)


def _pen(rng: np.random.Generator) -> Pen:
    """A pen that people fill in forms with: no marker, no mouse."""
    while (pen := Pen.draw(rng)).kind in {"felt", "marker", "mouse"}:
        pass
    return pen


def see(filled: FilledPage, view: View, rng: np.random.Generator) -> Scan:
    """The page as this scanner or telephone sees it."""
    sheet, per_mm = filled.pixels, filled.px_per_mm
    if view.ring:
        sheet = _ringed(sheet, rng)
    if view.fold:
        sheet = _folded(sheet, view.fold, rng)
    height, width = sheet.shape
    wanted = view.dpi / 25.4 / per_mm
    room = 0.12 if view.table else 0.02
    size = round(width * wanted * (1 + 2 * room)), round(height * wanted * (1 + 2 * room))
    matrix = _camera(width, height, wanted, size, view, rng)
    if wanted < 0.8:
        sheet = np.asarray(cv2.GaussianBlur(sheet, (0, 0), 0.45 / wanted), np.uint8)
    table = int(rng.uniform(40, 150)) if view.table else 252
    x, y = np.meshgrid(np.arange(size[0], dtype=np.float32), np.arange(size[1], dtype=np.float32))
    source = cv2.perspectiveTransform(np.stack([x, y], axis=2), np.linalg.inv(matrix))
    if view.bend:
        source[..., 1] += view.bend * height * np.sin(source[..., 0] * (np.pi / width)) - view.bend * height / 2
    across, down = np.ascontiguousarray(source[..., 0], np.float32), np.ascontiguousarray(source[..., 1], np.float32)
    seen = cv2.remap(sheet, across, down, cv2.INTER_LINEAR, borderValue=table)
    pixels = _exposed(np.asarray(seen, np.float32), view, rng)
    curl_mm, width_mm = view.bend * height / per_mm, width / per_mm
    return Scan(pixels, matrix @ to_pixels(per_mm), filled.values, filled.template, filled.page, curl_mm, width_mm)


def _camera(
    width: int, height: int, wanted: float, size: tuple[int, int], view: View, rng: np.random.Generator
) -> Matrix:
    """The homography from pixels of the sheet to pixels of the picture."""
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
    angle = np.deg2rad(view.rotation + (180 if view.upside_down else 0))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = (corners - [width / 2, height / 2]) * wanted @ turn.T + np.array(size) / 2
    moved += rng.uniform(-view.perspective, view.perspective, (4, 2)) * np.array(size)
    if view.table:  # photographers step back until the whole sheet is in view
        low, high = moved.min(axis=0), moved.max(axis=0)
        moved = (moved - (low + high) / 2) * min(1.0, *(0.97 * np.array(size) / (high - low))) + np.array(size) / 2
    return np.asarray(cv2.getPerspectiveTransform(corners.astype(np.float32), moved.astype(np.float32)), np.float64)


def _exposed(seen: np.ndarray, view: View, rng: np.random.Generator) -> UInt8[np.ndarray, "_ _"]:
    """Light, blur, noise and compression."""
    height, width = seen.shape
    if view.light:
        y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
        lamp = rng.uniform(-0.2, 1.2, 2)
        distance = (x - lamp[0]) ** 2 + (y - lamp[1]) ** 2
        seen = seen * (1 - view.light * distance / distance.max())
    if view.blur:
        seen = np.asarray(cv2.GaussianBlur(seen, (0, 0), view.blur))
    if view.noise:
        seen = seen + rng.normal(0, view.noise, seen.shape)
    pixels = np.clip(np.rint(seen), 0, 255).astype(np.uint8)
    if view.jpeg:
        _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, view.jpeg])
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)
    return np.asarray(pixels, np.uint8)


def _ringed(sheet: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The sheet with a coffee ring."""
    height, width = sheet.shape
    stain = np.zeros(sheet.shape, np.uint8)
    place = int(rng.uniform(0.2, 0.8) * width), int(rng.uniform(0.2, 0.8) * height)
    radius = int(rng.uniform(0.1, 0.2) * width)
    cv2.circle(stain, place, radius, 255, max(2, width // 90), cv2.LINE_AA)
    cv2.circle(stain, place, radius, 90, -1)
    strength = rng.uniform(0.1, 0.3) * cv2.GaussianBlur(stain, (0, 0), width / 400).astype(np.float32) / 255
    return np.asarray(sheet * (1 - strength), np.uint8)


def _folded(sheet: np.ndarray, depth: float, rng: np.random.Generator) -> np.ndarray:
    """The sheet with the shadow of a fold across it."""
    height, _ = sheet.shape
    place = rng.choice([1 / 3, 1 / 2, 2 / 3]) * height
    distance = (np.arange(height) - place) / (height / 60)
    shadow = 1 - depth * np.exp(-np.abs(distance)) * (distance > 0)
    return np.asarray(sheet * shadow[:, None], np.uint8)


def _write(
    ink: np.ndarray,
    spec: FieldSpec,
    text: str,
    px_per_mm: float,
    rng: np.random.Generator,
    who: Someone,
) -> None:
    """Write a value into its field, in place."""
    if spec.kind.is_written:
        _write_digits(ink, spec, text, px_per_mm, rng, who)
    elif spec.kind is Kind.PRESENT:
        _sign(ink, spec.box, px_per_mm, rng)
    elif spec.kind is Kind.CHOICE:
        _tick(ink, dict(spec.choices)[text], px_per_mm, rng)
    elif spec.kind is Kind.MARK and text == "yes":
        _tick(ink, spec.box, px_per_mm, rng)


def _write_digits(
    ink: np.ndarray,
    spec: FieldSpec,
    text: str,
    px_per_mm: float,
    rng: np.random.Generator,
    who: Someone,
) -> None:
    """One digit per cell, as a person aims for; without a comb, side by side."""
    box, cells = spec.box, spec.cells or len(text)
    first = cells - len(text) if spec.justify == "right" or spec.places else 0
    pitch = box.width / cells * px_per_mm
    height = _DIGIT * box.height * px_per_mm * float(rng.uniform(0.85, 1.1))
    for place, character in enumerate(text, start=first):
        style = LineStyle(gap=0, gap_sd=0, drift_sd=0, size_sd=0, lean=who.lean, wide=1)
        cover = write_number(
            character, rng, height_px=height, style=style, author=(who.writer, who.pen), hand=who.hand
        ).coverage
        rows, columns = np.flatnonzero(cover.any(axis=1)), np.flatnonzero(cover.any(axis=0))
        if not len(rows):
            continue
        cover = cover[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        room = 0.94 * pitch / cover.shape[1]
        if room < 1:
            cover = np.asarray(cv2.resize(cover, None, fx=room, fy=1, interpolation=cv2.INTER_AREA), np.uint8)
        x = box.left * px_per_mm + (place + 0.5) * pitch + rng.normal(0, 0.05) * pitch - cover.shape[1] / 2
        y = (box.top + box.bottom) / 2 * px_per_mm + rng.normal(0, 0.04) * height - cover.shape[0] / 2
        _lay(ink, cover, round(x), round(y))


def _lay(ink: np.ndarray, cover: np.ndarray, x: int, y: int) -> None:
    top, left = max(y, 0), max(x, 0)
    bottom, right = min(y + cover.shape[0], ink.shape[0]), min(x + cover.shape[1], ink.shape[1])
    if top < bottom and left < right:
        there = ink[top:bottom, left:right]
        np.maximum(there, cover[top - y : bottom - y, left - x : right - x], out=there)


def _tick(ink: np.ndarray, area: Area, px_per_mm: float, rng: np.random.Generator) -> None:
    """A cross or a tick, a little over the edges of a small box."""
    side = min(area.width, area.height)
    centre = np.array([(area.left + area.right) / 2, (area.top + area.bottom) / 2]) + rng.normal(0, 0.06 * side, 2)
    shapes: Sequence[Sequence[tuple[float, float]]]
    shapes = [[(-0.5, -0.5), (0.5, 0.5)], [(0.5, -0.5), (-0.5, 0.5)]] if rng.random() < 0.5 else [
        [(-0.4, 0.0), (-0.1, 0.4), (0.6, -0.6)]
    ]  # fmt: skip
    size = side * rng.uniform(0.7, 1.05)
    for shape in shapes:
        points = (centre + (np.array(shape) + rng.normal(0, 0.05, (len(shape), 2))) * size) * px_per_mm
        _stroke(ink, points, px_per_mm)


def _sign(ink: np.ndarray, area: Area, px_per_mm: float, rng: np.random.Generator) -> None:
    """A signature: loops that drift to the right."""
    count = 160
    along = np.linspace(0, 1, count)
    turns = along * rng.uniform(10, 22) + rng.uniform(0, 6)
    swing = area.height * rng.uniform(0.16, 0.3) * (0.5 + 0.5 * np.sin(along * np.pi))
    x = area.left + area.width * (0.1 + 0.65 * along) + 0.5 * swing * np.cos(turns)
    y = (area.top + area.bottom) / 2 + swing * np.sin(turns) + area.height * 0.08 * rng.normal()
    _stroke(ink, np.column_stack([x, y]) * px_per_mm, px_per_mm)


def _stroke(ink: np.ndarray, points: np.ndarray, px_per_mm: float) -> None:
    thick = max(1, round(_PEN_MM * px_per_mm))
    cv2.polylines(ink, [np.rint(points * 16).astype(np.int32)], False, 230, thick, cv2.LINE_AA, 4)


def save_samples(
    template: Template | str | Path,
    folder: Path,
    *,
    count: int,
    seed: int = 0,
    photo: bool = False,
    dpi: int | None = None,
) -> None:
    """Write drawn copies of a form as JPEG; `values.jsonl` beside them has a line per picture with its values.

    `photo`: photographs on a table instead of scans; `dpi`: their resolution, None for a random one each.
    """
    form = template if isinstance(template, Template) else Template.load(template)
    rng = np.random.default_rng(seed)
    kind = View.telephone if photo else View.scanner
    lines = []
    for number in range(1, count + 1):
        values = draw_values(form, rng)
        for page in range(1, len(form.pages) + 1):
            scan = see(fill(form, rng, page=page, values=values, copy=str(number)), kind(rng, dpi=dpi), rng)
            name = f"{form.name}-{number:03d}{f'-{page}' if len(form.pages) > 1 else ''}.jpg"
            _, data = cv2.imencode(".jpg", scan.pixels, [cv2.IMWRITE_JPEG_QUALITY, 80])
            with write_file(folder / name) as stream:
                stream.write(data.tobytes())
            lines.append(json.dumps({"file": name, "values": dict(values)}) + "\n")
    with write_file(folder / "values.jsonl") as stream:
        stream.write("".join(lines).encode())
