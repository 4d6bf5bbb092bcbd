"""What can become of a page of a pile."""

from enum import StrEnum


class PageState(StrEnum):
    """What became of a page."""

    PLACED = "placed"
    UNPLACED = "unplaced"
    BLANK = "blank"
    DUPLICATE = "duplicate"
    OTHER_FORM = "other form"
