"""Pages placed on templates: the form, its page and the places of its fields, or the reason why there is none.

Markers first, then print, then rules; each placement must pass the verdict. A page that none of them places is
`unplaced`, which is an outcome and not an error.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import cv2
import numpy as np

from handigit.forms.align_print import place_by_print, refine
from handigit.forms.align_rules import place_by_rules
from handigit.forms.blank import Blank, load_blanks
from handigit.forms.curl import Curl, measure_curl
from handigit.forms.markers import Corners, PageCode, find_markers, place_by_markers, read_code_at, read_page_code
from handigit.forms.page_ink import Grey, Matrix, ink_mask, ink_of, resizing, shrink, to_pixels, transform
from handigit.forms.page_state import PageState
from handigit.forms.snap import snap
from handigit.forms.specs import Area, FieldSpec
from handigit.forms.template import Template
from handigit.forms.verdict import ACCEPT_FROM, Method, Verdict, judge

_JUDGE_PX: Final = 1600
"""Longer side of the copy of a page on which placements are found and judged."""
_CLEAR: Final = 0.75
"""Agreement from which no other method is tried."""
_EDGE: Final = 0.04
"""Half the width of a printed edge and the error of a field's place, in heights."""
_WORTH_REFINING: Final = 0.1
"""Agreement from which a placement is refined."""
_EMPTIEST: Final = 2e-4
"""Fraction of a page covered with ink below which it is blank."""
_SMALLEST_SHEET_PX: Final = 10_000
"""Smallest area of a sheet that a person outlines."""
_TEMPLATE_LEAD: Final = 0.02
"""By how much a template must agree better than another for the page to be its own."""


@dataclass(frozen=True, eq=False)
class Placement:
    """A page of a form on a picture: `matrix` maps units of the template to pixels of the page.

    `page` counts from 1; `shifts`: how far fields are from where the matrix puts them, in units of the template;
    `curl`: the same for a sheet with markers, as a smooth surface.
    """

    template: Template
    page: int
    matrix: Matrix
    method: str
    verdict: Verdict
    code: PageCode | None = None
    shifts: dict[str, tuple[float, float]] = field(default_factory=dict)
    curl: Curl | None = None

    def corners(self, spec: FieldSpec, area: Area | None = None) -> np.ndarray:
        """The corners (left top, right top, right bottom, left bottom) of a field, or of an area in it, in pixels."""
        shift = self.shifts.get(spec.name, (0.0, 0.0))
        points = np.array((area or spec.box).moved(*shift).corners)
        return transform(self.matrix, points if self.curl is None else self.curl.moved(points))

    def room(self, spec: FieldSpec) -> tuple[float, float]:
        """How far a crop of a field may reach to the left and right: half way to a neighbour, but over its own edge."""
        box, least = spec.box, _EDGE * spec.box.height
        left, right = np.inf, np.inf
        for other in self.template.fields_on(self.page):
            if other is not spec and other.box.top < box.bottom and other.box.bottom > box.top:
                if other.box.right <= box.left + least:
                    left = min(left, (box.left - other.box.right) / 2)
                elif other.box.left >= box.right - least:
                    right = min(right, (other.box.left - box.right) / 2)
        return max(left, least), max(right, least)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A page that was not placed: its state, why, and its code if it has one."""

    state: PageState
    reason: str
    code: PageCode | None = None


@dataclass(frozen=True, eq=False)
class _Candidate:
    template: Template
    page: int
    blank: Blank


class Aligner:
    """Finds the template, the page and the place of scans. Blanks are loaded on first use."""

    def __init__(self, templates: Sequence[Template]) -> None:
        self.templates = tuple(templates)

    @cached_property
    def _candidates(self) -> tuple[_Candidate, ...]:
        return tuple(
            _Candidate(template, page, blank)
            for template in self.templates
            for page, blank in enumerate(load_blanks(template), start=1)
        )

    def place(self, page: Grey) -> Placement | Refusal:
        """Place a page, ink dark on light, lying in any direction if it has markers or print."""
        small, scale = shrink(page, _JUDGE_PX)
        ink = ink_of(small)
        if ink_mask(ink).mean() < _EMPTIEST:
            return Refusal(PageState.BLANK, "the page is blank")
        markers = find_markers(page) if any(candidate.blank.has_markers for candidate in self._candidates) else {}
        code = self._code(page, markers)
        if code is None:
            return self._best(self._candidates, page, ink, scale, markers, None)
        named = [
            candidate
            for candidate in self._candidates
            if (candidate.template.name, candidate.page) == (code.name, code.page)
        ]
        if not named:
            return Refusal(PageState.OTHER_FORM, f"its code is that of {code}, for which no template was given", code)
        if code.version != named[0].template.version:
            reason = f"its code says version {code.version}; the template has version {named[0].template.version}"
            return Refusal(PageState.OTHER_FORM, reason, code)
        found = self._best(named, page, ink, scale, markers, code)
        if isinstance(found, Refusal):
            others = [candidate for candidate in self._candidates if candidate not in named]
            other = self._best(others, page, ink, scale, markers, code)
            if isinstance(other, Placement):
                reason = f"its code says {code}, its print {other.template.name}, page {other.page}"
                return Refusal(PageState.UNPLACED, reason, code)
        return found

    def place_at(self, page: Grey, corners: np.ndarray, template: str, form_page: int) -> Placement:
        """Place a page by the corners of its sheet, in pixels; the print around them is used to refine it.

        Raises:
            ValueError: no such template or page of it, or corners that are not those of a sheet.
        """
        one = next((c for c in self._candidates if (c.template.name, c.page) == (template, form_page)), None)
        if one is None:
            names = ", ".join(sorted({candidate.template.name for candidate in self._candidates}))
            raise ValueError(f"no page {form_page} of a form {template!r}; there are: {names}")
        points = corners.astype(np.float32)
        if points.shape != (4, 2) or not cv2.isContourConvex(points) or cv2.contourArea(points) < _SMALLEST_SHEET_PX:
            raise ValueError(
                "the corners are not those of a sheet; give left top, right top, right bottom, left bottom"
            )
        small, scale = shrink(page, _JUDGE_PX)
        ink = ink_of(small)
        height, width = one.blank.paper.shape
        sheet = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        given = resizing(scale) @ np.asarray(cv2.getPerspectiveTransform(sheet, points), np.float64)
        tried = [
            (judge(one.blank, ink, matrix, method="print"), matrix) for matrix in (given, refine(one.blank, ink, given))
        ]
        verdict, matrix = max(tried, key=lambda pair: pair[0].agreement)
        to_page = resizing(1 / scale) @ matrix @ to_pixels(one.blank.scale)
        shifts = snap(one.blank, ink, matrix)
        return Placement(one.template, one.page, to_page, "corners", verdict, None, shifts)

    def _code(self, page: Grey, markers: dict[int, Corners]) -> PageCode | None:
        """The page's code: where the templates have it, else anywhere."""
        specs = [candidate.template.pages[candidate.page - 1] for candidate in self._candidates]
        areas = {(spec.size, spec.code) for spec in specs if spec.code is not None and spec.markers}
        for size, area in areas:
            matrix = place_by_markers(markers, size)
            if matrix is not None and area is not None:
                code = read_code_at(page, matrix, np.array(area.grown(0.25 * area.width).corners))
                if code is not None:
                    return code
        return read_page_code(page) if any(spec.code for spec in specs) else None

    def _best(
        self,
        candidates: Sequence[_Candidate],
        page: Grey,
        ink: Grey,
        scale: float,
        markers: dict[int, Corners],
        code: PageCode | None,
    ) -> Placement | Refusal:
        """The candidate that agrees best, if its verdict is good and clearly better than that of another."""
        by_markers: Method = "code" if code is not None else "markers"
        tried = [
            one
            for candidate in candidates
            if (one := _try(candidate, page, ink, scale, markers, by_markers)) is not None
        ]
        found = [(one, *_judged(one.blank, ink, matrix, method), method) for one, matrix, method in tried]
        if not found:
            return Refusal(PageState.UNPLACED, "neither markers nor print nor rules of a template were found", code)
        found.sort(key=lambda one: (one[1].accepted, one[1].agreement), reverse=True)
        best, verdict, matrix, method = found[0]
        if not verdict.accepted:
            return Refusal(PageState.UNPLACED, f"{best.template.name}: {verdict.reason}", code)
        for other, second, _, _ in found[1:]:
            if code is None and second.accepted and verdict.agreement - second.agreement < _TEMPLATE_LEAD:
                names = f"{best.template.name}, page {best.page}, and {other.template.name}, page {other.page}"
                return Refusal(PageState.UNPLACED, f"agrees with {names}", code)
        to_page = resizing(1 / scale) @ matrix @ to_pixels(best.blank.scale)
        found_by_markers = method == by_markers
        shifts = {} if found_by_markers else snap(best.blank, ink, matrix)
        curl = measure_curl(best.blank, ink, matrix) if found_by_markers else None
        how = "markers" if found_by_markers else method
        return Placement(best.template, best.page, to_page, how, verdict, code, shifts, curl)


