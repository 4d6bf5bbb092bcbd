"""The printed rules of a whole page: tables, form fields, squared and ruled paper; and the cell around a box.

`images.rules` does this for a picture of one digit, where a rule spans the picture; on a page rules end anywhere.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import cv2
import numpy as np

from handigit.records import Box
from handigit.segment.page_runs import WRITTEN, Darkness, Mask, Runs, transposed

_ROUNDS: Final = 3
"""Passes that drop runs without rules at both ends; each may free others."""
_GAP: Final = 1 / 25
"""Maximum gap in a broken rule, as a fraction of the page's longer side."""
_COVERED: Final = 0.5
"""Minimum fraction of a box's side along which a rule must run to be a wall of its cell."""
_BESIDE: Final = 1 / 250
"""Distance from a rule up to which ink is compared with it, as a fraction of the page's longer side."""


@dataclass(frozen=True, eq=False)
class PageRules:
    """Masks (0 or 1) of the level and of the upright rules of a page.

    The walls are the same rules with their gaps closed, because print is pale and broken; they are made when they are
    asked for, to save memory until then. `written`: what is on a rule or beside one and much darker than it.
    """

    level: Mask
    upright: Mask
    written: Mask

    @classmethod
    def of(cls, level: Darkness, upright: Darkness, darkness: Darkness) -> "PageRules":
        """The rules of a page, given the darkness of each at its pixels and that of the page."""
        masks = (level > 0).view(np.uint8), (upright > 0).view(np.uint8)
        return cls(*masks, _find_written(level, upright, darkness))

    @cached_property
    def level_walls(self) -> Mask:
        """The level rules with their gaps closed."""
        return np.asarray(cv2.morphologyEx(self.level, cv2.MORPH_CLOSE, np.ones((1, self._gap), np.uint8)))

    @cached_property
    def upright_walls(self) -> Mask:
        """The upright rules with their gaps closed."""
        return np.asarray(cv2.morphologyEx(self.upright, cv2.MORPH_CLOSE, np.ones((self._gap, 1), np.uint8)))

    @property
    def _gap(self) -> int:
        return round(int(max(self.level.shape)) * _GAP)

    @property
    def both(self) -> Mask:
        """Level and upright rules."""
        return np.asarray(cv2.bitwise_or(self.level, self.upright))

    def cell(self, box: Box) -> Box | None:
        """The space between the rules on the four sides of a box; None if more than one of them is missing.

        If one is missing, the opposite rule is mirrored about the box.
        """
        beside = self.upright_walls[box.top : box.bottom].sum(axis=0) >= _COVERED * box.height
        over = self.level_walls[:, box.left : box.right].sum(axis=1) >= _COVERED * box.width
        walls = *_free_interval(beside, box.left, box.right), *_free_interval(over, box.top, box.bottom)
        if walls.count(None) > 1:
            return None
        height, width = self.level.shape
        left, right = _mirror(walls[0], walls[1], box.left, box.right)
        top, bottom = _mirror(walls[2], walls[3], box.top, box.bottom)
        if left >= right or top >= bottom:
            return None  # writing on a thick rule
        return Box(max(left, 0), max(top, 0), min(right, width), min(bottom, height))


def _free_interval(walls: np.ndarray, start: int, end: int) -> tuple[int | None, int | None]:
    """Start and end of the free interval around a box, None without a wall there.

    A wall may cut off a third of the box, because strokes run into rules; one in its middle is a divider inside it.
    """
    third = (end - start) // 3
    before, after = np.flatnonzero(walls[: start + third + 1]), np.flatnonzero(walls[end - third :])
    return (int(before[-1]) + 1 if before.size else None), (int(after[0]) + end - third if after.size else None)


def _mirror(low: int | None, high: int | None, start: int, end: int) -> tuple[int, int]:
    """Both walls; a missing one is as far from the middle of the box as the other, and outside it."""
    if low is None:
        assert high is not None
        return min(start + end - high, start), high
    return low, max(start + end - low, end) if high is None else high


def find_page_rules(faint: Mask, darkness: Darkness) -> PageRules:
    """The rules of a page, searched in the mask of what is darker than its paper: thin ones are paler than ink.

    A straight run is a rule if it is long, or if both its ends are at rules across it that are about as dark. So the
    sides of a small box confirm each other, while the strokes of digits and letters end freely or at paler rules.
    """
    across, down = Runs.of(faint, darkness), Runs.of(transposed(faint), transposed(darkness))
    for _ in range(_ROUNDS):
        across, down = across.confirmed_by(down), down.confirmed_by(across)
    return PageRules.of(across.printed(), transposed(down.printed()), darkness)


def _find_written(level: Darkness, upright: Darkness, darkness: Darkness) -> Mask:
    """What is much darker than every rule around; where two rules cross, they are as dark as both together."""
    printed = cv2.max(level, upright)
    reach = max(5, round(max(level.shape) * _BESIDE))
    around = cv2.dilate(printed, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    crossing = cv2.min(level, upright) > 0
    light = (255 - level[crossing]).astype(np.uint16) * (255 - upright[crossing]) // 255
    around[crossing] = 255 - light
    darker = (around > 0) & (darkness > cv2.convertScaleAbs(around, alpha=WRITTEN))
    return np.asarray(darker.view(np.uint8))
