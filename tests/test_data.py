"""Data sets: every source, good and bad, and properties of any set."""

import gzip
import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from handigit.data import (
    Dataset,
    concatenate,
    duplicates,
    fetch_mnist,
    known_sets,
    load,
    overlap,
    save_npz,
    split,
    write_submission,
)
from handigit.data.idx import read_idx, write_idx
from handigit.data.strings import load_strings
from handigit.errors import BadDataFile, DataError
from handigit.settings import Settings

HEADER = ["label", *(f"pixel{i}" for i in range(784))]


def glyphs(count: int, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 28, 28), dtype=np.uint8)


def dataset(count: int = 20, *, seed: int = 0, name: str = "tiny") -> Dataset:
    return Dataset(name, glyphs(count, seed=seed), np.arange(count) % 10)


def bar(*, height: int = 40, width: int = 30, ink: int = 0, paper: int = 255) -> np.ndarray:
    """A picture of a 1."""
    picture = np.full((height, width), paper, np.uint8)
    picture[height // 5 : -height // 5, width // 2 - 2 : width // 2 + 2] = ink
    return picture


# Properties of any set


def test_the_fingerprint_covers_only_the_content() -> None:
    one = dataset()
    assert one.fingerprint == Dataset("another name", one.glyphs.copy(), one.labels, ("x: blank",)).fingerprint
    assert len(one.fingerprint) == 64
    relabelled = Dataset("tiny", one.glyphs, np.roll(np.arange(20) % 10, 1))
    unlabelled = Dataset("tiny", one.glyphs, None)
    reordered = one.take(np.arange(20)[::-1].copy())
    prints = {one.fingerprint, relabelled.fingerprint, unlabelled.fingerprint, reordered.fingerprint}
    assert len(prints) == 4


def test_the_fingerprint_never_changes_between_versions() -> None:
    known = Dataset("zeros", np.zeros((2, 28, 28), np.uint8), np.array([0, 9]))
    assert known.fingerprint == "44f26eb5490ea832217bc0cc4ae02376b043f1c604746f6b8200f6967aa8f7f0"


@given(seed=st.integers(0, 1000), validation=st.integers(0, 29), repeats=st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_a_split_never_shares_a_glyph_and_loses_only_duplicates(seed: int, validation: int, repeats: int) -> None:
    distinct = glyphs(30)
    whole = Dataset("repeated", np.concatenate([distinct] * repeats), np.arange(30 * repeats) % 10)
    try:
        parts = split(whole, validation=validation, seed=seed)
    except DataError:
        assert validation >= 20, "a set with many glyphs left is never refused"
        return
    assert overlap(parts.train, parts.validation) == 0
    assert len(parts.validation) == validation
    assert len(parts.train) + len(parts.validation) + parts.dropped == len(whole)
    assert (parts.dropped == 0) if repeats == 1 else (parts.dropped >= 0)


def test_a_split_keeps_labels_with_glyphs_and_depends_only_on_the_seed() -> None:
    whole = dataset(50)
    one, same, other = (split(whole, validation=20, seed=seed) for seed in (3, 3, 4))
    assert one.validation.fingerprint == same.validation.fingerprint != other.validation.fingerprint
    truth = dict(zip(whole.pixels(), whole.labels.tolist(), strict=True))
    for part in (one.train, one.validation):
        assert [truth[pixels] for pixels in part.pixels()] == part.labels.tolist()


def test_a_split_larger_than_the_set_is_refused() -> None:
    with pytest.raises(DataError, match="cannot hold out 20 of its 20 samples"):
        split(dataset(20), validation=20, seed=0)


def test_duplicates_and_overlap_count_exact_repeats() -> None:
    a = dataset(10)
    b = concatenate([a.take(np.array([0, 0, 5])), dataset(4, seed=1)], name="b")
    assert duplicates(a) == 0
    assert duplicates(b) == 1
    assert overlap(a, b) == 3
    assert overlap(b, a) == 2


def test_concatenate_keeps_order_labels_and_skipped_inputs() -> None:
    a = Dataset("a", glyphs(3), np.array([1, 2, 3]), ("a/x.png: blank",))
    both = concatenate([a, dataset(2, seed=1)], name="a+b")
    assert both.name == "a+b"
    assert both.labels.tolist() == [1, 2, 3, 0, 1]
    assert both.skipped == ("a/x.png: blank",)
    with pytest.raises(DataError, match="bare has no labels but others have"):
        concatenate([a, Dataset("bare", glyphs(1), None)], name="a+b")
    with pytest.raises(DataError, match="no data sets to concatenate"):
        concatenate([], name="nothing")


@pytest.mark.parametrize("label", [10, -1])
def test_a_label_outside_0_to_9_is_named_with_its_index(label: int) -> None:
    with pytest.raises(BadDataFile, match=rf"odd: label {label} at index 1 .* outside 0\.\.9"):
        Dataset("odd", glyphs(3), np.array([0, label, 3]))


def test_floats_are_the_glyphs_over_255() -> None:
    one = dataset(3)
    assert one.as_floats().dtype == np.float32
    assert np.array_equal(np.rint(one.as_floats() * 255), one.glyphs)


# IDX


IDX_TYPES = st.sampled_from(["u1", "i1", "i2", "i4", "f4", "f8"])


@given(
    array=IDX_TYPES.flatmap(lambda kind: arrays.arrays(kind, arrays.array_shapes(max_dims=4, min_side=0, max_side=5))),
    packed=st.booleans(),
)
@settings(max_examples=50, deadline=None)
def test_idx_round_trips(tmp_path_factory: pytest.TempPathFactory, array: np.ndarray, packed: bool) -> None:
    path = tmp_path_factory.getbasetemp() / ("array.gz" if packed else "array")
    write_idx(path, array)
    back = read_idx(path)
    assert back.dtype == array.dtype
    assert np.array_equal(back, array, equal_nan=array.dtype.kind == "f")
    first = path.read_bytes()
    write_idx(path, array)
    assert path.read_bytes() == first


def idx_pair(folder: Path, *, images: np.ndarray, labels: np.ndarray, suffix: str = "") -> Path:
    write_idx(folder / f"my-labels-idx1-ubyte{suffix}", labels.astype(np.uint8))
    write_idx(folder / f"my-images-idx3-ubyte{suffix}", images)
    return folder / f"my-images-idx3-ubyte{suffix}"


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_an_idx_pair_is_found_by_its_images(tmp_path: Path, suffix: str) -> None:
    path = idx_pair(tmp_path, images=glyphs(5), labels=np.arange(5), suffix=suffix)
    read = load(str(path), folder=tmp_path)
    assert np.array_equal(read.glyphs, glyphs(5))
    assert read.labels.tolist() == [0, 1, 2, 3, 4]


def test_an_idx_pair_of_another_size_is_normalised(tmp_path: Path) -> None:
    pictures = np.stack([bar(ink=255, paper=0), bar(ink=0, paper=0), bar(ink=255, paper=0)])
    read = load(str(idx_pair(tmp_path, images=pictures, labels=np.array([1, 2, 3]))), folder=tmp_path)
    assert read.glyphs.shape == (2, 28, 28)
    assert read.labels.tolist() == [1, 3]
    assert len(read.skipped) == 1
    assert read.skipped[0].startswith("my-images-idx3-ubyte[1]: ")


def test_a_folder_of_idx_pairs_has_two_parts(tmp_path: Path) -> None:
    for stem, count in (("emnist-digits-train", 4), ("emnist-digits-test", 2)):
        write_idx(tmp_path / f"{stem}-images-idx3-ubyte", glyphs(count))
        write_idx(tmp_path / f"{stem}-labels-idx1-ubyte", np.zeros(count, np.uint8))
    assert len(load(str(tmp_path), folder=tmp_path)) == 4
    assert len(load(str(tmp_path), folder=tmp_path, part="test")) == 2
    (tmp_path / "emnist-digits-test-images-idx3-ubyte").unlink()
    with pytest.raises(DataError, match="has no test images"):
        load(str(tmp_path), folder=tmp_path, part="test")


def transposed_ones(count: int = 12) -> np.ndarray:
    """Upright 1s, rows and columns swapped: they lie on their side."""
    pictures = np.zeros((count, 28, 28), np.uint8)
    pictures[:, 12:15, 4:24] = 255
    return pictures


def test_emnists_transposed_images_are_turned_upright(tmp_path: Path) -> None:
    write_idx(tmp_path / "emnist-digits-train-images-idx3-ubyte.gz", transposed_ones())
    write_idx(tmp_path / "emnist-digits-train-labels-idx1-ubyte.gz", np.ones(12, np.uint8))
    read = load(str(tmp_path), folder=tmp_path)
    assert np.array_equal(read.glyphs, transposed_ones().transpose(0, 2, 1))


def test_upright_images_under_emnists_name_are_left_alone(tmp_path: Path) -> None:
    upright = np.ascontiguousarray(transposed_ones().transpose(0, 2, 1))
    write_idx(tmp_path / "emnist-digits-train-images-idx3-ubyte", upright)
    write_idx(tmp_path / "emnist-digits-train-labels-idx1-ubyte", np.ones(12, np.uint8))
    assert np.array_equal(load(str(tmp_path), folder=tmp_path).glyphs, upright)


def test_sideways_images_of_another_name_are_refused(tmp_path: Path) -> None:
    path = idx_pair(tmp_path, images=transposed_ones(), labels=np.ones(12))
    with pytest.raises(BadDataFile, match="its 1s lie on their side, so its images are rotated or transposed"):
        load(str(path), folder=tmp_path)


def corrupt_magic(content: bytes) -> bytes:
    return b"\x89PNG" + content[4:]


def cut(content: bytes) -> bytes:
    return content[:-1]


def cut_in_header(content: bytes) -> bytes:
    return content[:10]


def empty(content: bytes) -> bytes:
    return content[:0]


def lengthen(content: bytes) -> bytes:
    return content + b"\0"


def claim_terabytes(content: bytes) -> bytes:
    return content[:4] + b"\xff\xff\xff\xff" + content[8:]


def cut_packed(content: bytes) -> bytes:
    return gzip.compress(content)[:-12]


def corrupt_packed(content: bytes) -> bytes:
    packed = bytearray(gzip.compress(content))
    packed[len(packed) // 2] ^= 0xFF
    return bytes(packed)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (corrupt_magic, "not an IDX file: it starts with 89504e47"),
        (empty, "not an IDX file: it starts with nothing"),
        (cut, "truncated: 3919 of 3920 bytes after the header"),
        (cut_in_header, "truncated within its header"),
        (lengthen, "continues after the 3920 bytes in its header"),
        (claim_terabytes, "its header claims 3367254359280 bytes"),
        (cut_packed, "cannot be read: .* copy it again"),
        (corrupt_packed, "cannot be read: .* copy it again"),
    ],
)
def test_a_bad_idx_file_is_named_with_the_problem(
    tmp_path: Path, spoil: Callable[[bytes], bytes], message: str
) -> None:
    path = idx_pair(tmp_path, images=glyphs(5), labels=np.arange(5))
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(BadDataFile, match=f"my-images-idx3-ubyte: {message}"):
        load(str(path), folder=tmp_path)


def test_a_mismatched_idx_pair_is_refused(tmp_path: Path) -> None:
    path = idx_pair(tmp_path, images=glyphs(5), labels=np.arange(4))
    with pytest.raises(BadDataFile, match="my-labels-idx1-ubyte: 5 images but 4 labels"):
        load(str(path), folder=tmp_path)
    path = idx_pair(tmp_path, images=glyphs(3), labels=np.array([1, 2, 11]))
    with pytest.raises(BadDataFile, match="my-labels-idx1-ubyte: label 11 at index 2"):
        load(str(path), folder=tmp_path)
    write_idx(path, np.zeros((3, 2), np.uint8))
    with pytest.raises(BadDataFile, match=r"holds uint8 of shape \(3, 2\), not 8-bit images"):
        load(str(path), folder=tmp_path)
    write_idx(path, glyphs(3))
    write_idx(path.with_name("my-labels-idx1-ubyte"), np.zeros(3, np.float32))
    with pytest.raises(BadDataFile, match="my-labels-idx1-ubyte: holds float32"):
        load(str(path), folder=tmp_path)
    path.with_name("my-labels-idx1-ubyte").unlink()
    with pytest.raises(BadDataFile, match="its labels' file is missing"):
        load(str(path), folder=tmp_path)


@given(place=st.integers(0, 40), byte=st.integers(0, 255), end=st.integers(0, 60))
@settings(max_examples=200, deadline=None)
def test_any_damage_to_an_idx_file_gives_our_own_error(
    tmp_path_factory: pytest.TempPathFactory, place: int, byte: int, end: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed"
    write_idx(path, np.arange(24, dtype=np.int16).reshape(2, 3, 4))
    content = bytearray(path.read_bytes())
    content[place] = byte
    path.write_bytes(content[:end] if end < 50 else content)
    with suppress(BadDataFile):
        assert read_idx(path).nbytes <= len(content)


def test_idx_cannot_hold_every_type(tmp_path: Path) -> None:
    with pytest.raises(BadDataFile, match="IDX cannot hold int64"):
        write_idx(tmp_path / "x", np.zeros(3, np.int64))


# Kaggle's tables


def table(path: Path, rows: list[list[object]], *, header: list[str] | None = None) -> Path:
    lines = [header or HEADER, *rows]
    path.write_text("".join(",".join(map(str, line)) + "\n" for line in lines), encoding="utf-8")
    return path


def rows(count: int) -> list[list[object]]:
    return [[i % 10, *glyphs(count)[i].ravel().tolist()] for i in range(count)]


def test_kaggles_tables_with_and_without_labels(tmp_path: Path) -> None:
    train = load(str(table(tmp_path / "train.csv", rows(12))), folder=tmp_path)
    assert np.array_equal(train.glyphs, glyphs(12))
    assert train.labels.tolist() == [i % 10 for i in range(12)]
    test = load(str(table(tmp_path / "test.csv", [row[1:] for row in rows(1)], header=HEADER[1:])), folder=tmp_path)
    assert np.array_equal(test.glyphs, glyphs(1))
    assert test.labels is None


def test_a_table_as_spreadsheets_write_it(tmp_path: Path) -> None:
    path = table(tmp_path / "excel.csv", rows(2))
    by_place = ["label", *(f"{r}x{c}" for r in range(1, 29) for c in range(1, 29))]
    text = path.read_text().replace(",".join(HEADER), ",".join(f'"{name}"' for name in by_place))
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode() + b"\r\n")
    assert np.array_equal(load(str(path), folder=tmp_path).glyphs, glyphs(2))


def corners_empty(count: int) -> np.ndarray:
    """Glyphs whose first and last pixel are 0, as in every real set."""
    images = glyphs(count)
    images[:, 0, 0] = images[:, -1, -1] = 0
    return images


def write_rows(path: Path, rows: list[list[object]], *, header: list[str] | None = None, separator: str = ",") -> Path:
    lines = [*([header] if header else []), *rows]
    path.write_text("".join(separator.join(map(str, line)) + "\n" for line in lines), encoding="utf-8")
    return path


@pytest.mark.parametrize("label_first", [True, False])
@pytest.mark.parametrize("header", [None, "Label", "class"])
def test_tables_without_a_header_or_with_the_label_last(tmp_path: Path, header: str | None, label_first: bool) -> None:
    pixels = [image.ravel().tolist() for image in corners_empty(12)]
    table_rows = [[i % 10, *row] if label_first else [*row, i % 10] for i, row in enumerate(pixels)]
    names = [f"pixel{i}" for i in range(1, 785)]
    top = None if header is None else [header, *names] if label_first else [*names, header]
    read = load(str(write_rows(tmp_path / "any.csv", table_rows, header=top)), folder=tmp_path)
    assert read.labels.tolist() == [i % 10 for i in range(12)]
    assert np.array_equal(read.glyphs, corners_empty(12))


def test_a_table_of_bare_pixels_has_no_labels(tmp_path: Path) -> None:
    read = load(str(write_rows(tmp_path / "t.csv", [corners_empty(1)[0].ravel().tolist()])), folder=tmp_path)
    assert read.labels is None
    assert np.array_equal(read.glyphs, corners_empty(1))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_tables_in_excels_encodings_and_separators(tmp_path: Path, encoding: str, separator: str) -> None:
    path = table(tmp_path / "excel.csv", rows(3))
    path.write_bytes(path.read_text().replace(",", separator).replace("\n", "\r\n").encode(encoding))
    assert np.array_equal(load(str(path), folder=tmp_path).glyphs, glyphs(3))


def test_strings_tables_in_utf_16_and_cp1252_are_read_and_checked_at_once(tmp_path: Path) -> None:
    Image.fromarray(bar()).save(tmp_path / "Größe.png")
    for encoding in ("utf-16", "cp1252"):
        (tmp_path / "t.csv").write_bytes("File;Text\r\nGröße.png;1234\r\n".encode(encoding))
        assert [string.text for string in load_strings(tmp_path / "t.csv")] == ["1234"]
    (tmp_path / "t.csv").write_bytes(b"file,text\nnone.png,1\n")
    with pytest.raises(DataError, match=r"none\.png: not found"):
        load_strings(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_bytes(bytes(range(256)))
    with pytest.raises(BadDataFile, match="cannot be read as a table of text"):
        load_strings(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("row", "column", "cell", "message"),
    [
        (2, 8, "ink", r"row 3 \(line 4\), column 'pixel7': 'ink' is not an integer from 0 to 255"),
        (0, 1, 256, r"row 1 \(line 2\), column 'pixel0': '256' is not"),
        (1, 784, -3, r"row 2 \(line 3\), column 'pixel783': '-3' is not"),
        (1, 5, "1.5", r"row 2 \(line 3\), column 'pixel4': '1.5' is not"),
        (1, 5, "", r"row 2 \(line 3\), column 'pixel4': '' is not"),
        (1, 5, 70000, r"row 2 \(line 3\), column 'pixel4': '70000' is not"),
        (2, 0, 10, r"row 3 \(line 4\), column 'label': '10' is not an integer from 0 to 9"),
        (2, 0, "7,7", r"row 3 \(line 4\) has 786 cells; expected 785"),
    ],
)
def test_a_bad_cell_is_named_by_row_and_column(
    tmp_path: Path, row: int, column: int, cell: object, message: str
) -> None:
    content = rows(3)
    content[row][column] = cell
    path = table(tmp_path / "train.csv", content)
    with pytest.raises(BadDataFile, match=rf"train\.csv: {message}"):
        load(str(path), folder=tmp_path)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ([*HEADER[:6], *HEADER[7:]], "column 'pixel5' is missing; the first line must name"),
        ([f"p{i}" for i in range(785)], r"column 'pixel0' is missing \(as are 783 more\)"),
        ([*HEADER[:1], *HEADER[:0:-1]], "columns are not pixel0 to pixel783 in order"),
    ],
)
def test_a_bad_header_is_named(tmp_path: Path, header: list[str], message: str) -> None:
    with pytest.raises(BadDataFile, match=message):
        load(str(table(tmp_path / "train.csv", rows(1), header=header)), folder=tmp_path)


