"""Limits on the size of pictures and documents."""

from dataclasses import dataclass
from typing import Final

from handigit.errors import ImageTooLarge

_GREY_MODES: Final = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"})


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest pictures that are decoded, in millions of pixels, and limits for documents.

    `max_pages`: maximum number of pages of a PDF or TIFF. `page_dpi`: resolution at which PDF pages are rendered (an
    A4 page has 3.9 Mpx at 200). `page_seconds`: maximum time to decode one page of a document.
    """

    max_grey_mpx: float = 100
    max_colour_mpx: float = 40
    max_pages: int = 1000
    page_dpi: float = 200
    page_seconds: float = 30

    def check_size(self, size: tuple[int, int], *, mode: str, name: str) -> None:
        """Check a picture's (width, height), given Pillow's mode.

        Raises:
            ImageTooLarge: more pixels than allowed.
        """
        kind = "grey" if mode in _GREY_MODES else "colour"
        allowed = self.max_grey_mpx if kind == "grey" else self.max_colour_mpx
        width, height = size
        if width * height > allowed * 1e6:
            raise ImageTooLarge(
                f"{name}: {width} x {height} = {width * height / 1e6:.1f} Mpx is more than the {allowed:g} Mpx allowed "
                f"for {kind} pictures; scale it down, or raise the limit max_{kind}_mpx"
            )


DEFAULT_LIMITS: Final = Limits()
