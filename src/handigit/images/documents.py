"""Decode documents (PDF, multi-page TIFF) and large pictures in a child process, page by page.

This is the parent's side: it starts the child with limits, waits with a deadline, and interprets how it ended. The
child is `decoder_process.py`.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from itertools import count
from pathlib import Path
from threading import Event, Timer
from typing import Any, Final, Literal, cast

import numpy as np

from handigit.errors import ImageTooLarge, UnreadableImage
from handigit.images.cancellation import active_cancellation, check_cancelled
from handigit.images.limits import Limits

DocumentFormat = Literal["pdf", "tiff", "picture"]
SUPPORTED: Final = "PNG, JPEG, TIFF, WebP, GIF or BMP"
"""The picture formats, which can be given instead of a document."""

_PROGRAM: Final = Path(__file__).with_name("decoder_process.py")
_BASE_BYTES: Final = 256 * 2**20
"""Address space for Python, a decoder and fonts; about a fifth of it is resident."""
_BYTES_PER_PIXEL: Final = 6
"""Address space per pixel of the largest picture in colour, or of half a grey page: Pillow takes four and the decoders
of common files less than two. Enough for a WebP of 13 Mpx, which takes 16."""
_MAX_MESSAGE_BYTES: Final = 4096
_DTYPES: Final[dict[str, Any]] = {
    "L": np.dtype(np.uint8),
    "LA": np.dtype(np.uint8),
    "I;16": np.dtype("<u2"),
    "I;16L": np.dtype("<u2"),
    "I;16B": np.dtype(">u2"),
    "I;16N": np.dtype(np.uint16),
    "I": np.dtype(np.int32),
    "F": np.dtype(np.float32),
}
_ADVICE: Final = f"save it again, or give its pages as {SUPPORTED} pictures"


@dataclass(frozen=True, slots=True)
class Frame:
    """A decoded page: its mode (L, LA, or one of 16 or 32 bits per pixel), its pixels, and its EXIF orientation."""

    mode: str
    pixels: np.ndarray
    orientation: int


def document_frames(
    file: Any,
    *,
    format_: DocumentFormat,
    name: str,
    limits: Limits,
    picture: str = "",
) -> Iterator[Frame]:
    """Yield the pages of the document in a seekable binary file, read from its current position.

    `picture` is Pillow's name of the format of a picture. The child decodes at most one page ahead. It ends when the
    iterator is closed, and is killed when a page takes too long or the active `Cancellation` is cancelled; its limits
    on memory and processor time do not apply on Windows.

    Raises:
        UnreadableImage: damaged, locked with a password, or it crashes the decoder or takes too long.
        ReadingCancelled: the active `Cancellation` was cancelled.
        ImageTooLarge: more pages than `limits` allow, or a page with more pixels; that page is not decoded.
    """
    watch = active_cancellation().watch
    with _standard_input(file) as stdin, _start_decoder(stdin, format_, picture, limits) as child, watch(child):
        for number in count(1):
            page = name if format_ == "picture" else f"{name}, page {number}"
            with _deadline(child, limits.page_seconds) as late:
                frames = _next_frame(child, late, name=name, page=page, limits=limits)
            if not frames:
                return
            yield frames.pop()


@contextmanager
def _standard_input(file: Any) -> Iterator[Any]:
    """A file with a descriptor that contains the document from its start: the file itself, or a temporary copy."""
    if isinstance(file, BufferedReader) and file.tell() == 0:
        yield file
        return
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(file, copy)
        copy.flush()
        yield copy


@contextmanager
def _start_decoder(
    stdin: Any, format_: DocumentFormat, picture: str, limits: Limits
) -> Iterator[subprocess.Popen[bytes]]:
    """The running decoder process; killed at the end, whatever its state."""
    largest = max(limits.max_grey_mpx / 2, limits.max_colour_mpx) * 1e6
    request = {
        "format": format_,
        "picture": picture,
        "dpi": limits.page_dpi,
        "max_pages": limits.max_pages,
        "page_seconds": limits.page_seconds,
        "memory_bytes": _BASE_BYTES + _BYTES_PER_PIXEL * largest,
    }
    # By path: run as a module it would import the whole package, which takes a quarter of a second.
    command = [sys.executable, "-I", "-B", str(_PROGRAM), json.dumps(request)]
    with subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        try:
            yield child
        finally:
            child.kill()


@contextmanager
def _deadline(child: subprocess.Popen[bytes], seconds: float) -> Iterator[Event]:
    """Kill the child if the block takes longer than `seconds`; the event is then set."""
    late = Event()

    def end() -> None:
        late.set()
        child.kill()

    timer = Timer(seconds, end)
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()


def _next_frame(child: subprocess.Popen[bytes], late: Event, *, name: str, page: str, limits: Limits) -> list[Frame]:
    """The next page; empty after the last. A list, for the caller keeps no reference to a page that it has yielded."""
    assert child.stdout is not None
    try:
        header = _next_message(child.stdout)
        if "end" in header:
            return []
        width, height = int(header["width"]), int(header["height"])
        limits.check_size((width, height), mode=str(header["mode"]), name=page)
        decoded = _next_message(child.stdout)
        mode = str(decoded["mode"])
        shape: tuple[int, ...] = (height, width, 2) if mode == "LA" else (height, width)
        pixels: np.ndarray = np.empty(shape, _DTYPES[mode])
        # A decoder under attack may write too little, never more than fits.
        if (
            int(decoded["bytes"]) != pixels.nbytes
            or cast("BufferedReader", child.stdout).readinto(pixels.data.cast("B")) != pixels.nbytes
        ):
            raise ValueError("truncated pixels")
        return [Frame(mode, pixels, int(decoded["orientation"]))]
    except _Problem as problem:
        raise problem.as_error(name, page, limits) from None
    except (ValueError, KeyError):  # a truncated message, or none: the child is dead
        check_cancelled()
        if late.is_set():
            raise _too_slow(page, limits) from None
        raise UnreadableImage(
            f"{page}: crashed its decoder (status {_status(child)}); it is damaged, malicious, or "
            f"needs too much memory: {_ADVICE}"
        ) from None


class _Problem(Exception):
    """A problem reported by the child: `word` is one of its keywords."""

    def __init__(self, word: str, detail: str) -> None:
        super().__init__(detail)
        self.word = word

    def as_error(self, name: str, page: str, limits: Limits) -> UnreadableImage | ImageTooLarge:
        """The error for the user."""
        if self.word == "password":
            return UnreadableImage(f"{name}: is locked with a password; save it without one, and give that")
        if self.word == "pages":
            return ImageTooLarge(
                f"{name}: has more than the {limits.max_pages} pages allowed; split it, or raise the limit max_pages"
            )
        if self.word == "memory":
            return ImageTooLarge(f"{page}: needs more memory than allowed for a page; scale it down")
        return UnreadableImage(f"{page}: is truncated or damaged ({self}); {_ADVICE}")


def _next_message(stdout: Any) -> dict[str, Any]:
    """The child's next message.

    Raises:
        ValueError: not a complete JSON object.
        _Problem: the child rejects the document.
    """
    message = json.loads(stdout.readline(_MAX_MESSAGE_BYTES))
    if not isinstance(message, dict):
        raise ValueError(f"the child sent {message!r}, which is not an object")
    if "problem" in message:
        raise _Problem(str(message["problem"]), str(message.get("detail", "")))
    return message


def _too_slow(page: str, limits: Limits) -> UnreadableImage:
    return UnreadableImage(
        f"{page}: took more than {limits.page_seconds:g} s to decode; it may be malicious: {_ADVICE}, or raise the "
        "limit page_seconds"
    )


def _status(child: subprocess.Popen[bytes]) -> int:
    child.kill()
    return child.wait()
