"""Whether a page placed on a template agrees with it: three agreements, each corrected for chance, and the runner-up.

The smallest counts. Print of the template must be on the page, long rules of the template on the page, and long rules
of the page in the template; the last refuses similar forms. Rows that are all alike can be matched one row off, so a
placement must also be clearly better than every shifted one.
"""

from dataclasses import dataclass
from typing import Final, Literal

import cv2
import numpy as np

from handigit.forms.blank import Blank
from handigit.forms.page_ink import Grey, Matrix, grow, ink_mask, long_rules

Method = Literal["code", "markers", "print", "rules"]
"""What placed a page: markers with a code that names the form, markers alone, its print, its rules."""
ACCEPT_FROM: Final = 0.4
"""Smallest agreement of a placed page."""
_RULES_FROM: Final = 0.7
"""The same of a page placed by its rules alone: a table with other columns has 0.66, the right ones 0.9 or more."""
_TEXT_FROM: Final = 0.9
"""Smallest agreement of the text of a page with markers and no code: at least 0.98 on right forms, at most 0.82 on
others of the same size, whose frames may agree."""
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

    `visible`: the fraction of the template's print within the picture; `better`: a shift that agrees better, across
    and down in pixels of the blank, if there is one; `needed`: the agreement that a page placed so must have.
    """

    agreement: float
    lead: float
    visible: float
    better: tuple[int, int] | None = None
    needed: float = ACCEPT_FROM

    @property
    def accepted(self) -> bool:
        """Whether the page is placed."""
        return self.agreement >= self.needed and self.lead >= _LEAD

    @property
    def reason(self) -> str:
        """Why it is not."""
        if self.agreement < self.needed:
            return f"agreement {max(self.agreement, 0):.2f} with the form, {self.needed} is needed"
        return f"a shifted placement agrees as well (lead {self.lead:.2f}, {_LEAD} is needed)"


def judge(blank: Blank, page_ink: Grey, matrix: Matrix, *, method: Method, shifts: bool = True) -> Verdict:
    """Judge a placement: `matrix` maps the blank's pixels to pixels of `page_ink`.

    `method`: what placed the page. Markers fix it, so that neither shifts nor rules that only the page has (a fold, the
    edge of a shadow) count; without a code beside them the text must agree. `shifts`: whether shifted placements are
    considered.
    """
    marked = method in ("code", "markers")
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
    if method == "markers":
        text = _agreement(_text(blank), grow(mask, near), seen)
        return Verdict(min([*agreements, text]), 1.0, visible, None, _TEXT_FROM if text < _TEXT_FROM else ACCEPT_FROM)
    needed = _RULES_FROM if method == "rules" else ACCEPT_FROM
    if marked or not shifts:
        return Verdict(min(agreements), 1.0, visible, None, needed)
    lead, better = _lead(_pairs(blank, mask, page_rules), seen, near, round(blank.field_px / 2))
    return Verdict(min(agreements), lead, visible, better, needed)


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
    return [(_text(blank), mask), *zip(blank.rules, page_rules, strict=True)]


def _text(blank: Blank) -> Grey:
    """The blank's print without its long rules."""
    rules = [grow(rule, blank.tolerance_px) for rule in blank.rules]
    return np.asarray(blank.mask * (1 - (rules[0] | rules[1])), np.uint8)


def _lead(pairs: list[tuple[Grey, Grey]], seen: Grey, near: int, away: int) -> tuple[float, tuple[int, int] | None]:
    """By how much the placement agrees better than any that is shifted by `away` pixels or more.

    Also the shift, by any number of pixels, that agrees clearly better than the placement.
    """
    visible, sheet = _half(seen), _half(np.ones_like(seen))
    maps = []
    for ours, theirs in pairs:
        if np.count_nonzero(ours & seen) >= max(_FEW_PX, _VISIBLE * np.count_nonzero(ours)):
            there = _shifts(_half(ours), visible)
            one = _corrected(
                _shifts(_half(ours), _half(grow(theirs, near))), there, grow(theirs, near)[seen > 0].mean()
            )
            one[there < _VISIBLE * _half(ours).sum()] = -1
            maps.append(one)
    for ours, theirs in pairs[1:]:
        if np.count_nonzero(theirs) >= _FEW_PX:
            # Rules of the page that a shift moves out of the template are as little in it as any other: only so is a
            # whole table of equal rows not matched one row off.
            inside = _shifts(sheet, _half(theirs))
            total = float(_half(theirs).sum())
            one = _corrected(_shifts(_half(grow(ours, near)), _half(theirs)), total, grow(ours, near).mean())
            maps.append(np.where(inside < _VISIBLE * total, 1, one))
    if not maps:
        return 0.0, None
    drops = np.array([float(one[0, 0]) - one for one in maps])
    # A rival must agree about as well in all respects: one that loses the text is none, however well its rules fit.
    lead = drops.mean(axis=0) + _WORST_WEIGHT * drops.max(axis=0)
    rows, columns = (np.fft.fftfreq(side, 1 / side).astype(int) for side in lead.shape)
    is_near = (np.abs(rows) < away / 2)[:, None] & (np.abs(columns) < away / 2)
    row, column = np.unravel_index(lead.argmin(), lead.shape)
    better = (2 * int(columns[column]), 2 * int(rows[row])) if lead[row, column] <= -_LEAD / 2 else None
    return float(np.where(is_near, np.inf, lead).min()), better


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


def _corrected(hits: np.ndarray, total: np.ndarray | float, chance: float) -> np.ndarray:
    return np.asarray((hits / np.maximum(total, 1) - chance) / max(1 - chance, 1e-6))
