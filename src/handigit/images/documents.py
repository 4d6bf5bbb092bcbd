"""Decode documents (PDF, multi-page TIFF) in a child process, page by page.

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
from io import BufferedReader
from itertools import count
from pathlib import Path
from threading import Event, Timer
from typing import Any, Final, Literal

from PIL import Image

from handigit.errors import ImageTooLarge, UnreadableImage
from handigit.images.limits import Limits

DocumentFormat = Literal["pdf", "tiff"]
SUPPORTED: Final = "PNG, JPEG, TIFF, WebP or BMP"
"""The picture formats, which can be given instead of a document."""

_PROGRAM: Final = Path(__file__).with_name("decoder_process.py")
_BASE_BYTES: Final = 512 * 2**20
"""Address space for Python, the decoders and the fonts; about a tenth of it is resident."""
_BYTES_PER_PIXEL: Final = 12
"""Address space per pixel of the largest page: a scan in colour, its rendering, and intermediate copies."""
_MAX_MESSAGE_BYTES: Final = 4096
_ADVICE: Final = f"save it again, or give its pages as {SUPPORTED} pictures"


def document_frames(file: Any, *, format_: DocumentFormat, name: str, limits: Limits) -> Iterator[Image.Image]:
    """Yield the pages of the document in a seekable binary file, read from its current position.

    The child decodes at most one page ahead. It ends when the iterator is closed, and is killed when a page takes too
    long; its limits on memory and processor time do not apply on Windows.

    Raises:
        UnreadableImage: damaged, locked with a password, or it crashes the decoder or takes too long.
        ImageTooLarge: more pages than `limits` allow, or a page with more pixels; that page is not decoded.
    """
    with _standard_input(file) as stdin, _start_decoder(stdin, format_, limits) as child:
        for number in count(1):
            with _deadline(child, limits.page_seconds) as late:
                frame = _next_frame(child, late, name=name, number=number, limits=limits)
            if frame is None:
                return
            yield frame


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
def _start_decoder(stdin: Any, format_: DocumentFormat, limits: Limits) -> Iterator[subprocess.Popen[bytes]]:
    """The running decoder process; killed at the end, whatever its state."""
    largest = max(limits.max_grey_mpx, limits.max_colour_mpx) * 1e6
    request = {
        "format": format_,
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


def _next_frame(
    child: subprocess.Popen[bytes], late: Event, *, name: str, number: int, limits: Limits
) -> Image.Image | None:
    """The next page, or None after the last."""
    assert child.stdout is not None
    page = f"{name}, page {number}"
    try:
        header = _next_message(child.stdout)
        if "end" in header:
            return None
        size = int(header["width"]), int(header["height"])
        limits.check_size(size, mode=str(header["mode"]), name=page)
        length = int(_next_message(child.stdout)["bytes"])
        pixels = child.stdout.read(min(length, 4 * size[0] * size[1]))
        return Image.frombuffer(str(header["mode"]), size, pixels)
    except _Problem as problem:
        raise problem.as_error(name, page, limits) from None
    except (ValueError, KeyError):  # a truncated message, or none: the child is dead
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