def test_unusable_tables_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_bytes(b"")
    with pytest.raises(BadDataFile, match="column 'pixel0' is missing"):
        load(str(tmp_path / "empty.csv"), folder=tmp_path)
    with pytest.raises(BadDataFile, match="has a header and no rows"):
        load(str(table(tmp_path / "bare.csv", [])), folder=tmp_path)
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)))
    with pytest.raises(BadDataFile, match="cannot be read as a table of text"):
        load(str(tmp_path / "binary.csv"), folder=tmp_path)
    unclosed = table(tmp_path / "unclosed.csv", [["3", *['"1'] * 784]] * 100)
    with pytest.raises(BadDataFile, match=r"unclosed\.csv: "):
        load(str(unclosed), folder=tmp_path)
    short = rows(2)
    short[1].pop()
    with pytest.raises(BadDataFile, match=r"row 2 \(line 3\) has 784 cells"):
        load(str(table(tmp_path / "short.csv", short)), folder=tmp_path)


@pytest.mark.slow
def test_all_42_000_rows_of_kaggles_table_load(tmp_path: Path) -> None:
    path = table(tmp_path / "train.csv", rows(100))
    with path.open("a") as out:
        out.write(path.read_text().partition("\n")[2] * 419)
    assert len(load(str(path), folder=tmp_path)) == 42_000


