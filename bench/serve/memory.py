"""Memory that the largest legal pictures take: in a process that decodes and reads, and in a server's two.

    python -m bench.serve.memory                           every kind of picture
    python -m bench.serve.memory --only "PNG colour" WebP  those whose names begin so, added to the other figures

Each picture is as large as the limits allow, or the extreme of its format. It is read by a new process that has read a
small page before; the figures are megabytes above that, at the peak: `here`, where that process decodes as well;
`reads` and `decodes`, where it leaves this to a child, as a server does. Results go to bench/results/resilience.json.
Needs /proc, so Linux.
"""

import argparse
import json
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from bench.results_io import RESULTS, load_results, save_results
from handigit.errors import HandigitError
from handigit.images import Limits
from handigit.read import Reader, read_document
from handigit.workers.memory import release_memory
from tests.serving import encoded, picture

LIMIT_MB: Final = 150
_POLL_S: Final = 0.005
Size = tuple[int, int]
GREY: Final[Size] = (8480, 8480)
A3: Final[Size] = (7016, 9921)
COLOUR: Final[Size] = (6000, 6000)
DEEP: Final[Size] = (4240, 4240)


def page(size: Size) -> Image.Image:
    """A sheet with a number in each quarter, in grey."""
    sheet = Image.new("L", size, 245)
    scale = max(1, min(size) // 12)
    digits = [Image.open(BytesIO(picture(digit, size=scale))) for digit in (7, 1)]
    for left in (size[0] // 8, size[0] * 5 // 8):
        for top in (size[1] // 8, size[1] * 5 // 8):
            for place, digit in enumerate(digits):
                sheet.paste(digit, (left + place * scale, top))
    return sheet


def specks(size: Size) -> Image.Image:
    """A sheet of dust."""
    sheet = np.asarray(page(size)).copy()
    chance = np.random.default_rng(0)
    for _ in range(40):
        sheet[chance.integers(0, size[1], 50_000), chance.integers(0, size[0], 50_000)] = 30
    return Image.fromarray(sheet)


def deep(size: Size) -> Image.Image:
    """The sheet with 16 bits per pixel."""
    return Image.fromarray(np.asarray(page(size)).astype(np.uint16) * 257)


def transparent(size: Size) -> Image.Image:
    """The sheet in colour with an alpha channel."""
    made = page(size).convert("RGBA")
    made.putalpha(page(size))
    return made


def tiled(size: Size, side: int = 512) -> bytes:
    """A TIFF whose pixels are in compressed tiles, which Pillow reads and does not write."""
    (width, height), pixels = size, np.asarray(page(size))
    pixels = np.pad(pixels, ((0, -height % side), (0, -width % side)))
    tiles = [zlib.compress(pixels[top : top + side, left : left + side].tobytes(), 1)
             for top in range(0, height, side) for left in range(0, width, side)]  # fmt: skip
    lengths = [len(tile) for tile in tiles]
    tags = 9
    lists = 8 + 2 + 12 * tags + 4
    first = lists + 8 * len(tiles)
    offsets = [first + sum(lengths[:number]) for number in range(len(tiles))]
    entries = [(256, 1, width), (257, 1, height), (258, 1, 8), (259, 1, 8), (262, 1, 1), (322, 1, side),
               (323, 1, side), (324, len(tiles), lists), (325, len(tiles), lists + 4 * len(tiles))]  # fmt: skip
    directory = struct.pack("<H", tags) + b"".join(struct.pack("<HHII", tag, 4, *rest) for tag, *rest in entries)
    numbers = struct.pack(f"<{2 * len(tiles)}I", *offsets, *lengths)
    return b"II*\0" + struct.pack("<I", 8) + directory + bytes(4) + numbers + b"".join(tiles)


def _pages(size: Size, count: int) -> bytes:
    sheets = [page(size)] * count
    return bytes(encoded(sheets[0], "TIFF", compression="tiff_lzw", save_all=True, append_images=sheets[1:]))


def _in_mode(mode: str, format_: str, size: Size, **how: Any) -> Callable[[], bytes]:
    return lambda: bytes(encoded(page(size).convert(mode), format_, **how))


CASES: Final[dict[str, Callable[[], bytes]]] = {
    "PNG grey": _in_mode("L", "PNG", GREY, compress_level=1),
    "PNG grey A3": _in_mode("L", "PNG", A3, compress_level=1),
    "PNG grey specks": lambda: bytes(encoded(specks(A3), "PNG", compress_level=1)),
    "PNG grey 30000 x 2400": _in_mode("L", "PNG", (30_000, 2400)),
    "PNG grey 2400 x 30000": _in_mode("L", "PNG", (2400, 30_000)),
    "PNG grey 30000 x 300": _in_mode("L", "PNG", (30_000, 300)),
    "PNG grey 300 x 30000": _in_mode("L", "PNG", (300, 30_000)),
    "PNG grey 30000 x 1": _in_mode("L", "PNG", (30_000, 1)),
    "PNG grey 1 x 30000": _in_mode("L", "PNG", (1, 30_000)),
    "PNG bilevel": _in_mode("1", "PNG", GREY),
    "PNG colour": _in_mode("RGB", "PNG", COLOUR, compress_level=1),
    "PNG palette": _in_mode("P", "PNG", COLOUR),
    "PNG palette, transparent": _in_mode("P", "PNG", COLOUR, transparency=0),
    "PNG alpha": lambda: bytes(encoded(transparent(COLOUR), "PNG", compress_level=1)),
    "PNG grey and alpha": lambda: bytes(encoded(transparent(COLOUR).convert("LA"), "PNG", compress_level=1)),
    "PNG 16 bits": lambda: bytes(encoded(deep(COLOUR), "PNG", compress_level=1)),
    "JPEG grey": _in_mode("L", "JPEG", GREY),
    "JPEG colour": _in_mode("RGB", "JPEG", GREY),
    "JPEG progressive": _in_mode("RGB", "JPEG", (6080, 6080), progressive=True),
    "JPEG progressive grey": _in_mode("L", "JPEG", (6080, 6080), progressive=True),
    "JPEG CMYK": _in_mode("CMYK", "JPEG", COLOUR),
    "TIFF grey": _in_mode("L", "TIFF", GREY),
    "TIFF grey LZW": _in_mode("L", "TIFF", GREY, compression="tiff_lzw"),
    "TIFF grey tiled": lambda: tiled(GREY),
    "TIFF fax": _in_mode("1", "TIFF", GREY, compression="group4"),
    "TIFF three pages": lambda: _pages(GREY, 3),
    "TIFF colour": _in_mode("RGB", "TIFF", COLOUR),
    "TIFF colour LZW": _in_mode("RGB", "TIFF", COLOUR, compression="tiff_lzw"),
    "TIFF alpha": lambda: bytes(encoded(transparent(COLOUR), "TIFF", compression="tiff_lzw")),
    "TIFF CMYK": _in_mode("CMYK", "TIFF", COLOUR, compression="tiff_lzw"),
    "TIFF 16 bits": lambda: bytes(encoded(deep(COLOUR), "TIFF")),
    "TIFF float": _in_mode("F", "TIFF", DEEP),
    "WebP": _in_mode("RGB", "WEBP", (4990, 4990), quality=60, method=0),
    "WebP alpha": lambda: bytes(encoded(transparent((4080, 4080)), "WEBP", quality=60, method=0)),
    "WebP lossless": _in_mode("RGB", "WEBP", (4990, 4990), lossless=True, quality=0, method=0),
    "BMP colour": _in_mode("RGB", "BMP", COLOUR),
    "BMP grey": _in_mode("L", "BMP", COLOUR),
    "GIF": _in_mode("P", "GIF", COLOUR),
    "PDF scan in grey": _in_mode("L", "PDF", A3, resolution=600),
    "PDF scan in colour": _in_mode("RGB", "PDF", COLOUR, resolution=600),
    "PDF page of A0": _in_mode("L", "PDF", (3370, 4768), resolution=103),
}


def measure(file: Path, *, apart: bool) -> dict[str, Any]:
    """The megabytes that a new process and its child take for a file."""
    command = [sys.executable, "-m", "bench.serve.memory", "--read", str(file), *(["--apart"] if apart else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def read(file: Path, *, apart: bool) -> dict[str, Any]:
    """Read a small page and then a file in this process; `apart`: decoded as in a server."""
    reader = Reader(threads=1, limits=Limits(isolate=apart))
    small = encoded(page((1600, 1200)))
    for _ in range(2):
        list(read_document(reader, small, "page"))
    release_memory()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # begin the peak again
    before, children = _status("self", "VmRSS"), _Children()
    try:
        found = 0
        for one in read_document(reader, file, "page"):
            found += len(one.numbers)
            del one  # its page, before the next one is decoded
        answer = f"{found} numbers"
    except HandigitError as problem:
        answer = type(problem).__name__
    peak = _status("self", "VmHWM") - before
    return {"peak": round(peak), "child": round(children.stop()), "answer": answer}


def _status(process: str | int, name: str) -> float:
    """A figure of a process in megabytes."""
    lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) / 1024


class _Children:
    """Watches the peak memory of this process's children."""

    def __init__(self) -> None:
        self._peak = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def stop(self) -> float:
        self._stop.set()
        self._thread.join()
        return self._peak

    def _watch(self) -> None:
        while not self._stop.is_set():
            for task in Path("/proc/self/task").iterdir():
                for child in (task / "children").read_text(encoding="ascii").split():
                    try:
                        if "decoder_process" in Path(f"/proc/{child}/cmdline").read_text(encoding="utf-8"):
                            self._peak = max(self._peak, _status(child, "VmHWM"))
                    except (OSError, StopIteration):  # it has ended
                        continue
            time.sleep(_POLL_S)


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[""], help="beginnings of names")
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--apart", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        print(json.dumps(read(options.read, apart=options.apart)))
        return
    rows: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "small"
        small.write_bytes(encoded(page((2000, 1500)), "TIFF"))
        empty = measure(small, apart=True)["child"]
        for name, make in CASES.items():
            if not name.startswith(tuple(options.only)):
                continue
            file = Path(folder) / "large"
            file.write_bytes(make())
            here, apart = measure(file, apart=False), measure(file, apart=True)
            rows[name] = {
                "here": here["peak"],
                "reads": apart["peak"],
                "decodes": max(0, apart["child"] - empty),
                "answer": ", ".join(dict.fromkeys((here["answer"], apart["answer"]))),
            }
            print(name, rows[name], flush=True)
    results = load_results(RESULTS / "resilience.json")
    results["memory"] = results.get("memory", {}) | rows
    save_results(RESULTS / "resilience.json", results)


if __name__ == "__main__":
    main()
