"""Fields judged by their column: where many hold ticks, strokes or words, a stroke is no 1.

One to three upright strokes are 1, 11 and 111 in any hand; only the other fields of their column distinguish them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from jaxtyping import Bool

from handigit.forms.record import Field, FieldOutcome
from handigit.forms.specs import FieldSpec

_FEWEST: Final = 5
"""Written fields from which a column says something."""
_NO_NUMBERS: Final = 0.25
"""Fraction of a column's written fields that are no numbers from which its numbers are doubts. On `forms/grades_eg`
columns of digits have at most 0.03, columns of marks at least 0.2."""
_SHARED: Final = 0.5
"""Fraction of the wider of two fields of a column that is above or below the other."""
_NOTE: Final = "other fields of its column are no numbers"


def doubt_among_marks(fields: Mapping[str, Field], specs: Sequence[FieldSpec]) -> dict[str, Field]:
    """The written fields of a page as read alone; those read as numbers among marks are doubts."""
    found = {spec.name: fields[spec.name] for spec in specs}
    written = np.array([one.outcome is not FieldOutcome.BLANK for one in found.values()], bool)
    no_number = written & np.array([not one.text for one in found.values()], bool)
    if not no_number.any():
        return found
    columns = _columns(specs)
    counts = np.maximum((columns & written).sum(axis=1), 1)
    among = (counts >= _FEWEST) & ((columns & no_number).sum(axis=1) >= _NO_NUMBERS * counts)
    return {
        name: _doubted(one) if is_among else one for (name, one), is_among in zip(found.items(), among, strict=True)
    }


def _columns(specs: Sequence[FieldSpec]) -> Bool[np.ndarray, "n n"]:
    """For each field, which others are in its column."""
    left, right = (np.array([getattr(spec.box, side) for spec in specs]) for side in ("left", "right"))
    shared = np.minimum(right[:, None], right) - np.maximum(left[:, None], left)
    return np.asarray(shared >= _SHARED * np.maximum((right - left)[:, None], right - left), bool)


def _doubted(field: Field) -> Field:
    if field.outcome is not FieldOutcome.READ:
        return field
    alone = field.alone and replace(field.alone, outcome=FieldOutcome.DOUBT, note=_NOTE)
    return replace(field, outcome=FieldOutcome.DOUBT, note=_NOTE, alone=alone)