def test_a_submission_has_kaggles_format(tmp_path: Path) -> None:
    write_submission(tmp_path / "new" / "submission.csv", np.array([7, 0, 9]))
    assert (tmp_path / "new" / "submission.csv").read_bytes() == b"ImageId,Label\n1,7\n2,0\n3,9\n"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["submission.csv"]
    with pytest.raises(DataError, match=r"cannot write .*submission\.csv"):
        write_submission(tmp_path / "new" / "submission.csv" / "submission.csv", np.array([1]))


# NumPy archives


def test_a_saved_set_loads_equal(tmp_path: Path) -> None:
    one = Dataset("mine", glyphs(4), np.array([4, 3, 2, 1]), ("7/a.png: blank", "ß: cut short"))
    save_npz(one, tmp_path / "file.npz")
    back = load(str(tmp_path / "file.npz"), folder=tmp_path)
    assert (back.name, back.fingerprint, back.skipped) == (one.name, one.fingerprint, one.skipped)
    save_npz(Dataset("bare", glyphs(2), None), tmp_path / "bare.npz")
    bare = load("bare", folder=tmp_path)
    assert bare.labels is None
    assert bare.skipped == ()


@pytest.mark.parametrize(("ink", "paper"), [(0, 255), (255, 0)])
def test_foreign_images_of_either_polarity_become_the_same_glyph(tmp_path: Path, ink: int, paper: int) -> None:
    (tmp_path / "digits").mkdir()
    images = np.stack([bar(ink=ink, paper=paper), bar(ink=paper, paper=paper), bar(ink=ink, paper=paper)])
    np.savez(tmp_path / "digits" / "foreign.npz", images=images, labels=np.array([1, 8, 1], np.uint8))
    read = load("foreign", folder=tmp_path)
    assert read.labels.tolist() == [1, 1]
    assert read.skipped[0].startswith("foreign.npz[1]: ")
    assert read.glyphs[0].max() > 200
    assert read.glyphs[0][:, :8].max() == 0, "bright ink in the middle, on 0"


