"""A process that decodes one document or picture on standard input, its pages on standard output.

    python -I decoder_process.py '{"format": "pdf", "dpi": 200, "max_pages": 1000, "memory_bytes": 2e9}' <FILE

Hostile files crash decoders; here they crash only this process. So it imports no other module of the package and as
little as possible, limits itself before it opens the file, and is killed when its parent is done or the deadline has
passed. It reports a page's size before decoding it, and the parent decides whether to continue.

Output, one JSON object per line: `{"mode", "width", "height"}` before each page; `{"bytes", "mode",
"orientation"}` followed by its pixels;
`{"end": true}` after the last; or `{"problem", "detail"}` once, where "problem" is password, pages, memory or damaged.
"""

import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import IO, Any

OPEN_FILES = 64
"""PDFs without embedded fonts use the system's, which are opened as files."""

MAX_OBJECTS = 50
"""Objects of a PDF page among which its scan is searched."""
SCAN_AREA = 0.8
"""Minimum fraction of a page that its scan covers."""
PAGES_PER_OPENING = 16
"""A PDF is reopened after this many pages: PDFium keeps everything it has read of an open one."""

DEEP_BYTES = {"I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2, "I": 4, "F": 4}
"""Bytes per pixel of modes with more than 256 levels."""

STRIP_PX = 2**19
"""Pixels that are converted at a time."""

MAX_BYTES = 150_000_000
"""Memory that decoding may take, beside the decoder itself."""
WEBP_BYTES, WEBP_ALPHA_BYTES, PROGRESSIVE_BYTES = 6, 9, 4
"""Bytes per pixel that decoding takes where it is more than for its pixels: libjpeg keeps a progressive file's
coefficients, and OpenCV takes 6 for WebP, 9 with transparency, where Pillow takes 16."""

UPRIGHT = 1
"""The EXIF orientation that needs no rotation."""


class Rejected(Exception):
    """A document that is not decoded; `problem` is one of the keywords that the parent knows."""

    def __init__(self, problem: str, detail: str = "") -> None:
        super().__init__(detail)
        self.problem = problem


@dataclass(frozen=True)
class Frame:
    """A page before decoding: Pillow's mode, (width, height), and a function that decodes it."""

    mode: str
    size: tuple[int, int]
    decode: Callable[[], "Pixels"]


@dataclass(frozen=True)
class Pixels:
    """Decoded pixels: their mode (L, LA, or one of 16 or 32 bits), EXIF orientation, length, and chunks."""

    mode: str
    orientation: int
    length: int
    chunks: Iterable[bytes]


def main() -> None:
    """Decode standard input as requested by the first argument."""
    request = json.loads(sys.argv[1])
    confine(int(request["memory_bytes"]))
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not reach the parent
    os.lseek(0, 0, os.SEEK_SET)
    try:
        # Not as descriptor 0, which Pillow takes for none: it would read the whole file into memory for each page.
        file = os.fdopen(os.dup(0), "rb")
        send(FRAMES[request["format"]](file, request), out, page_seconds=request["page_seconds"])
    except Rejected as rejection:
        write_message(out, problem=rejection.problem, detail=str(rejection))
    except MemoryError:
        write_message(out, problem="memory", detail="")
    except Exception as problem:  # decoders raise nearly anything
        write_message(out, problem="damaged", detail=" ".join(str(problem).split()))


def send(frames: Iterator[Frame], out: IO[bytes], *, page_seconds: float) -> None:
    """Decode page by page, each as soon as the parent has taken the one before."""
    allow_seconds(page_seconds)
    for frame in frames:
        write_message(out, mode=frame.mode, width=frame.size[0], height=frame.size[1])
        pixels = frame.decode()
        write_message(out, bytes=pixels.length, mode=pixels.mode, orientation=pixels.orientation)
        for chunk in pixels.chunks:
            out.write(chunk)
        out.flush()
        allow_seconds(page_seconds)
    write_message(out, end=True)


def write_message(out: IO[bytes], **fields: object) -> None:
    """Write one line of JSON."""
    out.write(json.dumps(fields).encode() + b"\n")
    out.flush()


def confine(memory_bytes: int) -> None:
    """Limit this process to the resources that decoding needs; Windows has no such limits."""
    with suppress(ImportError):
        import resource

        for kind, value in (
            (resource.RLIMIT_AS, memory_bytes),
            (resource.RLIMIT_NOFILE, OPEN_FILES),
            (resource.RLIMIT_FSIZE, 0),
            (resource.RLIMIT_CORE, 0),
        ):
            with suppress(ValueError, OSError):  # a hard limit below ours is already in force
                resource.setrlimit(kind, (value, value))


def allow_seconds(seconds: float) -> None:
    """Limit processor time from now on, in case the parent is gone and cannot kill this process."""
    with suppress(ImportError):
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        until = math.ceil(used.ru_utime + used.ru_stime + seconds)
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_CPU, (until, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def pdf_frames(file: IO[bytes], request: dict[str, Any]) -> Iterator[Frame]:
    """The pages of a PDF, rendered in grey."""
    document = open_pdf(file)
    count = len(document)
    reject_too_many(count, request["max_pages"])
    if not count:
        raise Rejected("damaged", "it has no pages")
    for number in range(count):
        if number and number % PAGES_PER_OPENING == 0:
            document.close()
            document = open_pdf(file)
        page = document[number]
        scale = pixels_per_point(page, request["dpi"])
        size = math.ceil(page.get_width() * scale), math.ceil(page.get_height() * scale)
        yield Frame("L", size, partial(render, page, scale))
        page.close()


def open_pdf(file: IO[bytes]) -> Any:
    """The document opened by PDFium."""
    import pypdfium2  # type: ignore[import-untyped]

    try:
        document = pypdfium2.PdfDocument(file)
        document.init_forms()  # before its pages are loaded, or they are rendered without their form fields
        return document
    except pypdfium2.PdfiumError as problem:
        locked = problem.err_code == pypdfium2.raw.FPDF_ERR_PASSWORD
        raise Rejected("password" if locked else "damaged", str(problem)) from None


def pixels_per_point(page: Any, dpi: float) -> float:
    """The scale of rendering; a page covered by a scan is rendered at most at the scan's resolution.

    Scanners add a layer of invisible text to the scan, and some count a point per pixel.
    """
    import pypdfium2

    scale = dpi / 72
    area = page.get_width() * page.get_height()
    for item in islice(page.get_objects(max_depth=2), MAX_OBJECTS):
        if isinstance(item, pypdfium2.PdfImage):
            left, bottom, right, top = item.get_bounds()
            if (right - left) * (top - bottom) >= SCAN_AREA * area:
                return float(min(scale, max(item.get_px_size()) / max(right - left, top - bottom)))
    return scale


def render(page: Any, scale: float) -> Pixels:
    """A page's grey pixels, row by row without padding."""
    bitmap = page.render(scale=scale, grayscale=True, limit_image_cache=True)
    rows = memoryview(bitmap.buffer).cast("B")
    width, stride = bitmap.width, bitmap.stride
    pixels = b"".join(rows[row * stride : row * stride + width] for row in range(bitmap.height))
    bitmap.close()
    return Pixels("L", UPRIGHT, len(pixels), [pixels])


def tiff_frames(file: IO[bytes], request: dict[str, Any]) -> Iterator[Frame]:
    """The pages of a TIFF, rotated by their orientation tag."""
    from PIL import Image, TiffImagePlugin

    Image.MAX_IMAGE_PIXELS = None  # the parent checks sizes
    picture = TiffImagePlugin.TiffImageFile(file)
    count = 0
    with suppress(EOFError):
        for count in range(1, request["max_pages"] + 2):
            picture.seek(count)
    reject_too_many(count, request["max_pages"])
    reduced = [is_reduced(picture, number) for number in range(count)]
    for number in range(count):
        if reduced[number] and not all(reduced):
            continue
        picture.seek(number)
        yield Frame(picture.mode, picture.size, partial(grey_pixels, picture))


def is_reduced(picture: Any, number: int) -> bool:
    """Whether a frame is a reduced copy of another: a thumbnail, or a level of a pyramid (NewSubfileType, bit 0)."""
    picture.seek(number)
    try:
        return bool(int(picture.tag_v2.get(254, 0)) & 1)
    except (TypeError, ValueError):
        return False


def reject_too_many(count: int, limit: int) -> None:
    """Reject a document with more pages than allowed."""
    if count > limit:
        raise Rejected("pages", str(count))


def picture_frames(file: IO[bytes], request: dict[str, Any]) -> Iterator[Frame]:
    """The one page of a picture, or the first frame of an animation."""
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # the parent checks sizes
    if request["picture"] == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener()
    picture = Image.open(file, formats=[request["picture"]])
    if picture.format == "JPEG" and picture.mode == "RGB":
        picture.draft("L", picture.size)  # before its size is checked: it is decoded as grey
    is_webp = picture.format == "WEBP" and not getattr(picture, "is_animated", False)
    webp_cost = WEBP_ALPHA_BYTES if picture.mode == "RGBA" else WEBP_BYTES
    cost = webp_cost if is_webp else PROGRESSIVE_BYTES if picture.info.get("progressive") else 0
    if picture.width * picture.height * cost > MAX_BYTES:
        raise Rejected("memory")
    mode, size = picture.mode, picture.size
    if is_webp:
        orientation = orientation_of(picture)
        del picture  # it has made room for two frames
        yield Frame(mode, size, partial(webp_pixels, file, size, orientation))
    else:
        yield Frame(mode, size, partial(grey_pixels, picture))


def webp_pixels(file: IO[bytes], size: tuple[int, int], orientation: int) -> Pixels:
    """As `grey_pixels`, for a WebP picture of one frame; decoded by OpenCV, which takes far less memory."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # each thread of NumPy would take memory when it is imported
    import cv2
    import numpy as np
    from PIL import Image

    file.seek(0)
    try:
        decoded = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as problem:
        raise Rejected("memory" if problem.code == cv2.Error.StsNoMem else "damaged", str(problem.err)) from None
    if decoded is None or decoded.shape[1::-1] != size:
        raise Rejected("damaged", "its pixels cannot be decoded")
    mode, channels = ("LA", [2, 1, 0, 3]) if decoded.shape[2] == 4 else ("L", [2, 1, 0])
    (height, width), rows = decoded.shape[:2], max(1, STRIP_PX // decoded.shape[1])
    chunks = (
        Image.fromarray(decoded[top : top + rows, :, channels]).convert(mode).tobytes()
        for top in range(0, height, rows)
    )
    return Pixels(mode, orientation, width * height * len(mode), chunks)


def grey_pixels(picture: Any) -> Pixels:
    """The picture as grey, with its alpha if it has any; converted strip by strip to save memory."""
    if picture.format == "JPEG" and picture.mode == "RGB":
        picture.draft("L", picture.size)  # decodes the stored luma only: twice as fast, less memory
    picture.load()
    mode = str(picture.mode) if picture.mode in DEEP_BYTES else "LA" if picture.has_transparency_data else "L"
    width, height = picture.size
    length = width * height * (DEEP_BYTES.get(mode) or len(mode))
    return Pixels(mode, orientation_of(picture), length, strips(picture, mode))


def strips(picture: Any, mode: str) -> Iterator[bytes]:
    """The pixels in a mode, a few megabytes at a time."""
    rows = max(1, STRIP_PX // picture.width)
    for top in range(0, picture.height, rows):
        strip = picture.crop((0, top, picture.width, min(top + rows, picture.height)))
        if mode == "LA" and strip.mode not in ("LA", "RGBA"):
            strip = strip.convert("RGBA")
        elif mode == "L" and strip.mode not in ("1", "L", "RGB"):
            strip = strip.convert("RGB")
        yield (strip if strip.mode == mode else strip.convert(mode)).tobytes()


def orientation_of(picture: Any) -> int:
    """The EXIF orientation of a picture; a TIFF has been rotated by Pillow."""
    try:
        return UPRIGHT if picture.format == "TIFF" else int(picture.getexif().get(0x0112, UPRIGHT))
    except Exception:  # damaged EXIF raises nearly anything, and the pixels are usable without it
        return UPRIGHT


FRAMES = {"pdf": pdf_frames, "tiff": tiff_frames, "picture": picture_frames}

if __name__ == "__main__":
    main()
