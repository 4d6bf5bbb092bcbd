"""Where we run: folders, limits and threads, from the environment variables HANDIGIT_*.

It knows nothing of what is computed there: every number that changes a result is in `recipe.py`.
Only the edges of the program (the command line, the server) read it; everything below is handed what it needs.
"""

import os
from pathlib import Path
from typing import Any

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, SecretStr


def _data_folder() -> Path:
    """The real data beside a source checkout if it is there, else the user's cache."""
    project = Path(__file__).resolve().parents[2]
    beside = project.parent / "shared" / "data"
    if (project / "pyproject.toml").is_file() and beside.is_dir():
        return beside
    return platformdirs.user_cache_path("handigit") / "data"


def _state_folder() -> Path:
    """Where the server keeps what must outlive it."""
    return platformdirs.user_data_path("handigit")


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
    max_grey_mpx: float = Field(default=72, gt=0, description="Largest grey picture, in millions of pixels")
    max_colour_mpx: float = Field(default=36, gt=0, description="Largest colour picture, in millions of pixels")
    max_pages: int = Field(default=1000, ge=1, description="Most pages of one document")
    page_dpi: float = Field(default=200, ge=36, le=1200, description="Dots an inch at which PDF pages are rendered")
    page_seconds: float = Field(default=10, gt=0, description="Seconds that decoding one page may take")
    threads: int | None = Field(default=None, ge=1, description="Processor threads to use; none: all")

    # The server.
    host: str = Field(default="127.0.0.1", description="Address to listen on; any but loopback demands a key")
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0: any that is free")
    state: Path = Field(default_factory=_state_folder, description="Folder of the store's pictures and SQLite file")
    store: str | None = Field(default=None, description="URL of the store's database; none: SQLite in HANDIGIT_STATE")
    models: Path | None = Field(default=None, description="Folder of models to switch between, besides the embedded")
    token: SecretStr | None = Field(default=None, min_length=16, description="A bearer token that may do everything")
    hosts: str = Field(default="", description="Names, comma between, by which the server is called from elsewhere")
    proxies: str = Field(default="", description="Addresses, comma between, of proxies whose X-Forwarded-For counts")
    keep_readings: bool = Field(default=True, description="Keep what was read, with its picture, in the store")
    retention_days: float | None = Field(default=None, gt=0, description="Forget readings older than this; none: never")
    root_path: str = Field(default="", description="Path below which a proxy serves it, such as /numbers")
    cors_origins: str = Field(default="", description="Other origins, separated by commas, whose pages may use the API")
    max_upload_mb: float = Field(default=100, gt=0, description="Largest request, in millions of bytes")
    max_uploads_mb: float = Field(default=256, gt=0, description="All large requests in progress, in millions of bytes")
    max_files: int = Field(default=256, ge=1, description="Most pictures in one request")
    queue: int = Field(default=256, ge=1, description="Most pictures that may wait; past it callers are told to retry")
    workers: int = Field(default=1, ge=0, description="Processes that read small pictures; 0: the server's own")
    deadline_s: float = Field(default=30, gt=0, description="Seconds after which a picture that waits is given up")
    drain_s: float = Field(default=0, ge=0, description="Seconds to go on serving, no longer ready, after SIGTERM")
    rate_per_minute: int = Field(default=6000, ge=1, description="Requests a minute from one address or account")

    @property
    def limits(self) -> dict[str, Any]:
        """What `handigit.images.Limits` may be made of."""
        names = ("max_grey_mpx", "max_colour_mpx", "max_pages", "page_dpi", "page_seconds")
        return {name: getattr(self, name) for name in names}

    @property
    def store_url(self) -> str:
        """The store's database: SQLite in the state folder where nothing else is said."""
        return self.store or f"sqlite:///{self.state / 'handigit.db'}"
