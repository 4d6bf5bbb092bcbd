"""Group connected ink into candidates for numbers: strokes side by side, with the dots and dashes among them."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from jaxtyping import Bool, Int64, UInt8

from handigit.records import Box
from handigit.segment.page_rules import PageRules

_OVERLAP: Final = 0.4
"""Minimum vertical overlap of two parts on one row, in heights of the lower one."""
_MAX_HEIGHT_RATIO: Final = 2.2
"""Maximum ratio of the heights of neighbours in one number; beyond it, the higher part is other writing or print."""
_MAX_WORD_GAP: Final = 1.3
"""Maximum gap between words of a line of print, in heights."""
_MAX_PARTS: Final = 14
"""More parts than this close together are a line of print; numbers are shorter."""
_MIN_DIGIT_PX: Final = 9
"""Height of the smallest digit at the working size; anything lower is dust, a dot or a dash."""
_MIN_DIGIT: Final = 1 / 250
"""The same as a fraction of the page's longer side: 1.2 mm on A4."""
_MAX_GAP: Final = 0.75
"""Maximum gap between parts of a number, in heights."""
_MAX_GAP_ACROSS_RULE: Final = 0.3
"""The same with a rule between them: squared paper has digits that close, columns of a table do not."""
_WALL: Final = 0.6
"""Minimum fraction of two parts' common height along which a rule must run to divide them."""
_SQUARES: Final = 1.5
"""Maximum distance of the rules of squared paper, in heights of the writing on it; columns of a table are wider."""
_LOW_CELL: Final = 1.3
"""Maximum distance of level rules, in heights of the writing, for squares of paper; cells of a field are higher."""
_FRAGMENT_HEIGHT: Final = 0.6
"""Maximum height of a fragment relative to its candidate."""
_FRAGMENT_PARTS: Final = 2
_FRAGMENT_REACH: Final = 0.15
"""Maximum distance, in heights, of a fragment's middle from its candidate."""
_RIM: Final = 1 / 250
"""Maximum width of the remains of a rule, and their distance from it, as a fraction of the page's longer side."""
_DARKER: Final = 0.5
"""Fraction of a part that is much darker than the rule beside it, from which it is a stroke along the rule."""
_ON_RULE: Final = 0.75
"""Maximum fraction of such a stroke on the rule itself."""
_LARGEST: Final = 0.3
_LARGEST_THICK: Final = 0.5
"""Fraction of the page's longer side from which a part is a frame, a drawing or the edge of a table, not a digit; and
from which a thick one is."""
_THICK: Final = 0.2
"""Minimum inked fraction of the box of a thick part; frames have less."""

Boxes = Int64[np.ndarray, "n 4"]
"""Left, top, right and bottom of each."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Strokes that belong together: the box of their ink, the number of connected parts, the number of form cells."""

    box: Box
    parts: int
    cells: int = 0


def find_candidates(ink: UInt8[np.ndarray, "height width"], rules: PageRules) -> tuple[list[Candidate], list[Box]]:
    """The candidates on a page, and the dashes apart from them; those in the cells of one form field are separate."""
    boxes = _parts_of(ink)
    boxes = boxes[~_remains_of_rules(boxes, ink, rules)]
    height = boxes[:, 3] - boxes[:, 1]
    lowest = max(_MIN_DIGIT_PX, _MIN_DIGIT * max(ink.shape))
    main, small = boxes[height >= lowest], boxes[height < lowest]
    groups = connected_groups(len(main), _side_by_side(main, rules))
    candidates = [Candidate(_around(main[group]), len(group)) for group in groups]
    candidates, apart = _add_small_parts(candidates, small)
    return _without_frames(_join_fragments(candidates)), [dash for dash in apart if dash.width >= lowest]


