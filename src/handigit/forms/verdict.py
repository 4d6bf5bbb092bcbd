"""Whether a page placed on a template agrees with it: three agreements, each corrected for chance, and the runner-up.

The smallest counts. Print of the template must be on the page, long rules of the template on the page, and long rules
of the page in the template; the last refuses similar forms. Rows that are all alike can be matched one row off, so a
placement must also be clearly better than every shifted one.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from handigit.forms.blank import Blank
from handigit.forms.page_ink import Grey, Matrix, grow, ink_mask, long_rules

ACCEPT_FROM: Final = 0.4
"""Smallest agreement of a placed page."""
_LEAD: Final = 0.04
"""By how much it must be above that of any shifted placement."""
_WORST_WEIGHT: Final = 0.25
"""Weight of the respect in which a shifted placement loses most, beside the mean of all."""
_FEW_PX: Final = 60
"""Fewer pixels of rules are no evidence."""
_VISIBLE: Final = 0.5
"""Fraction of the print that must be on the page for a shifted placement to be considered."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The smallest agreement, 0 for chance and 1 for all; its lead over shifted placements; the visible part.

    `visible`: the fraction of the template's print within the picture.
    """

    agreement: float
    lead: float
    visible: float

    @property
    def accepted(self) -> bool:
        """Whether the page is placed."""
        return self.agreement >= ACCEPT_FROM and self.lead >= _LEAD

    @property
    def reason(self) -> str:
        """Why it is not."""
        if self.agreement < ACCEPT_FROM:
            return f"agreement {max(self.agreement, 0):.2f} with the form, {ACCEPT_FROM} is needed"
        return f"a shifted placement agrees as well (lead {self.lead:.2f}, {_LEAD} is needed)"


def judge(blank: Blank, page_ink: Grey, matrix: Matrix, *, shifts: bool = True, marked: bool = False) -> Verdict:
    """Judge a placement: `matrix` maps the blank's pixels to pixels of `page_ink`.

    `shifts`: whether shifted placements are considered. `marked`: markers fix the page, so that neither shifts nor
    rules that only the page has (a fold, the edge of a shadow) count.
    """
    height, width = blank.paper.shape
    warped = cv2.warpPerspective(page_ink, matrix, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    seen = cv2.warpPerspective(
        np.ones(page_ink.shape, np.uint8), matrix, (width, height), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    )
    ink = np.asarray(warped, np.uint8)
    mask = ink_mask(ink)
    near = blank.tolerance_px
    page_rules = long_rules(mask, blank.rule_px)
    agreements = [_agreement(blank.mask, grow(mask, near), seen)]
    for ours, theirs in zip(blank.rules, page_rules, strict=True):
        # A rule may be broken on the page: any ink along it counts, but the page's rules must be rules of the template.
        if np.count_nonzero(ours & seen) >= _FEW_PX:
            agreements.append(_agreement(ours, grow(mask, near), seen))
        if np.count_nonzero(theirs) >= _FEW_PX and not marked:
            agreements.append(_agreement(theirs, grow(_print_and_rules(blank), near), seen))
    visible = np.count_nonzero(blank.mask & seen) / max(int(np.count_nonzero(blank.mask)), 1)
    lead = (
        _lead(_pairs(blank, mask, page_rules), seen, near, round(blank.field_px / 2)) if shifts and not marked else 1.0
    )
    return Verdict(min(agreements), lead, visible)


def _print_and_rules(blank: Blank) -> Grey:
    """The blank's print; of a filled form its rules inside the fields too."""
    return np.asarray(blank.mask | blank.rules[0] | blank.rules[1], np.uint8)


def _agreement(wanted: Grey, found: Grey, seen: Grey) -> float:
    """The fraction of wanted pixels that are found, where the page can be seen, corrected for chance."""
    total = np.count_nonzero(wanted & seen)
    if not total:
        return 0.0
    chance = np.count_nonzero(found & seen) / max(int(np.count_nonzero(seen)), 1)
    return float((np.count_nonzero(wanted & found & seen) / total - chance) / max(1 - chance, 1e-6))


def _pairs(blank: Blank, mask: Grey, page_rules: tuple[Grey, Grey]) -> list[tuple[Grey, Grey]]:
    """Pairs that must coincide after a shift: text, level rules and upright rules of the blank and of the page.

    They are apart because a shift along a rule leaves most of that rule where it was.
    """
    rules = [grow(rule, blank.tolerance_px) for rule in blank.rules]
    text = blank.mask * (1 - (rules[0] | rules[1]))
    return [(text, mask), *zip(blank.rules, page_rules, strict=True)]


def _lead(pairs: list[tuple[Grey, Grey]], seen: Grey, near: int, away: int) -> float:
    """By how much the placement agrees better than any that is shifted by `away` pixels or more."""
    visible, sheet = _half(seen), _half(np.ones_like(seen))
    maps = []
    for ours, theirs in pairs:
        if np.count_nonzero(ours & seen) >= _FEW_PX:
            there = _shifts(_half(ours), visible)
            one = _corrected(
                _shifts(_half(ours), _half(grow(theirs, near))), there, grow(theirs, near)[seen > 0].mean()
            )
            one[there < _VISIBLE * _half(ours).sum()] = -1
            maps.append(one)
    for ours, theirs in pairs[1:]:
        if np.count_nonzero(theirs) >= _FEW_PX:
            inside = _shifts(sheet, _half(theirs))
            one = _corrected(_shifts(_half(grow(ours, near)), _half(theirs)), inside, grow(ours, near).mean())
            maps.append(np.where(inside < _VISIBLE * _half(theirs).sum(), 1, one))
    if not maps:
        return 0.0
    drops = np.array([float(one[0, 0]) - one for one in maps])
    # A rival must agree about as well in all respects: one that loses the text is none, however well its rules fit.
    lead = drops.mean(axis=0) + _WORST_WEIGHT * drops.max(axis=0)
    rows, columns = np.ogrid[: lead.shape[0], : lead.shape[1]]
    distance_y, distance_x = np.minimum(rows, lead.shape[0] - rows), np.minimum(columns, lead.shape[1] - columns)
    return float(lead[(distance_y >= away / 2) | (distance_x >= away / 2)].min())


def _half(mask: Grey) -> np.ndarray:
    """At half the resolution, on a sheet with room for shifts."""
    height, width = mask.shape
    small = cv2.resize(mask.astype(np.float32), (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    # Shifts beyond half a page cannot be right and are not considered: a quarter of room on each axis is enough.
    high, wide = (cv2.getOptimalDFTSize(round(1.5 * side)) for side in small.shape)
    room = np.zeros((high, wide), np.float32)
    room[: small.shape[0], : small.shape[1]] = small
    return room


def _shifts(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """For each shift of `first` over `second`, the sum of products."""
    return np.asarray(np.fft.irfft2(np.conj(np.fft.rfft2(first)) * np.fft.rfft2(second), s=first.shape), np.float32)


def _corrected(hits: np.ndarray, total: np.ndarray, chance: float) -> np.ndarray:
    return np.asarray((hits / np.maximum(total, 1) - chance) / max(1 - chance, 1e-6))
