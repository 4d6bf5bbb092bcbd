"""Cheques with an amount check: what can be booked, and what a person must look at, with the reason.

python examples/cheques.py [SCANS]
"""

import sys
from pathlib import Path

from handigit.forms import FormReader, RecordOutcome

PROJECT = Path(__file__).resolve().parents[1]


def main(scans: Path) -> None:
    """Print a line per cheque; one wrong amount in a thousand is accepted."""
    for record in FormReader("cheque", target_error=0.001).records(scans):
        if record.outcome is RecordOutcome.READ:
            print(f"{record.source}: {record['amount'].value} from account {record['account'].text}")
        else:
            print(f"{record.source}: {record.outcome}")
            for problem in record.problems:
                print(f"  {problem}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PROJECT / "samples" / "forms" / "cheques")