def test_is_test_separates_the_parts_and_without_it_both_are_the_whole(tmp_path: Path) -> None:
    images, labels = np.stack([bar()] * 5), np.array([0, 1, 2, 3, 4])
    np.savez(tmp_path / "parted.npz", images=images, labels=labels, is_test=np.array([0, 1, 0, 1, 1]))
    np.savez(tmp_path / "whole.npz", images=images, labels=labels)
    assert load("parted", folder=tmp_path).labels.tolist() == [0, 2]
    assert load("parted", folder=tmp_path, part="test").labels.tolist() == [1, 3, 4]
    assert len(load("whole", folder=tmp_path, part="train")) == len(load("whole", folder=tmp_path, part="test")) == 5


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"x": glyphs(2)}, r"needs images, .* it holds x uint8\(2, 28, 28\)"),
        ({"images": glyphs(2).astype(np.float32)}, r"needs images, uint8 .* it holds images float32\(2, 28, 28\)"),
        ({"images": glyphs(2), "labels": np.array([1, 12])}, "label 12 at index 1"),
        ({"images": glyphs(2), "labels": np.array([1])}, "2 images but 1 labels"),
        ({"images": glyphs(2), "labels": np.array([0.5, 2])}, "labels must be integers"),
        ({"images": glyphs(2), "is_test": np.array([1])}, "is_test has shape"),
        ({"images": np.full((2, 20, 20), 255, np.uint8)}, "none of its 2 images is usable: .*blank"),
        ({"images": glyphs(0)}, "holds no images"),
        ({"glyphs": np.zeros((2, 5, 5), np.uint8)}, r"glyphs must be uint8 \(count, 28, 28\)"),
        ({"images": np.array([{"a": 1}], dtype=object)}, "not a .npz of plain arrays"),
    ],
)
def test_a_bad_archive_is_named_with_the_problem(tmp_path: Path, content: dict[str, np.ndarray], message: str) -> None:
    np.savez(tmp_path / "bad.npz", **content)
    with pytest.raises(BadDataFile, match=message):
        load(str(tmp_path / "bad.npz"), folder=tmp_path)