def _parts_of(ink: UInt8[np.ndarray, "height width"]) -> Boxes:
    """The boxes of connected ink, without dust and parts too large for a digit."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    boxes = stats[1:, :4].astype(np.int64)
    boxes[:, 2:] += boxes[:, :2]
    side = np.maximum(stats[1:, 2], stats[1:, 3])
    height, width = ink.shape
    cut = (boxes[:, 0] == 0) | (boxes[:, 1] == 0) | (boxes[:, 2] == width) | (boxes[:, 3] == height)
    edge = cut & (side > 4 * np.minimum(stats[1:, 2], stats[1:, 3]))  # of the paper, or of something beside it
    filled = stats[1:, 4] >= _THICK * stats[1:, 2] * stats[1:, 3]
    largest = np.where(filled, _LARGEST_THICK, _LARGEST) * max(ink.shape)
    return np.asarray(boxes[(side >= 3) & (side <= largest) & (stats[1:, 4] >= 6) & ~edge])


def _remains_of_rules(boxes: Boxes, ink: UInt8[np.ndarray, "height width"], rules: PageRules) -> Bool[np.ndarray, " n"]:
    """The narrow parts along a rule, such as rims of thick frames; not strokes, which are darker and wider."""
    narrow = max(5, round(max(rules.upright.shape) * _RIM))
    remains = np.zeros(len(boxes), bool)
    for mask, axis in ((rules.upright, 0), (np.ascontiguousarray(rules.level.T), 1)):
        for number in np.flatnonzero(boxes[:, 2 + axis] - boxes[:, axis] <= narrow).tolist():
            near, start = boxes[number, axis], boxes[number, 1 - axis]
            far, end = boxes[number, 2 + axis], boxes[number, 3 - axis]
            beside = mask[start:end, max(near - narrow, 0) : far + narrow]
            remains[number] |= bool(beside.any(axis=1).mean() > 0.7)
    both = rules.both
    for number in np.flatnonzero(remains).tolist():
        left, top, right, bottom = boxes[number].tolist()
        part = np.s_[top:bottom, left:right]
        inked = ink[part] > 0
        is_darker = rules.written[part][inked].mean() >= _DARKER
        remains[number] = not (is_darker and both[part][inked].mean() <= _ON_RULE)
    return remains


def _side_by_side(boxes: Boxes, rules: PageRules) -> list[tuple[int, int]]:
    """The pairs of parts side by side as those of one number are."""
    order = np.argsort(boxes[:, 0], kind="stable")
    ordered = boxes[order]
    i, j = _nearby_pairs(ordered)
    left, right = ordered[i], ordered[j]
    left_height, right_height = left[:, 3] - left[:, 1], right[:, 3] - right[:, 1]
    lower, higher = np.minimum(left_height, right_height), np.maximum(left_height, right_height)
    overlap = np.minimum(left[:, 3], right[:, 3]) - np.maximum(left[:, 1], right[:, 1])
    gap = (right[:, 0] - left[:, 2]) / ((left_height + right_height) / 2)
    near = (overlap >= _OVERLAP * lower) & (higher <= _MAX_HEIGHT_RATIO * lower) & (gap <= _MAX_GAP)
    near[near] &= (gap[near] <= _MAX_GAP_ACROSS_RULE) | ~_divided(left[near], right[near], rules)
    return list(zip(order[i[near]].tolist(), order[j[near]].tolist(), strict=True))


def _nearby_pairs(boxes: Boxes) -> tuple[np.ndarray, np.ndarray]:
    """Indices of all pairs, sorted from the left, whose second starts less than a height after the first ends."""
    count = len(boxes)
    reach = boxes[:, 2] + (boxes[:, 3] - boxes[:, 1]) * _MAX_GAP * (1 + _MAX_HEIGHT_RATIO) / 2
    ends = np.searchsorted(boxes[:, 0], reach, side="right")
    starts = np.arange(count) + 1
    lengths = np.maximum(ends - starts, 0)
    first = np.repeat(np.arange(count), lengths)
    offsets = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return first, first + 1 + offsets


def _divided(left: Boxes, right: Boxes, rules: PageRules) -> Bool[np.ndarray, " n"]:
    """Whether an upright rule runs between the two of each pair, for most of their common height."""
    divided = np.zeros(len(left), bool)
    for number, (a, b) in enumerate(zip(left.tolist(), right.tolist(), strict=True)):
        if _is_on_squares(a, b, rules):
            continue
        between = rules.upright_walls[max(a[1], b[1]) : min(a[3], b[3]), a[2] : b[0]]
        divided[number] = between.any() and between.mean(axis=0).max() >= _WALL
    return divided


def _is_on_squares(left: list[int], right: list[int], rules: PageRules) -> bool:
    """Whether two parts are on squared paper.

    A level rule runs through them, as through no cell of a field, or level rules are too close for a cell between them;
    and upright ones are closer than the parts are high.
    """
    top, bottom = max(left[1], right[1]), min(left[3], right[3])
    if not _is_across_rules(top, bottom, left[0], right[2], rules):
        return False
    reach = round(_SQUARES * max(left[3] - left[1], right[3] - right[1]))
    start, end = max(left[0] - 2 * reach, 0), right[2] + 2 * reach
    walls = np.flatnonzero(rules.upright_walls[top:bottom, start:end].mean(axis=0) >= _WALL)
    gaps = np.diff(np.concatenate([[0], walls, [min(end, rules.upright.shape[1]) - start]]))
    return bool(len(walls) >= 4 and gaps.max() <= reach)


def _is_across_rules(top: int, bottom: int, left: int, right: int, rules: PageRules) -> bool:
    """Whether level rules run through the middle of these rows, or are so close that a cell between them is lower."""
    height = bottom - top
    start = max(top - 2 * height, 0)
    around = rules.level_walls[start : bottom + 2 * height, left:right].mean(axis=1) >= _WALL
    through = around[top - start + height // 8 : bottom - start - height // 8]
    walls = np.flatnonzero(around)
    gaps = np.diff(np.concatenate([[0], walls, [len(around)]]))
    return bool(through.any() or (len(walls) >= 4 and gaps.max() <= _LOW_CELL * height))


def _add_small_parts(candidates: list[Candidate], small: Boxes) -> tuple[list[Candidate], list[Box]]:
    """The candidates with the dots, dashes and bars close to them or in them, and the remaining small parts."""
    grown, apart = [], np.ones(len(small), bool)
    x, y = (small[:, 0] + small[:, 2]) / 2, (small[:, 1] + small[:, 3]) / 2
    for candidate in candidates:
        box, reach = candidate.box, 0.35 * candidate.box.height
        close = (small[:, 2] > box.left - reach) & (small[:, 0] < box.right + reach)
        close &= (y > box.top - reach) & (y < box.bottom + reach)
        close &= (x > box.left - 2 * reach) & (x < box.right + 2 * reach)
        grown.append(replace(candidate, box=_around(np.vstack([[box.as_list()], small[close]]))))
        apart &= ~close
    return grown, [Box(*part) for part in small[apart].tolist()]


def _join_fragments(candidates: list[Candidate]) -> list[Candidate]:
    """The candidates, each with much lower ones inside it or at its rim: strokes that a rule has cut off."""
    joined: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda candidate: -candidate.box.height):
        owner = next((n for n, large in enumerate(joined) if _is_fragment(candidate, large.box)), None)
        if owner is None:
            joined.append(candidate)
        else:
            joined[owner] = replace(joined[owner], box=Box.around([joined[owner].box, candidate.box]))
    return joined


def _is_fragment(candidate: Candidate, large: Box) -> bool:
    """Whether a candidate is a fragment of the large one with this box."""
    rim = _FRAGMENT_REACH * large.height
    x, y = (candidate.box.left + candidate.box.right) / 2, (candidate.box.top + candidate.box.bottom) / 2
    inside = large.left - rim <= x <= large.right + rim and large.top - rim <= y <= large.bottom + rim
    low = candidate.box.height <= _FRAGMENT_HEIGHT * large.height
    return inside and low and candidate.parts <= _FRAGMENT_PARTS


def _without_frames(candidates: list[Candidate]) -> list[Candidate]:
    """The candidates without boxes and circles drawn around others, which are no rules if they are askew or bent."""
    boxes = np.array([candidate.box.as_list() for candidate in candidates]).reshape(-1, 4)
    near, far = boxes[:, :2], boxes[:, 2:]
    usual = float(np.median(far[:, 1] - near[:, 1])) if len(boxes) else 0.0
    return [
        candidate
        for candidate in candidates
        if candidate.parts > 1 or candidate.box.height < usual or not _contains_another(candidate.box, near, far)
    ]


def _contains_another(box: Box, near: np.ndarray, far: np.ndarray) -> bool:
    """Whether one of the boxes with these corners is inside a box, with space all around it."""
    inside = (near > (box.left, box.top)).all(axis=1) & (far < (box.right, box.bottom)).all(axis=1)
    return bool(inside.any())


def join_print(candidates: list[Candidate]) -> list[Candidate]:
    """The candidates with those that form a line of print joined: handwritten numbers have fewer parts."""
    free = [candidate for candidate in candidates if not candidate.cells]
    order = sorted(range(len(free)), key=lambda n: free[n].box.left)
    pairs = []
    for position, i in enumerate(order):
        box = free[i].box
        for j in order[position + 1 :]:
            beside = free[j].box
            if beside.left > box.right + _MAX_WORD_GAP * _MAX_HEIGHT_RATIO * box.height:
                break
            near = beside.left - box.right <= _MAX_WORD_GAP * min(box.height, beside.height)
            alike = max(box.height, beside.height) <= _MAX_HEIGHT_RATIO * min(box.height, beside.height)
            if near and alike and on_one_row(box, beside):
                pairs.append((i, j))
    result = [candidate for candidate in candidates if candidate.cells]
    for group in connected_groups(len(free), pairs):
        members = [free[n] for n in group]
        parts = sum(member.parts for member in members)
        if parts > _MAX_PARTS:
            result.append(Candidate(Box.around(member.box for member in members), parts))
        else:
            result += members
    return result


def in_reading_order(candidates: list[Candidate]) -> list[Candidate]:
    """Row by row from the top, each from the left."""
    rows: list[list[Candidate]] = []
    for candidate in sorted(candidates, key=lambda candidate: candidate.box.top + candidate.box.bottom):
        row = next((row for row in rows[-3:] if _middle_in_row(row[-1].box, candidate.box)), None)
        if row is None:
            rows.append([candidate])
        else:
            row.append(candidate)
    return [candidate for row in rows for candidate in sorted(row, key=lambda candidate: candidate.box.left)]


def _middle_in_row(row: Box, box: Box) -> bool:
    middle = (box.top + box.bottom) / 2
    return row.top + 0.2 * row.height <= middle <= row.bottom - 0.2 * row.height


def on_one_row(a: Box, b: Box) -> bool:
    """Whether two boxes are side by side and not above one another."""
    overlap = min(a.bottom, b.bottom) - max(a.top, b.top)
    return overlap >= _OVERLAP * min(a.height, b.height)


def connected_groups(count: int, pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """The connected components of a graph of `count` nodes (union-find)."""
    parent = list(range(count))

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = node = parent[parent[node]]
        return node

    for a, b in pairs:
        parent[root(a)] = root(b)
    groups = defaultdict(list)
    for node in range(count):
        groups[root(node)].append(node)
    return list(groups.values())


def _around(boxes: Boxes) -> Box:
    left, top = boxes[:, :2].min(axis=0).tolist()
    right, bottom = boxes[:, 2:].max(axis=0).tolist()
    return Box(left, top, right, bottom)
