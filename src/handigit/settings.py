"""Where we run: folders, limits and threads, from the environment variables HANDIGIT_*.

It knows nothing of what is computed there: every number that changes a result is in `recipe.py`.
Only the edges of the program (the command line) read it; everything below is handed what it needs.
"""

import os
from pathlib import Path

import platformdirs
from pydantic import BaseModel, ConfigDict, Field


def _data_folder() -> Path:
    """The real data beside a source checkout if it is there, else the user's cache."""
    project = Path(__file__).resolve().parents[2]
    beside = project.parent / "shared" / "data"
    if (project / "pyproject.toml").is_file() and beside.is_dir():
        return beside
    return platformdirs.user_cache_path("handigit") / "data"


class Settings(BaseModel):
    """The environment; `Settings()` reads it anew each time.

    Raises pydantic's `ValidationError` naming the variable and its value.
    """

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    def __init__(self) -> None:
        names = {name: f"HANDIGIT_{name.upper()}" for name in type(self).model_fields}
        super().__init__(**{name: os.environ[key] for name, key in names.items() if key in os.environ})

    data: Path = Field(default_factory=_data_folder, description="Folder of the data sets")
    runs: Path = Field(default=Path("runs"), description="Folder in which training runs are kept")
    model_dir: Path | None = Field(default=None, description="Folder of the models to read with; none: the embedded")
    max_grey_mpx: float = Field(default=100, gt=0, description="Largest grey picture, in millions of pixels")
    max_colour_mpx: float = Field(default=40, gt=0, description="Largest colour picture, in millions of pixels")
    threads: int | None = Field(default=None, ge=1, description="Processor threads to use; none: all")
