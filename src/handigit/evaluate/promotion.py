"""Whether a new model may go live, and how it does.

It knows which answers of two models were right, not how a model answers: digits and numbers are judged alike.
"""

import json
import math
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from handigit.errors import DataError, HandigitError, ModelError

ANY_LOSS = 0.5
"""At this significance every net loss is one: losing more often than winning has a chance of at most one half."""

RightOf = Callable[[Path], Bool[np.ndarray, " n"]]
"""Which examples of the frozen set the model in a file answers rightly, always in the same order."""


class PromotionRefused(HandigitError):
    """A new model that loses against the one that is live."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models on the same examples: how many each gets wrong, and those that only one of them gets wrong."""

    examples: int
    live_wrong: int
    new_wrong: int
    lost: int
    gained: int

    @property
    def chance(self) -> float:
        """How likely so many losses are if neither model is better: the one-sided exact test of McNemar (1947)."""
        return mcnemar(self.lost, self.gained)

    def explain(self) -> str:
        """The figures in words."""
        return (
            f"of {self.examples} examples the new model gets {self.new_wrong} wrong, the live one {self.live_wrong}; "
            f"it loses {self.lost} that the live one gets right and gains {self.gained}; were both equally good, as "
            f"many losses would come up with a probability of {self.chance:.2g}"
        )


def mcnemar(lost: int, gained: int) -> float:
    """The probability of at least `lost` heads in `lost + gained` throws of a fair coin; 1 where nothing was lost."""
    throws = lost + gained
    as_many = sum(math.comb(throws, heads) for heads in range(lost, throws + 1))
    return float(as_many / (1 << throws))


def compare(live_right: Bool[np.ndarray, " n"], new_right: Bool[np.ndarray, " n"]) -> Comparison:
    """Two models' right answers side by side.

    Raises:
        DataError: no examples.
    """
    if not len(live_right):
        raise DataError("the frozen set is empty; nothing can be judged by it")
    return Comparison(
        examples=len(live_right),
        live_wrong=int((~live_right).sum()),
        new_wrong=int((~new_right).sum()),
        lost=int((live_right & ~new_right).sum()),
        gained=int((~live_right & new_right).sum()),
    )


def require_no_loss(live: Path, new: Path, right_of: RightOf, *, significance: float = ANY_LOSS) -> Comparison:
    """Let two models answer the frozen set; returns if the new one does not lose.

    `significance`: the largest probability by chance at which a loss counts. At 0.5 each net loss does; at 0.05 only
    one that chance hardly explains.

    Raises:
        PromotionRefused: it loses; the message has the figures.
    """
    result = compare(right_of(live), right_of(new))
    if result.lost > result.gained and result.chance <= significance:
        advice = "train it longer or on more" if result.chance <= 0.05 else "measure on more examples, or train it on"
        raise PromotionRefused(f"not promoted: {result.explain()}; {advice}")
    return result


def install(new: Path, live: Path, *, facts: Mapping[str, object]) -> Path | None:
    """Put a model in the place of the live one in one step; where the old one went, None if there was none.

    The old one stays beside it as `NAME.previous.onnx`, so that it can be put back by `install` too. A line with the
    `facts` and the moment is added to promotions.jsonl there.

    Raises:
        ModelError: the disk refuses.
    """
    previous = live.with_suffix(f".previous{live.suffix}") if live.exists() else None
    part = live.with_name(f".{live.name}.part")
    try:
        live.parent.mkdir(parents=True, exist_ok=True)
        _copy(new, part)
        if previous:
            _copy(live, previous)
        part.replace(live)
        with (live.parent / "promotions.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps({"at": datetime.now(UTC).isoformat(timespec="seconds"), **facts}) + "\n")
    except OSError as problem:
        raise ModelError(f"cannot write {live}: {problem.strerror or problem}; choose another folder") from None
    finally:
        part.unlink(missing_ok=True)
    return previous


def _copy(source: Path, target: Path) -> None:
    """A copy that is on disk before anything is renamed to it."""
    with source.open("rb") as reading, target.open("wb") as writing:
        shutil.copyfileobj(reading, writing)
        writing.flush()
        os.fsync(writing.fileno())
