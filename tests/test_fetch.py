"""Downloads from a real server that misbehaves, and local folders and archives instead of the network."""

import gzip
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from handigit.data.download import Download, KnownFile, RetryPolicy, fetch, fetch_local
from handigit.data.mnist import FILES, MIRRORS, fetch_mnist
from handigit.errors import BadDataFile, DataError, DownloadError
from local_mirror import MAX_ENDLESS_BYTES, Behaviour, Mirror, mirror

CONTENT = np.random.default_rng(0).integers(0, 256, 300_000, dtype=np.uint8).tobytes()
PACKED = gzip.compress(CONTENT, mtime=0)
FILE = KnownFile(
    "noise-idx1-ubyte", len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), hashlib.sha256(PACKED).hexdigest()
)
GOOD = {FILE.packed_name: PACKED}
QUICK = RetryPolicy(stall_s=0.2, transfer_s=5.0, attempts=2)


def fetch_from(folder: Path, *servers: Mirror, policy: RetryPolicy = QUICK) -> Download:
    (download,) = fetch([FILE], mirrors=[server.url for server in servers], folder=folder, policy=policy)
    assert download.path == folder / FILE.packed_name
    assert gzip.decompress(download.path.read_bytes()) == CONTENT
    assert [path.name for path in folder.iterdir()] == [FILE.packed_name], "no temporary file may be left"
    return download


def behaviours(server: Mirror) -> list[str]:
    return [request.behaviour for request in server.requests]


def test_a_download_reports_progress_and_its_url(tmp_path: Path) -> None:
    seen: list[tuple[str, int, int | None]] = []
    with mirror(GOOD) as server:
        (download,) = fetch([FILE], mirrors=[server.url], folder=tmp_path, progress=lambda *at: seen.append(at))
        assert download.origin == server.url + FILE.packed_name
    assert seen[-1] == (FILE.packed_name, len(PACKED), len(PACKED))
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)


@pytest.mark.parametrize("behaviour", ["break_off", "stall", "busy"])
def test_a_passing_failure_is_retried(tmp_path: Path, behaviour: Behaviour) -> None:
    with mirror(GOOD, [behaviour]) as server:
        fetch_from(tmp_path, server)
        assert behaviours(server) == [behaviour, "correct"]


@pytest.mark.parametrize("behaviour", ["wrong_byte", "forbidden", "endless"])
def test_a_hopeless_mirror_is_left_after_one_request(tmp_path: Path, behaviour: Behaviour) -> None:
    with mirror(GOOD, [behaviour] * 3) as bad, mirror(GOOD) as good:
        assert fetch_from(tmp_path, bad, good).origin.startswith(good.url)
        assert behaviours(bad) == [behaviour]


def test_an_endless_answer_is_cut_off(tmp_path: Path) -> None:
    with mirror(GOOD, ["endless"]) as flood, mirror(GOOD) as good:
        fetch_from(tmp_path, flood, good)
        assert flood.requests[0].sent < MAX_ENDLESS_BYTES


def test_a_byte_now_and_then_does_not_keep_a_transfer_alive(tmp_path: Path) -> None:
    with mirror(GOOD, ["drip"]) as slow, pytest.raises(DownloadError, match=r"too slow: \d+ bytes in 0\.3 s"):
        fetch_from(tmp_path, slow, policy=RetryPolicy(stall_s=5, transfer_s=0.3, attempts=3))
    assert not any(tmp_path.iterdir())


def test_redirects_in_a_circle_end(tmp_path: Path) -> None:
    with mirror(GOOD, ["redirect"]) as circle, mirror(GOOD) as good:
        assert fetch_from(tmp_path, circle, good).origin.startswith(good.url)


def test_content_that_unpacks_without_end_is_refused(tmp_path: Path) -> None:
    bomb = gzip.compress(bytes(30 * len(CONTENT)))
    with mirror({FILE.packed_name: bomb}) as evil, mirror(GOOD) as good:
        assert fetch_from(tmp_path, evil, good).origin.startswith(good.url)
    (tmp_path / "bomb.gz").write_bytes(bomb)
    assert not FILE.is_content_of(tmp_path / "bomb.gz")


def test_a_correct_file_is_not_downloaded_again(tmp_path: Path) -> None:
    (tmp_path / FILE.name).write_bytes(CONTENT)
    with mirror(GOOD) as server:
        (download,) = fetch([FILE], mirrors=[server.url], folder=tmp_path, policy=QUICK)
        assert server.requests == []
    assert download == Download(tmp_path / FILE.name, "already there")


def test_a_damaged_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / FILE.packed_name).write_bytes(PACKED[:1000])
    with mirror(GOOD) as server:
        fetch_from(tmp_path, server)


def test_when_all_mirrors_fail_each_is_named_with_its_reason(tmp_path: Path) -> None:
    plans: list[list[Behaviour]] = [["forbidden"], ["wrong_byte"], ["stall"] * 2, ["busy"] * 2]
    servers = [mirror(GOOD, plan) for plan in plans]
    with servers[0] as a, servers[1] as b, servers[2] as c, servers[3] as d, mirror({}) as e:
        with pytest.raises(DownloadError) as caught:
            fetch_from(tmp_path, a, b, c, d, e)
        urls = [server.url for server in (a, b, c, d, e)]
    lines = str(caught.value).splitlines()
    reasons = dict(line.strip().split(": ", 1) for line in lines[1:-1])
    assert list(reasons) == urls
    assert reasons[urls[0]] == "answered 403 Forbidden"
    assert reasons[urls[1]] == "wrong content (SHA-256 differs)"
    assert reasons[urls[2]] == "stalled: no data for 0.2 s (attempts: 2)"
    assert reasons[urls[3]] == "answered 503 Service Unavailable"
    assert reasons[urls[4]] == "answered 404 Not Found"
    assert "--from FOLDER_OR_ARCHIVE` works offline" in lines[-1]


