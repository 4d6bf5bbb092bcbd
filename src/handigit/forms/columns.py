"""Fields judged by their column: where many hold ticks, strokes or words, a stroke is no 1."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from handigit.forms.record import Field, FieldOutcome
from handigit.forms.specs import FieldSpec
from handigit.segment import are_among_marks

_NOTE: Final = "other fields of its column are no numbers"


def doubt_among_marks(fields: Mapping[str, Field], specs: Sequence[FieldSpec]) -> dict[str, Field]:
    """The written fields of a page as read alone; those read as numbers among marks are doubts."""
    found = {spec.name: fields[spec.name] for spec in specs}
    written = np.array([one.outcome is not FieldOutcome.BLANK for one in found.values()], bool)
    no_number = written & np.array([not one.text for one in found.values()], bool)
    left, right = (np.array([getattr(spec.box, side) for spec in specs]) for side in ("left", "right"))
    among = are_among_marks(left, right, written=written, no_number=no_number)
    return {
        name: _doubted(one) if is_among else one for (name, one), is_among in zip(found.items(), among, strict=True)
    }


def _doubted(field: Field) -> Field:
    if field.outcome is not FieldOutcome.READ:
        return field
    alone = field.alone and replace(field.alone, outcome=FieldOutcome.DOUBT, note=_NOTE)
    return replace(field, outcome=FieldOutcome.DOUBT, note=_NOTE, alone=alone)
