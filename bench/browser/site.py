"""A loopback server with the reader for browsers below /handigit and the models below /models."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from handigit import Reader
from handigit.web.browser_models import model_files
from handigit.web.pages.layout import STATIC


class _Quiet(SimpleHTTPRequestHandler):
    """Static files without a log; scripts have the type that browsers require."""

    extensions_map = SimpleHTTPRequestHandler.extensions_map | {".js": "text/javascript", ".mjs": "text/javascript"}

    def log_message(self, *_: object) -> None:
        """Write nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a folder on a loopback server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def reader_site(folder: Path, reader: Reader) -> Iterator[str]:
    """The address of a site with an empty page, made in a new folder, with the models that `reader` uses."""
    (folder / "handigit").symlink_to(STATIC / "handigit")
    (folder / "models").mkdir()
    for name, path in model_files(reader).items():
        (folder / "models" / name).symlink_to(path.resolve())
    (folder / "index.html").write_text(
        '<!doctype html><title>Handigit</title><link rel="icon" href="data:,">', encoding="utf-8"
    )
    with served(folder) as address:
        yield address