def test_damaged_archives_are_refused(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "whole.npz", images=glyphs(3))
    content = (tmp_path / "whole.npz").read_bytes()
    spoiled = content[:500] + bytes(200) + content[700:]
    for bad in (content[:-30], spoiled, b"", b"no archive"):
        (tmp_path / "bad.npz").write_bytes(bad)
        with pytest.raises(BadDataFile, match=r"bad\.npz: not a \.npz of plain arrays"):
            load(str(tmp_path / "bad.npz"), folder=tmp_path)
    with zipfile.ZipFile(tmp_path / "bad.npz", "w") as archive:
        archive.writestr("images.txt", "text")
    with pytest.raises(BadDataFile, match=r"bad\.npz"):
        load(str(tmp_path / "bad.npz"), folder=tmp_path)


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("floats", [False, True])
def test_keras_names_flat_images_floats_and_column_labels(tmp_path: Path, flat: bool, floats: bool) -> None:
    images, labels = glyphs(40), np.arange(40) % 10
    x = images.reshape(40, 784) if flat else images
    x = (x / 255).astype(np.float32) if floats else x
    y = labels.reshape(-1, 1) if flat else labels.astype(np.float64) if floats else labels
    np.savez(tmp_path / "mnist-keras.npz", x_train=x[:30], y_train=y[:30], x_test=x[30:], y_test=y[30:])
    train, test = (load("mnist-keras", folder=tmp_path, part=part) for part in ("train", "test"))
    assert np.array_equal(train.glyphs, images[:30])
    assert test.labels.tolist() == labels[30:].tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x_train": np.zeros((3, 32, 32), np.uint8)}, r"x_train must be \(count, 28, 28\) or \(count, 784\)"),
        ({"x_train": np.full((3, 28, 28), 300.0)}, "values from 300 to 300"),
        ({"x_train": np.full((3, 28, 28), -1.0)}, "values from -1 to -1"),
        ({"x_train": np.full((3, 28, 28), np.nan)}, "values from nan to nan"),
        ({"y_train": np.zeros((3, 10))}, r"labels must be integers \(count,\)"),
        ({"y_train": np.array([0.5, 1, 2])}, "labels must be integers"),
        ({"y_train": np.array([1, 2])}, "3 images but 2 labels"),
    ],
)
def test_bad_keras_arrays_are_named(tmp_path: Path, change: dict[str, np.ndarray], message: str) -> None:
    np.savez(tmp_path / "k.npz", **{"x_train": glyphs(3), "y_train": np.arange(3)} | change)
    with pytest.raises(BadDataFile, match=message):
        load("k", folder=tmp_path)


