"""Downloads against a real server that misbehaves, and local folders and archives instead of the network."""

import gzip
import hashlib
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from handigit.data.download import Arrival, KnownFile, Patience, fetch, fetch_local
from handigit.data.mnist import FILES, MIRRORS, fetch_mnist
from handigit.errors import BadDataFile, DataError, DownloadError
from local_mirror import MOST_BYTES, Behaviour, Mirror, mirror

CONTENT = np.random.default_rng(0).integers(0, 256, 300_000, dtype=np.uint8).tobytes()
PACKED = gzip.compress(CONTENT, mtime=0)
FILE = KnownFile("noise-idx1-ubyte", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
GOOD = {FILE.packed_name: PACKED}
HURRY = Patience(stall_s=0.2, attempts=3, pause_s=0)


def bring(folder: Path, *servers: Mirror, patience: Patience = HURRY) -> Arrival:
    (arrival,) = fetch([FILE], mirrors=[server.url for server in servers], folder=folder, patience=patience)
    assert arrival.path == folder / FILE.packed_name
    assert gzip.decompress(arrival.path.read_bytes()) == CONTENT
    assert [path.name for path in folder.iterdir()] == [FILE.packed_name], "no .part may be left"
    return arrival


def plan_of(server: Mirror) -> list[str | None]:
    return [request.range for request in server.requests]


def test_a_file_comes_with_progress_and_says_from_where(tmp_path: Path) -> None:
    seen: list[tuple[str, int, int | None]] = []
    with mirror(GOOD) as server:
        (arrival,) = fetch(
            [FILE],
            mirrors=[server.url],
            folder=tmp_path,
            patience=HURRY,
            progress=lambda name, done, total: seen.append((name, done, total)),
        )
        assert arrival.origin == server.url + FILE.packed_name
    assert seen[-1] == (FILE.packed_name, len(PACKED), len(PACKED))
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)


def test_a_break_is_resumed_where_it_was_and_no_byte_comes_twice(tmp_path: Path) -> None:
    with mirror(GOOD, ["break_off", "break_off"]) as server:
        bring(tmp_path, server)
        half = len(PACKED) // 2
        assert plan_of(server) == [None, f"bytes={half}-", f"bytes={half + (len(PACKED) - half) // 2}-"]
        assert sum(request.sent for request in server.requests) == len(PACKED)


def test_a_later_call_goes_on_with_what_an_earlier_one_left(tmp_path: Path) -> None:
    with mirror(GOOD, ["break_off"]) as server:
        with pytest.raises(DownloadError, match=r"broke off \(tries: 1\)"):
            bring(tmp_path, server, patience=Patience(stall_s=0.2, attempts=1, pause_s=0))
        bring(tmp_path, server)
        assert plan_of(server) == [None, f"bytes={len(PACKED) // 2}-"]


def test_a_silent_mirror_is_left_after_the_stall_time_and_the_rest_asked_of_the_next(tmp_path: Path) -> None:
    with mirror(GOOD, ["stall", "stall"]) as silent, mirror(GOOD) as other:
        bring(tmp_path, silent, other, patience=Patience(stall_s=0.2, attempts=2, pause_s=0))
        assert len(plan_of(other)) == 1
        assert plan_of(other)[0] is not None, "what the silent one sent is kept"


def test_a_wrong_byte_is_thrown_away_and_the_next_mirror_asked(tmp_path: Path) -> None:
    with mirror(GOOD, ["wrong_byte"]) as wrong, mirror(GOOD) as right:
        assert bring(tmp_path, wrong, right).origin.startswith(right.url)
        assert plan_of(wrong) == [None], "the same wrong bytes are not asked for again"
        assert plan_of(right) == [None], "nothing of the wrong ones is kept"


def test_pieces_that_do_not_fit_are_asked_for_once_more_as_a_whole(tmp_path: Path) -> None:
    packed_otherwise = gzip.compress(b"another file, half of which came before" * 10_000, mtime=1)
    (tmp_path / f"{FILE.packed_name}.part").write_bytes(packed_otherwise)
    with mirror(GOOD) as server:
        bring(tmp_path, server)
        assert plan_of(server) == [f"bytes={len(packed_otherwise)}-", None]


