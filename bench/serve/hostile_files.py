"""A corpus of damaged and malicious files, drawn and written here; the same for the same seed."""

import random
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from bench.serve.service import jpeg_bomb, png_bomb, tiff_bomb
from tests.serving import encoded

FORMATS: Final = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF", "PDF")
_MODES: Final = ("L", "RGB", "RGBA", "P", "1", "CMYK", "I;16", "F")
_SUPPORTED: Final = {
    "PNG": ("L", "RGB", "RGBA", "P", "1", "I;16"),
    "JPEG": ("L", "RGB", "CMYK"),
    "WEBP": ("RGB", "RGBA"),
    "BMP": ("L", "RGB", "1", "P"),
    "GIF": ("L", "P", "1"),
    "PDF": ("L", "RGB", "1"),
    "TIFF": _MODES,
}


def hostile_files(count: int, *, seed: int = 0, folder: Path | None = None) -> Iterator[tuple[str, bytes]]:
    """Names and contents of `count` files: those in `folder`, bombs, strange sizes, and damaged valid files."""
    chance = random.Random(seed)  # noqa: S311 - not a secret
    fixed = [(path.name, path.read_bytes()) for path in sorted(folder.iterdir()) if path.is_file()] if folder else []
    fixed += [("bomb.png", png_bomb(50_000)), ("bomb.jpg", jpeg_bomb()), ("bomb.tif", tiff_bomb(60_000))]
    fixed += [(f"strip-{width}x{height}.png", _flat_png(width, height)) for width, height in _SIZES]
    yield from fixed[:count]
    for number in range(count - len(fixed)):
        format_ = FORMATS[number % len(FORMATS)]
        yield f"{number}.{format_.lower()}", _damage(_valid(format_, chance), chance)


_SIZES: Final = ((1, 1), (1, 5000), (5000, 1), (30_000, 10), (2, 29_000), (7016, 9921), (8000, 9000), (30_000, 2400))


def _flat_png(width: int, height: int) -> bytes:
    """A grey page of one shade in very few bytes."""
    rows = zlib.compressobj(9)
    data = b"".join(rows.compress(b"\0" + b"\xc8" * width) for _ in range(height)) + rows.flush()
    parts = ((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)), (b"IDAT", data), (b"IEND", b""))
    chunks = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _valid(format_: str, chance: random.Random) -> bytes:
    """Strokes or noise of a random size and mode."""
    height, width = chance.randint(1, 900), chance.randint(1, 900)
    pixels = np.full((height, width), 240, np.uint8)
    if chance.random() < 0.3:
        pixels = np.random.default_rng(chance.randrange(10**6)).integers(0, 256, (height, width), np.uint8)
    pixels[height // 3 : height // 2 + 1, width // 3 : width // 2 + 1] = 20
    mode = chance.choice(_SUPPORTED[format_])
    image = Image.fromarray(pixels)
    if mode == "I;16":
        image = Image.fromarray(pixels.astype(np.uint16) * 257)
    elif mode != "L":
        image = image.convert(mode)
    several = format_ in ("TIFF", "PDF", "GIF") and chance.random() < 0.3
    pages = {"save_all": True, "append_images": [image] * 3} if several else {}
    return bytes(encoded(image, format_, **pages))


def _damage(content: bytes, chance: random.Random) -> bytes:
    """The file truncated, with flipped bytes, overwritten numbers, repeated or foreign parts; one in ten unharmed."""
    data = bytearray(content)
    kind = chance.randrange(10)
    if kind < 2:
        return bytes(data[: chance.randrange(1, len(data) + 1)])
    for _ in range(chance.choice((1, 4, 40)) if kind < 9 else 0):
        place = chance.randrange(len(data)) if kind < 6 else chance.randrange(min(len(data), 256))
        number = chance.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\0\0\x80\0"))
        data[place : place + 1] = number if kind in (3, 7) else bytes([chance.randrange(256)])
    if kind == 8:
        start = chance.randrange(len(data))
        data[start:start] = data[: chance.randrange(1, len(data))]
    return bytes(data)
