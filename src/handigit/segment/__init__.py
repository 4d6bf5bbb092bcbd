"""Page segmentation: page -> regions that may contain a number.

In order: `page_rules` (printed lines of the page), `candidates` (strokes grouped into candidates), `form_fields`
(candidates of one field joined), `regions` (the result).
"""

from handigit.segment.form_fields import are_among_marks as are_among_marks
from handigit.segment.regions import Region as Region
from handigit.segment.regions import are_several as are_several
from handigit.segment.regions import find_regions as find_regions
from handigit.segment.regions import find_regions_at_scale as find_regions_at_scale
from handigit.segment.regions import may_be_several as may_be_several
from handigit.segment.regions import to_working_size as to_working_size
