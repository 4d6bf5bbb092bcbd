"""Templates inside the package: score sheet, roster, vitals chart, tally sheet, meter log, cheque, parcel label."""

from pathlib import Path
from typing import Final

_FOLDER: Final = Path(__file__).with_name("templates")


def gallery() -> dict[str, Path]:
    """The ready templates by their names."""
    return {path.stem: path for path in sorted(_FOLDER.glob("*.toml"))}


def gallery_path(name: str) -> Path | None:
    """The file of a ready template, None where there is none of that name."""
    return gallery().get(name)
