"""Promotion: a new model replaces the live one if it does not do worse on a frozen set.

The comparison needs only which examples each model gets right, so digits and numbers are judged alike.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Bool

from handigit.atomic import write_file
from handigit.errors import DataError, HandigitError, ModelError

ANY_LOSS: Final = 0.5
"""At this significance every net loss counts: more losses than gains have a probability of at most one half."""

RightOf = Callable[[Path], Bool[np.ndarray, " n"]]
"""Which examples of the frozen set the model in a file gets right, always in the same order."""


class PromotionRefused(HandigitError):
    """A new model that does worse than the live one."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models on the same examples: errors of each, and examples that only one of them gets wrong."""

    examples: int
    live_wrong: int
    new_wrong: int
    lost: int
    gained: int

    @property
    def chance(self) -> float:
        """The probability of that many losses if neither model is better: the exact test of McNemar (1947)."""
        return mcnemar(self.lost, self.gained)

    def explain(self) -> str:
        """The figures in words."""
        return (
            f"of {self.examples} examples the new model gets {self.new_wrong} wrong, the live one {self.live_wrong}; "
            f"it loses {self.lost} that the live one gets right and gains {self.gained}; if both were equally good, "
            f"that many losses would have a probability of {self.chance:.2g}"
        )


def mcnemar(lost: int, gained: int) -> float:
    """The probability of at least `lost` heads in `lost + gained` tosses of a fair coin; 1 if nothing was lost."""
    tosses = lost + gained
    outcomes = sum(math.comb(tosses, heads) for heads in range(lost, tosses + 1))
    return float(outcomes / (1 << tosses))


def compare(live_right: Bool[np.ndarray, " n"], new_right: Bool[np.ndarray, " n"]) -> Comparison:
    """Two models side by side, from which examples each gets right.

    Raises:
        DataError: no examples.
    """
    if not len(live_right):
        raise DataError("the frozen set is empty; give one with examples")
    return Comparison(
        examples=len(live_right),
        live_wrong=int((~live_right).sum()),
        new_wrong=int((~new_right).sum()),
        lost=int((live_right & ~new_right).sum()),
        gained=int((~live_right & new_right).sum()),
    )


def require_no_loss(live: Path, new: Path, right_of: RightOf, *, significance: float = ANY_LOSS) -> Comparison:
    """Compare two models on the frozen set; returns if the new one does not do worse.

    `significance`: the largest probability at which a loss counts. At 0.5 every net loss does, at 0.05 only one that
    chance hardly explains.

    Raises:
        PromotionRefused: it does worse; the message has the figures.
    """
    result = compare(right_of(live), right_of(new))
    if result.lost > result.gained and result.chance <= significance:
        advice = "train it longer or on more data" if result.chance <= 0.05 else "measure on more examples"
        raise PromotionRefused(f"not promoted: {result.explain()}; {advice}")
    return result


def install(new: Path, live: Path, *, facts: Mapping[str, object]) -> Path | None:
    """Replace the live model in one step; returns the path of the old one, None if there was none.

    The old model stays beside it as `NAME.previous.onnx` and can be put back with `install`. A line with `facts` and
    the time is added to promotions.jsonl in the same folder.

    Raises:
        ModelError: the disk refuses.
    """
    previous = live.with_suffix(f".previous{live.suffix}") if live.exists() else None
    try:
        content = new.read_bytes()  # first, because it may be the previous one itself
        if previous:
            _copy(live.read_bytes(), previous)
        _copy(content, live)
        with (live.parent / "promotions.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps({"at": datetime.now(UTC).isoformat(timespec="seconds"), **facts}) + "\n")
    except OSError as problem:
        raise ModelError(f"cannot write {live}: {problem.strerror or problem}; choose another folder") from None
    return previous


def _copy(content: bytes, path: Path) -> None:
    with write_file(path, error=ModelError, durable=True) as stream:
        stream.write(content)