def test_a_decompression_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (1 << 28,)})
    with (
        zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("images.npy", "w") as entry,
    ):
        entry.write(header.getvalue())
        for _ in range(256):
            entry.write(bytes(1 << 20))
    assert (tmp_path / "bomb.npz").stat().st_size < 300_000
    with pytest.raises(BadDataFile, match=r"bomb\.npz: would unpack to 268 MB from 0\.3 MB"):
        load("bomb", folder=tmp_path)


def test_an_array_header_that_claims_more_than_the_archive_holds_is_refused(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (1 << 44,)})
    with zipfile.ZipFile(tmp_path / "claim.npz", "w") as archive:
        archive.writestr("images.npy", header.getvalue() + bytes(100))
    with pytest.raises(BadDataFile, match=r"claim\.npz: not a \.npz of plain arrays"):
        load("claim", folder=tmp_path)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "pickled.npz", images=np.array([{"a": 1}, None], dtype=object))
    with pytest.raises(BadDataFile, match=r"pickled\.npz: not a \.npz of plain arrays"):
        load("pickled", folder=tmp_path)


# Folders of images by class


def class_folder(root: Path) -> Path:
    for digit in (1, 7):
        (root / str(digit)).mkdir(parents=True)
        Image.fromarray(bar(height=50 + digit)).save(root / str(digit) / "a.png")
        Image.fromarray(bar(ink=250, paper=10)).convert("RGB").save(root / str(digit) / "b.jpg")
    return root