def _judged(blank: Blank, ink: Grey, matrix: Matrix, method: Method) -> tuple[Verdict, Matrix]:
    """A placement with its verdict; or the shifted one that agrees better, such as half a field further."""
    verdict = judge(blank, ink, matrix, method=method)
    if verdict.agreement >= ACCEPT_FROM and verdict.better is not None:
        shift = np.eye(3)
        shift[:2, 2] = verdict.better
        moved, _ = _refined(blank, ink, np.asarray(matrix @ shift), method)
        other = judge(blank, ink, moved, method=method)
        if other.accepted and (other.agreement > verdict.agreement or not verdict.accepted):
            return other, moved
    return verdict, matrix


def _try(
    one: _Candidate, page: Grey, ink: Grey, scale: float, markers: dict[int, Corners], by_markers: Method
) -> tuple[_Candidate, Matrix, Method] | None:
    """The best placement on a template, as the homography from the blank to the page at `scale`, and its method."""
    blank, best, most = one.blank, None, -1.0
    if blank.has_markers and (found := place_by_markers(markers, blank.size)) is not None:
        matrix = resizing(scale) @ found @ np.linalg.inv(to_pixels(blank.scale))
        verdict = judge(blank, ink, matrix, method=by_markers)
        best, most = (one, matrix, by_markers), verdict.agreement
        if verdict.accepted:
            return best
    if (found := place_by_print(blank, page)) is not None:
        matrix, agreement = _refined(blank, ink, resizing(scale) @ found, "print")
        if agreement > most:
            best, most = (one, matrix, "print"), agreement
    if most >= _CLEAR:
        return best
    for found in place_by_rules(blank, ink):
        matrix, agreement = _refined(blank, ink, found, "rules")
        if agreement > most:
            best, most = (one, matrix, "rules"), agreement
    return best


def _refined(blank: Blank, ink: Grey, matrix: Matrix, method: Method) -> tuple[Matrix, float]:
    """A placement and its agreement, after ECC if that agrees better: writing and shadows can lead it astray."""
    before = judge(blank, ink, matrix, method=method, shifts=False).agreement
    if before < _WORTH_REFINING:
        return matrix, before
    refined = refine(blank, ink, matrix)
    after = judge(blank, ink, refined, method=method, shifts=False).agreement
    return (refined, after) if after > before else (matrix, before)
