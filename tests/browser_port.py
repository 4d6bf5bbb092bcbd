"""The JavaScript reader in Chromium: its modules served from the static folder, called with NumPy arrays.

The page is empty: what is tested is the modules, not the app.
"""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, Page

from bench.browser.site import served
from handigit.web.pages.layout import STATIC

_CALL = """
async ([address, name, args]) => {
  const { Plane } = await import("/handigit/plane.js");
  const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const unpack = (value) => {
    if (!value?.shape) return value;
    const bytes = bytesOf(value.bytes);
    const data = value.type === "uint8" ? bytes : new Float32Array(bytes.buffer);
    return new Plane(value.shape[1], value.shape[0], data);
  };
  const pack = (value) => {
    if (!(value instanceof Plane)) return value;
    const bytes = new Uint8Array(value.data.buffer, value.data.byteOffset, value.data.byteLength);
    let letters = "";
    for (let i = 0; i < bytes.length; i += 4096) letters += String.fromCharCode(...bytes.subarray(i, i + 4096));
    const type = value.data instanceof Uint8Array ? "uint8" : "float32";
    return { shape: [value.height, value.width], type, bytes: btoa(letters) };
  };
  const unpacked = args.map(unpack);
  const result = await (await import(address))[name](...unpacked);
  return pack(result === undefined ? unpacked[0] : result);
}
"""


@dataclass
class Port:
    """A page that can import the modules."""

    page: Page

    def call(self, module: str, name: str, *args: Any) -> Any:
        """What a module's function returns, or its first argument as changed in place; arrays are planes."""
        packed = [_pack(value) if isinstance(value, np.ndarray) else value for value in args]
        return _unpack(self.page.evaluate(_CALL, [f"/handigit/{module}.js", name, packed]))


@contextmanager
def opened(browser: Browser, folder: Path = STATIC) -> Iterator[Port]:
    """A page on a server with the modules."""
    with served(folder) as address:
        page = browser.new_page()
        page.goto(f"{address}/icon.svg")
        yield Port(page)
        page.close()


def _pack(plane: np.ndarray) -> dict[str, Any]:
    content = base64.b64encode(np.ascontiguousarray(plane).tobytes()).decode()
    return {"shape": plane.shape, "type": str(plane.dtype), "bytes": content}


def _unpack(value: Any) -> Any:
    if not (isinstance(value, dict) and "bytes" in value):
        return value
    content = base64.b64decode(value["bytes"])
    return np.frombuffer(content, value["type"]).reshape(value["shape"])