def test_a_folder_by_class_lists_unusable_pictures_as_skipped(tmp_path: Path) -> None:
    root = class_folder(tmp_path / "mine")
    (root / "1" / "broken.png").write_bytes((root / "1" / "a.png").read_bytes()[:60])
    (root / "7" / "note.txt").write_text("not a picture")
    (root / "7" / "empty.png").write_bytes(b"")
    (root / "7" / ".hidden").write_text("left alone")
    (root / "README.md").write_text("left alone")
    Image.fromarray(np.full((30, 30), 255, np.uint8)).save(root / "7" / "white.png")
    read = load(str(root), folder=tmp_path)
    assert read.labels.tolist() == [1, 1, 7, 7]
    assert [reason.split(": ")[0] for reason in read.skipped] == [
        "1/broken.png",
        "7/empty.png",
        "7/note.txt",
        "7/white.png",
    ]
    assert "blank" in read.skipped[-1]


def test_a_folder_with_train_and_test_has_two_parts(tmp_path: Path) -> None:
    class_folder(tmp_path / "mine" / "train")
    (tmp_path / "mine" / "test" / "3").mkdir(parents=True)
    Image.fromarray(bar()).save(tmp_path / "mine" / "test" / "3" / "x.png")
    assert load("mine", folder=tmp_path).labels.tolist() == [1, 1, 7, 7]
    assert load("mine", folder=tmp_path, part="test").labels.tolist() == [3]