def test_a_mirror_that_refuses_is_not_asked_again(tmp_path: Path) -> None:
    with mirror(GOOD, ["forbidden"] * 5) as refusing, mirror(GOOD) as open_one:
        assert bring(tmp_path, refusing, open_one).origin.startswith(open_one.url)
        assert len(refusing.requests) == 1


def test_a_busy_mirror_is_asked_again(tmp_path: Path) -> None:
    with mirror(GOOD, ["busy"]) as server:
        bring(tmp_path, server)
        assert [request.behaviour for request in server.requests] == ["busy", "well"]


@pytest.mark.parametrize("behaviour", ["ignore_range", "odd_range"])
def test_a_mirror_that_answers_with_another_range_is_written_where_it_says(
    tmp_path: Path, behaviour: Behaviour
) -> None:
    with mirror(GOOD, ["break_off", behaviour]) as server:
        bring(tmp_path, server)
        assert plan_of(server) == [None, f"bytes={len(PACKED) // 2}-"]


def test_all_the_bytes_already_in_the_part_file_are_taken_as_they_are(tmp_path: Path) -> None:
    (tmp_path / f"{FILE.packed_name}.part").write_bytes(PACKED)
    with mirror(GOOD) as server:
        bring(tmp_path, server)
        assert sum(request.sent for request in server.requests) == 0


def test_a_mirror_that_never_stops_sending_is_stopped(tmp_path: Path) -> None:
    with mirror(GOOD, ["endless"]) as flood, mirror(GOOD) as other:
        bring(tmp_path, flood, other)
        assert flood.requests[0].sent < MOST_BYTES


def test_content_that_unpacks_without_end_is_refused(tmp_path: Path) -> None:
    with mirror({FILE.packed_name: gzip.compress(bytes(30 * len(CONTENT)))}) as bomb, mirror(GOOD) as other:
        assert bring(tmp_path, bomb, other).origin.startswith(other.url)


def test_a_mirror_that_serves_it_unpacked_is_good_enough(tmp_path: Path) -> None:
    with mirror({FILE.packed_name: CONTENT}) as server:
        (arrival,) = fetch([FILE], mirrors=[server.url], folder=tmp_path, patience=HURRY)
    assert arrival.path == tmp_path / FILE.name
    assert arrival.path.read_bytes() == CONTENT


def test_what_is_there_and_right_is_not_asked_for(tmp_path: Path) -> None:
    (tmp_path / FILE.name).write_bytes(CONTENT)
    with mirror(GOOD) as server:
        (arrival,) = fetch([FILE], mirrors=[server.url], folder=tmp_path, patience=HURRY)
        assert server.requests == []
    assert arrival == Arrival(tmp_path / FILE.name, "already there")


def test_what_is_there_and_wrong_is_replaced(tmp_path: Path) -> None:
    (tmp_path / FILE.packed_name).write_bytes(PACKED[:1000])
    with mirror(GOOD) as server:
        bring(tmp_path, server)


def test_no_mirror_left_names_each_with_its_reason_and_the_way_out(tmp_path: Path) -> None:
    plans: Sequence[Sequence[Behaviour]] = (["forbidden"], ["wrong_byte"], ["stall"] * 3, ["busy"] * 3)
    servers = [mirror(GOOD, plan) for plan in plans]
    with servers[0] as a, servers[1] as b, servers[2] as c, servers[3] as d, mirror({}) as e:
        with pytest.raises(DownloadError) as caught:
            bring(tmp_path, a, b, c, d, e)
        urls = [server.url for server in (a, b, c, d, e)]
    lines = str(caught.value).splitlines()
    reasons = dict(line.strip().split(": ", 1) for line in lines[1:-1])
    assert list(reasons) == urls
    assert reasons[urls[0]] == "answered 403 Forbidden"
    assert reasons[urls[1]] == "its content is not the known one (SHA-256 differs)"
    assert reasons[urls[2]] == "stalled: nothing came for 0.2 s (tries: 3)"
    assert reasons[urls[3]] == "answered 503 Service Unavailable"
    assert reasons[urls[4]] == "answered 404 Not Found"
    assert "--from FOLDER_OR_ARCHIVE` works offline" in lines[-1]


