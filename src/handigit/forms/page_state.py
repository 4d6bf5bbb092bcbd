"""The states of a page in a pile."""

from enum import StrEnum


class PageState(StrEnum):
    """The state of a page after reading."""

    PLACED = "placed"
    UNPLACED = "unplaced"
    BLANK = "blank"
    DUPLICATE = "duplicate"
    OTHER_FORM = "other form"