def test_unusable_folders_are_named(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    with pytest.raises(BadDataFile, match="has no class folders; put the images into folders named 0, 1"):
        load("none", folder=tmp_path)
    (tmp_path / "odd" / "seven").mkdir(parents=True)
    with pytest.raises(BadDataFile, match="folder 'seven' is not a class; name the class folders 0, 1"):
        load("odd", folder=tmp_path)
    (tmp_path / "bad" / "3").mkdir(parents=True)
    with pytest.raises(BadDataFile, match="bad: holds no images"):
        load("bad", folder=tmp_path)
    (tmp_path / "bad" / "3" / "x.png").write_bytes(b"no picture")
    with pytest.raises(BadDataFile, match=r"bad: none of its 1 images is usable: 3/x\.png"):
        load("bad", folder=tmp_path)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the superuser may read everything")
def test_an_unreadable_folder_is_named(tmp_path: Path) -> None:
    root = class_folder(tmp_path / "mine")
    (root / "7").chmod(0)
    try:
        with pytest.raises(BadDataFile, match="mine: cannot be opened: Permission denied"):
            load(str(root), folder=tmp_path)
    finally:
        (root / "7").chmod(0o700)


# Names


def test_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "digits").mkdir()
    save_npz(dataset(2), tmp_path / "digits" / "usps.npz")
    save_npz(dataset(2), tmp_path / "mine.npz")
    assert known_sets(tmp_path) == ["mine", "usps"]
    (tmp_path / "mnist").mkdir()
    with pytest.raises(DataError, match=r"no data set named 'usbs'.*has: mnist, mine, usps; run `handigit data fetch`"):
        load("usbs", folder=tmp_path)


def test_missing_mnist_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte is not in .*run `handigit data fetch`"):
        load("mnist", folder=tmp_path)


def test_other_files_are_not_accepted_as_mnist(tmp_path: Path) -> None:
    write_idx(tmp_path / "mnist" / "t10k-images-idx3-ubyte.gz", glyphs(3))
    write_idx(tmp_path / "mnist" / "t10k-labels-idx1-ubyte", np.zeros(3, np.uint8))
    with pytest.raises(BadDataFile, match=r"holds \(3, 28, 28\), not MNIST's 10000 images"):
        load("mnist", folder=tmp_path, part="test")


def test_loading_data_needs_no_http_client_and_no_torch() -> None:
    heavy = ("httpx", "pooch", "torch", "rich", "matplotlib")
    code = f"import sys, handigit.data; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# Real data


@pytest.fixture(scope="module")
def real() -> Path:
    folder = Settings().data
    if not (folder / "mnist").is_dir():
        pytest.skip("the real data is missing; set HANDIGIT_DATA")
    return folder


@pytest.fixture(scope="module")
def mnist(real: Path) -> dict[str, Dataset]:
    return {part: load("mnist", folder=real, part=part) for part in ("train", "test")}


@pytest.mark.data
def test_mnist_has_no_test_image_among_its_training_images(mnist: dict[str, Dataset]) -> None:
    train, test = mnist["train"], mnist["test"]
    assert (len(train), len(test)) == (60_000, 10_000)
    assert np.bincount(train.labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert overlap(train, test) == 0
    assert duplicates(train) == duplicates(test) == 0


@pytest.mark.data
def test_local_mnist_files_have_the_known_digests(real: Path, tmp_path: Path) -> None:
    arrivals = fetch_mnist(tmp_path, origin=real)
    assert [arrival.origin for arrival in arrivals] == [str(real)] * 4
    assert [arrival.origin for arrival in fetch_mnist(tmp_path, mirrors=[])] == ["already there"] * 4


@pytest.mark.data
def test_a_split_of_mnist_drops_nothing(mnist: dict[str, Dataset]) -> None:
    parts = split(mnist["train"], validation=5000, seed=0)
    assert (len(parts.train), len(parts.validation), parts.dropped) == (55_000, 5000, 0)
    assert np.bincount(parts.validation.labels).min() > 400


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "train", "test"),
    [
        ("hwd1000", 1000, 1000),
        pytest.param("usps", 7291, 2007, marks=pytest.mark.slow),
        pytest.param("optdigits", 1934, 946, marks=pytest.mark.slow),
        pytest.param("semeion", 1593, 1593, marks=pytest.mark.slow),
    ],
)
def test_the_other_sets_load_completely(real: Path, name: str, train: int, test: int) -> None:
    for part, count in (("train", train), ("test", test)):
        read = load(name, folder=real, part=part)
        assert len(read) == count
        assert read.skipped == ()
        assert len(np.unique(read.labels)) == 10