def test_a_mirror_that_is_not_there_is_a_reason_too(tmp_path: Path) -> None:
    with mirror({}) as gone:
        url = gone.url
    with pytest.raises(DownloadError, match=r"broke off \(tries: 3\)"):
        fetch([FILE], mirrors=[url], folder=tmp_path, patience=HURRY)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(DataError, match=r"taken.*choose another folder"):
        fetch([FILE], mirrors=[], folder=tmp_path / "taken" / "below", patience=HURRY)


def zipped(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.writestr("../../outside/noise-idx1-ubyte.gz", PACKED)
    return folder / "a.zip"


def tarred(folder: Path) -> Path:
    (folder / "noise.idx1-ubyte").write_bytes(CONTENT)
    with tarfile.open(folder / "a.tar.gz", "w:gz", compresslevel=1) as archive:
        archive.add(folder / "noise.idx1-ubyte", "deep/noise.idx1-ubyte")
    return folder / "a.tar.gz"


def foldered(folder: Path) -> Path:
    (folder / "deep" / "noise-idx1-ubyte").mkdir(parents=True)
    (folder / "deep" / "noise-idx1-ubyte" / "noise.idx1-ubyte").write_bytes(CONTENT)
    return folder


def test_content_with_a_byte_too_many_is_another_content(tmp_path: Path) -> None:
    (tmp_path / FILE.name).write_bytes(CONTENT + b"\0")
    assert not FILE.is_content_of(tmp_path / FILE.name)
    (tmp_path / FILE.name).write_bytes(CONTENT)
    assert FILE.is_content_of(tmp_path / FILE.name)


@pytest.mark.parametrize("make", [zipped, tarred, foldered])
def test_a_folder_or_archive_instead_of_the_network(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    (tmp_path / "from").mkdir()
    origin = make(tmp_path / "from")
    (arrival,) = fetch_local([FILE], origin=origin, folder=tmp_path / "to")
    assert FILE.is_content_of(arrival.path)
    assert arrival.origin == str(origin)
    assert list((tmp_path / "to").iterdir()) == [arrival.path]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["from", "to"], "nothing is written elsewhere"


def test_a_wrong_file_in_the_folder_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "noise-idx1-ubyte").write_bytes(CONTENT[:-1] + b"?")
    with pytest.raises(DataError, match="lacks noise-idx1-ubyte with the known content"):
        fetch_local([FILE], origin=tmp_path, folder=tmp_path / "to")
    assert not any((tmp_path / "to").iterdir())


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    whole = tarred(tmp_path)
    whole.write_bytes(whole.read_bytes()[:100_000])
    with pytest.raises(BadDataFile, match=r"a\.tar\.gz: a damaged archive"):
        fetch_local([FILE], origin=whole, folder=tmp_path / "to")


@pytest.mark.parametrize(
    ("name", "message"), [("none.zip", "no such folder or archive"), ("text.zip", "neither a folder nor a zip or tar")]
)
def test_an_origin_that_is_none(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "text.zip").write_text("not an archive")
    with pytest.raises(DataError, match=message):
        fetch_mnist(tmp_path / "to", origin=tmp_path / name)


def test_the_mirrors_of_mnist_are_several_and_encrypted() -> None:
    assert len(set(MIRRORS)) >= 3
    assert all(url.startswith("https://") and url.endswith("/") for url in MIRRORS)


def test_fetching_mnist_asks_for_its_four_files(tmp_path: Path) -> None:
    with mirror({}) as server:
        with pytest.raises(DownloadError, match=r"no mirror gave train-images-idx3-ubyte\.gz"):
            fetch_mnist(tmp_path, mirrors=[server.url], patience=HURRY)
        assert server.requests[0].name == FILES[0].packed_name
