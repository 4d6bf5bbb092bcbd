"""Hostile files: each gets a clear problem or an answer, and the server continues."""

import random
import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from itertools import pairwise

import pytest
from PIL import Image

from serving import Running, encoded, picture, running

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "PDF")
CASES = {"PDF": 16, "TIFF": 16}
"""Variants of a picture, 64 where not given: these two are decoded in a process of their own, which takes longer."""


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Running]:
    """One server for all tests."""
    with running(tmp_path_factory.mktemp("server"), HANDIGIT_KEEP_READINGS="0") as started:
        yield started


def statuses_of(server: Running, contents: list[bytes], path: str = "/v1/digit") -> set[int]:
    """The status for each; every problem must be complete, and the server must still answer at the end."""
    statuses = set()
    with server.client() as client:
        for content in contents:
            answer = client.post(path, content=content)
            statuses.add(answer.status_code)
            if answer.status_code != 200:
                assert answer.headers["content-type"] == "application/problem+json"
                assert len(answer.json()["detail"]) > 20
        assert client.post("/v1/digit", content=picture()).json()["readings"][0]["text"] == "7"
    assert [line for line in server.raw if not line.startswith("{")] == []  # what decoders print stays out of the log
    return statuses


def chunk(name: bytes, data: bytes) -> bytes:
    """A PNG chunk."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_bomb(side: int) -> bytes:
    """A few kilobytes that declare a square with this side."""
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(1_000_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def jpeg_bomb() -> bytes:
    """A JPEG that declares 65535 x 65535."""
    content = bytearray(picture(format="JPEG", size=64))
    offset = content.index(b"\xff\xc0") + 5
    content[offset : offset + 4] = b"\xff\xff\xff\xff"
    return bytes(content)


def tiff(entries: list[tuple[int, int, int, int]], *, following: int) -> bytes:
    """A TIFF with one directory at byte 8; `following` is the offset of the next one."""
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<I", 8) + directory + struct.pack("<I", following)


def plain_tiff(width: int, height: int, *, following: int = 0) -> bytes:
    """Uncompressed grey, with far fewer bytes than it declares."""
    entries = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (273, 4, 1, 8),
        (277, 3, 1, 1),
        (278, 4, 1, height),
        (279, 4, 1, width * height % 2**32),
    ]
    return tiff(entries, following=following)


@pytest.mark.parametrize(
    "bomb",
    [png_bomb(50_000), png_bomb(2**31 - 1), jpeg_bomb(), plain_tiff(60_000, 60_000)],
    ids=["png", "largest png", "jpeg", "tiff"],
)
def test_a_bomb_is_refused_by_its_header(server, bomb) -> None:
    assert statuses_of(server, [bomb]) <= {413, 422}


@pytest.mark.parametrize("kind", FORMATS)
def test_truncated_pictures(server, kind) -> None:
    whole = picture(format=kind, size=64)
    parts = CASES.get(kind, 64)
    contents = [whole[: len(whole) * part // parts] for part in range(parts)]
    assert statuses_of(server, contents) <= {200, 400, 413, 422}


@pytest.mark.parametrize("kind", FORMATS)
def test_pictures_with_flipped_bits(server, kind) -> None:
    rng, whole = random.Random(0), picture(format=kind, size=64)
    contents = []
    for _ in range(CASES.get(kind, 64)):
        flipped = bytearray(whole)
        flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
        contents.append(bytes(flipped))
    assert statuses_of(server, contents) <= {200, 400, 413, 422}


def test_polyglot_files(server) -> None:
    page = b"<html><script>alert(1)</script></html>"
    contents = [
        b"GIF89a" + picture(),
        page + picture(),
        picture() + page,
        b"PK\3\4" + picture(),
        picture() + picture(format="PDF"),
        picture(format="JPEG") + picture(),
        b"%PDF-1.7\n" + picture(),
    ]
    assert statuses_of(server, contents) <= {200, 422}


def test_only_the_first_of_ten_thousand_frames_of_a_gif_is_read(server) -> None:
    frames = [Image.new("P", (2, 2), number % 2) for number in range(100)]
    small = BytesIO()
    frames[0].save(small, "GIF", save_all=True, append_images=frames[1:], disposal=2)
    body = small.getvalue()[:-1]
    head = body.index(b"\x21\xf9")
    assert statuses_of(server, [body[:head] + body[head:] * 100 + b";"]) == {200}


def test_a_tiff_with_a_loop_of_directories(server) -> None:
    content = plain_tiff(8, 8, following=8) + bytes(64)
    assert statuses_of(server, [content], "/v1/number") <= {200, 413, 422, 503}


def test_a_large_animation_of_few_bytes(server) -> None:
    canvas = Image.new("RGB", (6000, 6000), "white")
    animation = BytesIO()
    canvas.save(animation, "WEBP", save_all=True, append_images=[canvas.rotate(1)], duration=100, method=0)
    assert len(animation.getvalue()) < 256 * 1024
    assert statuses_of(server, [animation.getvalue()], "/v1/page") <= {200, 413}


def test_tiffs_that_their_decoder_complains_of(server) -> None:
    """Each of these makes libtiff or Pillow print warnings."""
    whole = plain_tiff(90, 70) + bytes(6300)
    contents = []
    for tag, value in ((277, 65535), (259, 4), (259, 32773)):  # samples per pixel, compressions
        assert struct.pack("<HHII", tag, 3, 1, 1) in whole
        contents.append(whole.replace(struct.pack("<HHII", tag, 3, 1, 1), struct.pack("<HHII", tag, 3, 1, value)))
    assert statuses_of(server, contents) <= {200, 413, 422}


def test_noise_and_empty_files(server) -> None:
    rng = random.Random(0)
    contents = [b"", b"\0", *(rng.randbytes(rng.randrange(2000)) for _ in range(50))]
    contents += [head + rng.randbytes(500) for head in (b"\x89PNG\r\n\x1a\n", b"II*\0", b"RIFF", b"BM", b"%PDF-1.4")]
    assert statuses_of(server, contents) <= {200, 400, 413, 422}


@pytest.mark.parametrize("name", ["../../etc/passwd", "a\0b", "\r\nSet-Cookie: x", "名前.png", "x" * 5000, "=1+1"])
def test_a_file_name_is_only_text(server, name) -> None:
    with server.client() as client:
        answer = client.post("/v1/digit", files={"file": (name, picture())})
    if answer.status_code == 400:
        return  # not a valid name in a form
    assert "set-cookie" not in answer.headers
    shown = answer.json()["readings"][0]["source"]
    assert shown.isprintable()
    assert len(shown) <= 200


def test_a_scan_of_a3_at_600_dpi_is_accepted(server) -> None:
    scan = encoded(Image.new("L", (7016, 9921), 255), "PNG", compress_level=1)
    with server.client() as client:
        answer = client.post("/v1/digit", content=scan)
    assert (answer.status_code, answer.json()["readings"][0]["outcome"]) == (200, "blank")


@pytest.mark.slow
def test_memory_stops_growing_over_hostile_files(server) -> None:
    hostile = (png_bomb(50_000), jpeg_bomb(), picture()[:60], b"%PDF-1.7\n", plain_tiff(60_000, 60_000))
    sizes = []
    with server.client() as client:
        for _ in range(6):
            for content in hostile * 10:
                assert client.post("/v1/digit", content=content).status_code in (413, 422)
            sizes.append(server.memory_mb())
    assert min(after - before for before, after in pairwise(sizes)) < 2  # a leak grows in every window