def test_an_unreachable_mirror_is_a_reason_too(tmp_path: Path) -> None:
    with mirror({}) as gone:
        url = gone.url
    with pytest.raises(DownloadError, match=r"connection failed \(attempts: 2\)"):
        fetch([FILE], mirrors=[url], folder=tmp_path, policy=QUICK)


def test_a_folder_that_cannot_be_created_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(DataError, match=r"taken.*choose another folder"):
        fetch([FILE], mirrors=[], folder=tmp_path / "taken" / "below", policy=QUICK)


# Local folders and archives


def as_zip(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.writestr("../../outside/noise-idx1-ubyte.gz", PACKED)
    return folder / "a.zip"


def as_tar(folder: Path) -> Path:
    (folder / "noise.idx1-ubyte").write_bytes(CONTENT)
    with tarfile.open(folder / "a.tar.gz", "w:gz", compresslevel=1) as archive:
        archive.add(folder / "noise.idx1-ubyte", "deep/noise.idx1-ubyte")
    return folder / "a.tar.gz"


def as_folder(folder: Path) -> Path:
    (folder / "deep" / "noise-idx1-ubyte").mkdir(parents=True)
    (folder / "deep" / "noise-idx1-ubyte" / "noise.idx1-ubyte").write_bytes(CONTENT)
    return folder


def test_one_byte_too_many_is_different_content(tmp_path: Path) -> None:
    (tmp_path / FILE.name).write_bytes(CONTENT + b"\0")
    assert not FILE.is_content_of(tmp_path / FILE.name)
    (tmp_path / FILE.name).write_bytes(CONTENT)
    assert FILE.is_content_of(tmp_path / FILE.name)


@pytest.mark.parametrize("make", [as_zip, as_tar, as_folder])
def test_files_come_from_a_folder_or_archive_and_nothing_is_written_elsewhere(
    tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    (tmp_path / "from").mkdir()
    origin = make(tmp_path / "from")
    (download,) = fetch_local([FILE], origin=origin, folder=tmp_path / "to")
    assert FILE.is_content_of(download.path)
    assert download.origin == str(origin)
    assert list((tmp_path / "to").iterdir()) == [download.path]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["from", "to"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_a_tar_are_ignored(tmp_path: Path, kind: bytes) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(CONTENT)
    with tarfile.open(tmp_path / "evil.tar", "w") as archive:
        link = tarfile.TarInfo(FILE.name)
        link.type, link.linkname = kind, str(outside)
        archive.addfile(link)
        honest = tarfile.TarInfo("a/" + FILE.packed_name)
        honest.size = len(PACKED)
        archive.addfile(honest, io.BytesIO(PACKED))
    (download,) = fetch_local([FILE], origin=tmp_path / "evil.tar", folder=tmp_path / "to")
    assert download.path == tmp_path / "to" / FILE.packed_name
    assert not download.path.is_symlink()


def test_a_zip_bomb_is_read_no_further_than_the_file_can_be(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(FILE.name, bytes(100 * len(CONTENT)))
    with pytest.raises(DataError, match="lacks noise-idx1-ubyte with the known content"):
        fetch_local([FILE], origin=tmp_path / "bomb.zip", folder=tmp_path / "to")
    assert not any((tmp_path / "to").iterdir())


def test_a_file_with_other_content_is_not_accepted(tmp_path: Path) -> None:
    (tmp_path / "noise-idx1-ubyte").write_bytes(CONTENT[:-1] + b"?")
    with pytest.raises(DataError, match="lacks noise-idx1-ubyte with the known content"):
        fetch_local([FILE], origin=tmp_path, folder=tmp_path / "to")
    assert not any((tmp_path / "to").iterdir())


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    whole = as_tar(tmp_path)
    whole.write_bytes(whole.read_bytes()[:100_000])
    with pytest.raises(BadDataFile, match=r"a\.tar\.gz: a damaged archive"):
        fetch_local([FILE], origin=whole, folder=tmp_path / "to")


@pytest.mark.parametrize(
    ("name", "message"), [("none.zip", "no such folder or archive"), ("text.zip", "neither a folder nor a zip or tar")]
)
def test_an_unusable_origin_is_named(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "text.zip").write_text("not an archive")
    with pytest.raises(DataError, match=message):
        fetch_mnist(tmp_path / "to", origin=tmp_path / name)


# MNIST


def test_mnist_has_several_encrypted_mirrors_and_two_digests_per_file() -> None:
    assert len(set(MIRRORS)) >= 3
    assert all(url.startswith("https://") and url.endswith("/") for url in MIRRORS)
    digests = [digest for file in FILES for digest in (file.sha256, file.packed_sha256)]
    assert len(set(digests)) == 8
    assert all(len(bytes.fromhex(digest)) == 32 for digest in digests)


def test_fetching_mnist_asks_for_its_files(tmp_path: Path) -> None:
    with mirror({}) as server:
        with pytest.raises(DownloadError, match=r"no mirror could deliver train-images-idx3-ubyte\.gz"):
            fetch_mnist(tmp_path, mirrors=[server.url], policy=replace(QUICK, attempts=1))
        assert server.requests[0].name == FILES[0].packed_name
