"""Megabytes of the base install: a fresh virtual environment with the package and what it needs, nothing else.

    python -m bench.read.install_size

Counts what pip put into site-packages, the package itself with its models included, pip's own files not.
"""

import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
RESULTS = PROJECT / "bench" / "results" / "install_size.json"
NOT_OURS = ("pip", "setuptools", "_distutils_hack", "pkg_resources")


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink())


def main() -> None:
    """Install into a temporary environment and weigh it."""
    with tempfile.TemporaryDirectory() as place:
        venv.create(place, with_pip=True)
        python = Path(place) / "bin" / "python"
        install = [str(python), "-m", "pip", "install", "--quiet", "-c", str(PROJECT / "constraints.txt"), str(PROJECT)]
        subprocess.run(install, check=True, stdout=sys.stderr)
        site = next(Path(place).glob("lib/*/site-packages"))
        sizes = {entry.name: folder_bytes(entry) for entry in site.iterdir() if entry.is_dir()}
    ours = {name: size for name, size in sizes.items() if not name.startswith(NOT_OURS)}
    largest = sorted(ours.items(), key=lambda item: -item[1])[:8]
    result = {"megabytes": round(sum(ours.values()) / 1e6, 1), "largest": {n: round(s / 1e6, 1) for n, s in largest}}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
