"""A vitals chart: the temperatures and pressures of a day by time, with what is unsure marked.

python examples/vitals_chart.py [SCANS]
"""

import sys
from pathlib import Path

from handigit.forms import Field, FieldOutcome, FormReader

PROJECT = Path(__file__).resolve().parents[1]
COLUMNS = ("time", "temperature", "systolic", "diastolic", "pulse", "weight")


def shown(field: Field) -> str:
    """The value of a field; a question mark where a person should look."""
    text = "" if field.value is None else str(field.value)
    return f"{text or field.raw}?" if field.outcome is FieldOutcome.DOUBT else text


def main(scans: Path) -> None:
    """Print the rows of each chart that have something in them."""
    for record in FormReader("vitals-chart").records(scans):
        print(f"{record.source}: {record.outcome}")
        rows = sorted({int(name.split(".")[1]) for name in record.fields if name.startswith("readings.")})
        for row in rows:
            cells = [shown(record[f"readings.{row}.{column}"]) for column in COLUMNS]
            if any(cells):
                print("  " + "  ".join(f"{cell:>9}" for cell in cells))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PROJECT / "samples" / "forms" / "vitals-charts")
