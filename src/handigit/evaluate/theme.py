"""One palette for every plot and page, light and dark, safe for the colour-blind.

Blue against orange is told apart with every common kind of colour-blindness (Okabe & Ito 2008); here they are
darkened and lightened until text in them has a contrast of at least 4.5 to 1 on their page.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours by their role.

    `first` is what it is about (validation, truth), `second` what stands against it; `series` are for many lines.
    """

    name: str
    page: str
    surface: str
    ink: str
    muted: str
    line: str
    first: str
    second: str
    series: tuple[str, ...]


LIGHT = Theme(
    name="light",
    page="#ffffff",
    surface="#f5f6f8",
    ink="#1b1f24",
    muted="#59636e",
    line="#dde1e6",
    first="#0b66b0",
    second="#b5500a",
    series=("#0b66b0", "#b5500a", "#00795a", "#a8447f", "#6a5d00", "#4a4f57"),
)
DARK = Theme(
    name="dark",
    page="#15181c",
    surface="#1e2227",
    ink="#e7eaed",
    muted="#9ca6b0",
    line="#363d45",
    first="#62b5f5",
    second="#f0a35a",
    series=("#62b5f5", "#f0a35a", "#3fc79f", "#e59ac6", "#e8dc63", "#aab2bb"),
)
THEMES = (LIGHT, DARK)
