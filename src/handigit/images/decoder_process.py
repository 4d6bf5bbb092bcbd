"""A process that decodes one document: PDF or TIFF on standard input, its pages on standard output.

    python -I decoder_process.py '{"format": "pdf", "dpi": 200, "max_pages": 1000, "memory_bytes": 2e9}' <FILE

Hostile files crash decoders; here they crash only this process. So it imports nothing of ours and as little as
possible, limits itself before it opens the file, and is killed when its parent is done or the deadline has passed. It
reports a page's size before decoding it, and the parent decides whether to go on.

Output, one JSON object per line: `{"mode", "width", "height"}` before each page; `{"bytes"}` followed by its pixels;
`{"end": true}` after the last; or `{"problem", "detail"}` once, where "problem" is password, pages, memory or damaged.
"""

import json
import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import IO, Any

OPEN_FILES = 64
"""PDFs without embedded fonts use the system's, which are opened as files."""

PAGES_PER_OPENING = 16
"""A PDF is reopened after this many pages: PDFium keeps everything it has read of an open one."""


class Rejected(Exception):
    """A document that is not decoded; `problem` is one of the keywords that the parent knows."""

    def __init__(self, problem: str, detail: str = "") -> None:
        super().__init__(detail)
        self.problem = problem


@dataclass(frozen=True)
class Frame:
    """A page before decoding: Pillow's mode, (width, height), and a function that decodes its pixels."""

    mode: str
    size: tuple[int, int]
    pixels: Callable[[], bytes]


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
        write_message(out, problem="damaged", detail=str(problem))


def send(frames: Iterator[Frame], out: IO[bytes], *, page_seconds: float) -> None:
    """Decode page by page, each as soon as the parent has taken the one before."""
    allow_seconds(page_seconds)
    for frame in frames:
        write_message(out, mode=frame.mode, width=frame.size[0], height=frame.size[1])
        pixels = frame.pixels()
        write_message(out, bytes=len(pixels))
        out.write(pixels)
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
        return pypdfium2.PdfDocument(file)
    except pypdfium2.PdfiumError as problem:
        locked = problem.err_code == pypdfium2.raw.FPDF_ERR_PASSWORD
        raise Rejected("password" if locked else "damaged", str(problem)) from None


def pixels_per_point(page: Any, dpi: float) -> float:
    """The scale of rendering; a page that consists of one scan is rendered at most at the scan's resolution."""
    import pypdfium2

    scale = dpi / 72
    objects = list(islice(page.get_objects(max_depth=2), 2))
    alone = len(objects) == 1 and not pypdfium2.raw.FPDFPage_GetAnnotCount(page)
    if alone and isinstance(objects[0], pypdfium2.PdfImage):
        left, bottom, right, top = objects[0].get_bounds()
        scale = min(scale, max(objects[0].get_px_size()) / max(right - left, top - bottom))
    return scale


def render(page: Any, scale: float) -> bytes:
    """A page's grey pixels, row by row without padding."""
    bitmap = page.render(scale=scale, grayscale=True, limit_image_cache=True)
    rows = memoryview(bitmap.buffer).cast("B")
    width, stride = bitmap.width, bitmap.stride
    pixels = b"".join(rows[row * stride : row * stride + width] for row in range(bitmap.height))
    bitmap.close()
    return pixels


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
    for number in range(count):
        picture.seek(number)
        yield Frame(plain_mode(picture), picture.size, partial(plain_pixels, picture))


def reject_too_many(count: int, limit: int) -> None:
    """Reject a document with more pages than allowed."""
    if count > limit:
        raise Rejected("pages", str(count))


def plain_mode(picture: Any) -> str:
    """The mode in which a picture is sent: one without a palette."""
    if picture.mode not in ("P", "PA"):
        return str(picture.mode)
    return "RGBA" if picture.has_transparency_data else "RGB"


def plain_pixels(picture: Any) -> bytes:
    """The pixels in that mode."""
    mode = plain_mode(picture)
    picture.load()
    return bytes((picture if picture.mode == mode else picture.convert(mode)).tobytes())


FRAMES = {"pdf": pdf_frames, "tiff": tiff_frames}

if __name__ == "__main__":
    main()
