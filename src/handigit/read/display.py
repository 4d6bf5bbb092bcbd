"""Results in a notebook: drawn on their picture, or as a table."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from PIL import Image

from handigit.images import Source, open_pages
from handigit.read.annotate import annotate, annotate_numbers
from handigit.records import Digit, Number

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("page", "raw", "text", "value", "outcome", "confidence", "left", "top", "right", "bottom")


def show(image: Source, results: Digit | Number | Sequence[Number], *, page: int = 0) -> Image.Image:
    """The picture with the results drawn on it, as a Pillow image; a notebook displays it.

    `page`: the page of a document, from 0; numbers of other pages are left out.

    Raises:
        ImageError: the picture cannot be decoded.
        IndexError: the document has no such page.
    """
    pages = list(open_pages(image))
    if not 0 <= page < len(pages):
        raise IndexError(f"page {page} of a document with {len(pages)} pages; pages count from 0")
    if isinstance(results, Digit):
        return annotate(pages[page], results)
    numbers = [results] if isinstance(results, Number) else results
    return annotate_numbers(pages[page], [number for number in numbers if number.page == page])


def to_dataframe(results: Digit | Number | Sequence[Digit | Number]) -> "pd.DataFrame":
    """One row per result; `COLUMNS` names the columns. Needs pandas.

    Raises:
        ImportError: pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError:
        raise ImportError("to_dataframe needs pandas: pip install pandas") from None
    several = [results] if isinstance(results, Digit | Number) else results
    return pd.DataFrame([_row(result) for result in several], columns=list(COLUMNS))


def _row(result: Digit | Number) -> dict[str, Any]:
    number = result.as_number() if isinstance(result, Digit) else result
    sides = number.box.as_list() if number.box else [None] * 4
    values = (number.page, number.raw, number.text, number.value, number.outcome.value, number.confidence, *sides)
    return dict(zip(COLUMNS, values, strict=True))
