"""Where Handigit runs: folders, limits and threads, from the environment variables HANDIGIT_*.

Numbers that change a trained model are in `recipe.py`. Only the command line, the server and batches read the settings;
everything below receives its options as arguments.
"""

import os
from pathlib import Path
from typing import Any, Final

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, SecretStr


def _data_folder() -> Path:
    """The real data beside a source checkout if they exist, else a folder in the user's cache."""
    project = Path(__file__).resolve().parents[2]
    shared = project.parent / "shared" / "data"
    if (project / "pyproject.toml").is_file() and shared.is_dir():
        return shared
    return platformdirs.user_cache_path("handigit") / "data"


def _state_folder() -> Path:
    """The user's folder for data that outlive a program."""
    return platformdirs.user_data_path("handigit")


SECRETS: Final = ("token", "store")
"""Settings that may also be in a file, whose path is in HANDIGIT_TOKEN_FILE or HANDIGIT_STORE_FILE."""


class Settings(BaseModel):
    """The environment; each `Settings()` reads it again.

    Raises:
        ValidationError: pydantic's, naming the variable and its value.
        OSError: the file of a secret cannot be read.
    """

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    def __init__(self) -> None:
        names = {name: f"HANDIGIT_{name.upper()}" for name in type(self).model_fields}
        values: dict[str, Any] = {name: os.environ[key] for name, key in names.items() if key in os.environ}
        for name in SECRETS:
            if path := os.environ.get(f"HANDIGIT_{name.upper()}_FILE"):
                values[name] = Path(path).read_text(encoding="utf-8").strip()
        super().__init__(**values)

    data: Path = Field(default_factory=_data_folder, description="Folder of the data sets")
    runs: Path = Field(default=Path("runs"), description="Folder of the training runs")
    model_dir: Path | None = Field(default=None, description="Folder of the models [default: the embedded ones]")
    max_grey_mpx: float = Field(default=72, gt=0, description="Largest grey picture, in millions of pixels")
    max_colour_mpx: float = Field(default=36, gt=0, description="Largest colour picture, in millions of pixels")
    max_pages: int = Field(default=1000, ge=1, description="Maximum number of pages per document")
    page_dpi: float = Field(default=200, ge=36, le=1200, description="Dots per inch at which PDF pages are rendered")
    page_seconds: float = Field(default=8, gt=0, description="Seconds that decoding one page may take")
    threads: int | None = Field(default=None, ge=1, description="Threads [default: all; training measures]")

    # The server.
    host: str = Field(
        default="127.0.0.1", description="Address to listen on; beyond loopback only with a token or accounts"
    )
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0 for any free one")
    state: Path = Field(default_factory=_state_folder, description="Folder of the pictures and the SQLite file")
    store: str | None = Field(default=None, description="URL of the database [default: SQLite in HANDIGIT_STATE]")
    models: Path | None = Field(default=None, description="Folder of models to switch between")
    forms: Path | None = Field(default=None, description="Folder of form templates [default: forms in HANDIGIT_STATE]")
    docs: Path | None = Field(default=None, description="Folder of the built documentation, shown at /help")
    token: SecretStr | None = Field(default=None, min_length=16, description="Bearer token of an admin")
    hosts: str = Field(default="", description="Public names of the server, separated by commas")
    proxies: str = Field(default="", description="Addresses of trusted proxies, separated by commas")
    keep_readings: bool = Field(default=True, description="Store readings and pictures")
    retention_days: float | None = Field(default=None, gt=0, description="Delete older readings [default: never]")
    root_path: str = Field(default="", description="Path below which a proxy serves it, such as /numbers")
    cors_origins: str = Field(default="", description="Other origins, separated by commas, whose pages may use the API")
    max_upload_mb: float = Field(default=100, gt=0, description="Largest request, in millions of bytes")
    max_uploads_mb: float = Field(default=256, gt=0, description="All large requests in progress, in millions of bytes")
    max_files: int = Field(default=256, ge=1, description="Maximum number of pictures per request")
    queue: int = Field(default=256, ge=1, description="Maximum number of waiting pictures; beyond it, callers get 429")
    workers: int = Field(default=1, ge=0, description="Processes that read small pictures; 0 to read in the server")
    deadline_s: float = Field(default=30, gt=0, description="Seconds that a picture may wait")
    drain_s: float = Field(default=0, ge=0, description="Seconds to keep serving after SIGTERM while no longer ready")
    rate_per_minute: int = Field(default=6000, ge=1, description="Requests per minute from one address or account")

    @property
    def limits(self) -> dict[str, Any]:
        """The arguments of `handigit.images.Limits`."""
        names = ("max_grey_mpx", "max_colour_mpx", "max_pages", "page_dpi", "page_seconds")
        return {name: getattr(self, name) for name in names}

    @property
    def form_folder(self) -> Path:
        """Where the templates of forms are saved."""
        return self.forms or self.state / "forms"

    @property
    def store_url(self) -> str:
        """The URL of the database: by default SQLite in the state folder."""
        return self.store or f"sqlite:///{self.state / 'handigit.db'}"
