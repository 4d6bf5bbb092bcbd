"""Numbers on whole pages: the regions to read, their place on the page as given, and whether a picture is a page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from jaxtyping import UInt8

from handigit.images.flat_sheet import FlatSheet, flatten_sheet
from handigit.images.orientation import Oriented, straighten
from handigit.records import Box, Number, Outcome
from handigit.segment import Region, are_among_marks, are_several, find_regions_at_scale, to_working_size

_MIN_HEIGHT: Final = 0.75
"""Minimum height of an unreadable region, relative to the numbers on the page, for it to be handwriting."""
_SPECK: Final = 0.5
"""Height of a region, relative to the numbers on the page, below which it is a speck."""
_MIN_READ: Final = 0.6
"""Minimum fraction of the regions that is read on a page that is upright."""
_MUCH_BETTER: Final = 1.5
"""Minimum legibility of a rotated page relative to the page as it is."""
_MIN_EVIDENCE: Final = 3
"""Legibility that a rotated page must have beyond the page as it is: 186 upside down is read as 981."""
_SAMPLED: Final = 24
"""Regions by which a rotated page is judged before all of it is read: a page of specks has hundreds in each turn."""
_GLANCED: Final = 12
"""Regions that are turned where they are, before the page is segmented in another turn."""
_MAX_ASPECT: Final = 5
"""Maximum width of these regions in heights; anything wider is a line of print."""
_TALL: Final = 0.9
"""Quantile of the regions' heights that counts as the tallest number: a table may be one of many regions."""
_MOST: Final = 0.6
"""Minimum width of a digit relative to what looks like a number of several, for it to be only that digit."""
_MIN_CONFIDENCE: Final = 0.05
"""Minimum confidence of a number outside of form fields; anything below is print."""

