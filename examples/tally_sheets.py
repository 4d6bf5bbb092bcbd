"""A folder of tally sheets with sums: totals over all stations, and every sheet whose arithmetic fails.

python examples/tally_sheets.py [SCANS]
"""

import sys
from decimal import Decimal
from pathlib import Path

from handigit.forms import CheckState, FormReader, RecordOutcome

PROJECT = Path(__file__).resolve().parents[1]


def main(scans: Path) -> None:
    """Add up the sheets that were read, and name the others."""
    totals: dict[str, Decimal] = {}
    for record in FormReader("tally-sheet").records(scans):
        if record.outcome is RecordOutcome.READ:
            for name in ("votes_a", "votes_b", "votes_c"):
                value = record.fields[name].value
                totals[name] = totals.get(name, Decimal(0)) + (value if isinstance(value, Decimal) else 0)
            continue
        print(f"{record.source}: {record.outcome}")
        for check in record.checks:
            if check.state is CheckState.FAILS:
                print(f"  {check.says}: {check.why}")
    print({name: str(total) for name, total in totals.items()})


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PROJECT / "samples" / "forms" / "tally-sheets")
