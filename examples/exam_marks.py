"""Exam marks to a spreadsheet: print score sheets, read the scans, list what a person must look at.

python examples/exam_marks.py [SCANS]
"""

import sys
from pathlib import Path

from handigit.forms import FormReader, RecordOutcome, export, print_form

PROJECT = Path(__file__).resolve().parents[1]


def main(scans: Path) -> None:
    """Read the score sheets in a folder."""
    out = Path("out/exam")
    print_form("score-sheet", out / "sheets.pdf", roster=[{"id": "A-17", "name": "Ada"}, {"id": "B-04", "name": "Bo"}])
    reader = FormReader("score-sheet", keep_crops=True)
    records = list(reader.records(scans))
    export(records, out / "marks.xlsx", crops=True)
    for record in records:
        print(record.source, record.outcome, record.fields["total"].text if record.fields else "")
        if record.outcome is not RecordOutcome.READ:
            print("  " + "\n  ".join(record.problems))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PROJECT / "samples" / "forms" / "score-sheets")