_NO_PIXELS: Final = np.empty((0, 0), np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class PageRegions:
    """The regions of a page, found on its flattened sheet.

    `sheet` and `oriented` are without their pixels. `size` and `sheet_size`: height and width of the page as given and
    of the sheet.
    """

    sheet: FlatSheet
    oriented: Oriented
    regions: Sequence[Region]
    size: tuple[int, int]
    sheet_size: tuple[int, int]

    @classmethod
    def of(
        cls, page: UInt8[np.ndarray, "height width"], *, rotation: int | None = None, has_table: bool = True
    ) -> "PageRegions":
        """Find the sheet, level it and segment it.

        `rotation`: degrees clockwise, if not by the page itself. `has_table`: False if no sheet is to be found.
        """
        sheet = flatten_sheet(page, has_table=has_table)
        oriented = straighten(sheet.page, rotation=rotation)
        sheet_size = (sheet.page.shape[0], sheet.page.shape[1])
        sheet = replace(sheet, page=_NO_PIXELS)
        work, scale = to_working_size(oriented.page)
        oriented = replace(oriented, page=_NO_PIXELS)
        regions = find_regions_at_scale(work, scale)
        return cls(sheet, oriented, regions, (page.shape[0], page.shape[1]), sheet_size)

    def sample(self) -> "PageRegions":
        """At most `_SAMPLED` of the regions, from all over the page."""
        step = -(-len(self.regions) // _SAMPLED)
        return self if step <= 1 else replace(self, regions=self.regions[::step])

    def compact(self, numbers: Sequence[Number]) -> list[tuple[Region, Number]]:
        """At most `_GLANCED` regions that may be numbers or digits however the page is rotated, and their results."""
        pairs = zip(self.regions, numbers, strict=True)
        some = [(region, number) for region, number in pairs if region.box.width <= _MAX_ASPECT * region.box.height]
        return some[:: -(-len(some) // _GLANCED) or 1]

    @property
    def are_several(self) -> bool:
        """Whether the regions look like those of several numbers."""
        return are_several([region.box for region in self.regions], tall=_TALL)

    def contain_several(self, numbers: Sequence[Number]) -> bool:
        """Whether the regions that were read look like several numbers, given the result for each region."""
        pairs = list(zip(self.regions, numbers, strict=True))
        read = [region.box for region, number in pairs if number.outcome is Outcome.READ]
        return are_several(read) or are_several([region.box for region, number in pairs if number.text])

    def is_doubtful(self, numbers: Sequence[Number]) -> bool:
        """Whether the page may be rotated, given the result for each region: few are read, and it does not show how.

        A page that was turned may have columns of single digits, which look like lines.
        """
        read = sum(number.outcome is Outcome.READ for number in numbers)
        is_certain = self.oriented.sure and not self.oriented.rotation
        return not is_certain and len(self.regions) > 1 and read < _MIN_READ * len(self.regions)

    def on_page(self, numbers: Sequence[Number]) -> list[Number]:
        """The numbers read from the regions, in pixels of the page as given.

        Specks and regions without a number are left out, but not unreadable fields and handwriting. Numbers among the
        marks of a column are doubts.
        """
        numbers = _doubt_among_marks(self.regions, numbers)
        heights = [region.box.height for region, n in zip(self.regions, numbers, strict=True) if n.text]
        usual = float(np.median(heights)) if heights else 0.0
        return [
            number.map_boxes(lambda box, region=region: self._to_original(region.on_page(box)))  # type: ignore[misc]
            for region, number in zip(self.regions, numbers, strict=True)
            if _is_answer(region, number, usual)
        ]

    def _to_original(self, box: Box) -> Box:
        return self.sheet.to_original(self.oriented.to_original(box, size=self.sheet_size), size=self.size)


def _doubt_among_marks(regions: Sequence[Region], numbers: Sequence[Number]) -> list[Number]:
    """The numbers, as doubts in columns of form fields that hold many marks."""
    left = np.array([region.origin[0] for region in regions], int)
    right = left + np.array([region.pixels.shape[1] for region in regions], int)
    written = np.array([region.cells > 0 for region in regions], bool)
    written &= np.array([number.outcome is not Outcome.BLANK for number in numbers], bool)
    no_number = written & np.array([not number.text for number in numbers], bool)
    among = written & are_among_marks(left, right, written=written, no_number=no_number)
    return [
        replace(number, outcome=Outcome.DOUBT) if is_among and number.outcome is Outcome.READ else number
        for number, is_among in zip(numbers, among, strict=True)
    ]


def _is_answer(region: Region, number: Number, usual_height: float) -> bool:
    """Whether a region is a number, an unreadable field, or unreadable handwriting."""
    if number.text:
        is_likely = number.confidence >= _MIN_CONFIDENCE and region.box.height >= _SPECK * usual_height
        return bool(region.cells) or is_likely
    is_written = bool(region.cells) or region.box.height >= _MIN_HEIGHT * usual_height
    return number.outcome is Outcome.NOT_A_NUMBER and is_written


def read_upright(
    page: UInt8[np.ndarray, "height width"],
    regions: PageRegions,
    numbers: list[Number],
    read: Callable[[PageRegions], list[Number]],
) -> list[Number]:
    """The numbers in regions of a page; if they are hardly legible, those of the most legible quarter turn.

    `read` reads the regions of another turn.
    """
    best, best_numbers = regions, numbers
    if regions.is_doubtful(numbers):
        some = regions.compact(numbers)
        legibility = _legibility(numbers)
        for rotation in sorted({0, 90, 180, 270} - {regions.oriented.rotation}):
            more = rotation - regions.oriented.rotation
            glance = replace(regions, regions=[_turned(region, more) for region, _ in some])
            if _legibility(read(glance)) <= _legibility([number for _, number in some]):
                continue
            turned = PageRegions.of(page, rotation=rotation)
            wanted = max(_MUCH_BETTER * legibility, legibility + _MIN_EVIDENCE, _legibility(best_numbers))
            sample = turned.sample()
            sampled = read(sample)
            if 2 * _legibility(sampled) * len(turned.regions) <= wanted * len(sample.regions):
                continue
            turned_numbers = sampled if sample is turned else read(turned)
            if _legibility(turned_numbers) > wanted:
                best, best_numbers = turned, turned_numbers
    return best.on_page(best_numbers)


def _turned(region: Region, degrees: int) -> Region:
    """The region with its pixels turned clockwise; its boxes mean nothing then."""
    return replace(region, pixels=np.ascontiguousarray(np.rot90(region.pixels, -degrees // 90)))


def _legibility(numbers: Sequence[Number]) -> float:
    """The digits from 2 to 9 of the `read` numbers: letters and tally strokes of a turned page pass for 0 and 1."""
    texts = [number.text for number in numbers if number.outcome is Outcome.READ]
    return float(sum(digit not in "01" for text in texts for digit in text))


def is_page(regions: PageRegions, numbers: Sequence[Number], *, digit: Number, number: Number) -> bool:
    """Whether a picture is a page, given its readings by regions, as one digit and as one number."""
    read = [len(n.text) for n in numbers if n.outcome is Outcome.READ]
    alone = max((len(n.text) for n in (digit, number) if n.outcome is Outcome.READ), default=0)
    # Of thick strokes the segmentation sees the rims: few of them are read, and with no more digits.
    is_sure = not alone or (len(read) > 1 and (2 * len(read) > len(numbers) or sum(read) > 2 * alone))
    # A doubted number is one rather than a page of doubts, such as pieces of it and of the print behind it.
    is_sure &= bool(alone) or 2 * sum(read) >= len(number.text)
    is_complete = sum(len(n.text) for n in numbers) >= len(number.text)
    return is_sure and is_complete and regions.contain_several(numbers)


def prefers_digit(digit: Number, number: Number) -> bool:
    """Whether a picture is one digit, given its readings as one digit and as one number."""
    if not digit.text:
        return False
    if len(number.text) > 1:
        # A digit model that sees one digit in a pair is wrong; separate strokes look like two to the number model.
        is_surer = digit.outcome is Outcome.READ and number.outcome is not Outcome.READ and number.confidence < 0.5
        return is_surer and _covers(digit.box, number.box)
    return digit.outcome is Outcome.READ or number.outcome is not Outcome.READ


def _covers(digit: Box | None, number: Box | None) -> bool:
    """Whether the digit is most of what the number is, and not one of several digits."""
    return digit is None or number is None or digit.width >= _MOST * number.width


def reconcile(digit: Number, number: Number) -> Number:
    """The digit, as a doubt if the number model is just as sure of another one."""
    contradicts = len(number.text) == 1 and number.text != digit.text
    if not (contradicts and digit.outcome is number.outcome is Outcome.READ):
        return digit
    others = tuple(pair for pair in digit.alternatives if pair[0] != number.text)
    return replace(digit, outcome=Outcome.DOUBT, alternatives=((number.text, number.confidence), *others))
