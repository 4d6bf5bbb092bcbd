"""The wheel that would be published: complete, and enough to read with in a bare environment."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

PROJECT = Path(__file__).parents[1]
LARGEST_INSTALL_MB = 420

pytestmark = pytest.mark.slow


def run(command: Sequence[str | Path], folder: Path) -> str:
    done = subprocess.run([str(word) for word in command], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run([sys.executable, "-m", "build", "--outdir", folder, PROJECT], PROJECT)
    return folder


@pytest.fixture(scope="module")
def bare_bin(dist: Path, tmp_path_factory) -> Path:
    """The scripts folder of an environment that holds the wheel and its dependencies, nothing else."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=True)
    scripts = folder / ("Scripts" if sys.platform == "win32" else "bin")
    (wheel,) = dist.glob("*.whl")
    constraints = ("--constraint", PROJECT / "constraints.txt")
    run([scripts / "python", "-m", "pip", "install", "--quiet", *constraints, wheel], folder)
    return scripts


@pytest.mark.parametrize("name", ["Dockerfile", "batch.Dockerfile", "docs.Dockerfile"])
def test_an_image_copies_what_its_installation_needs(name: str, tmp_path: Path) -> None:
    text = (PROJECT / "deploy" / name).read_text(encoding="utf-8")
    for names, target in re.findall(r"^COPY (?!--from)(.+) (\S+)$", text, re.MULTILINE):
        for source in (PROJECT / word for word in names.split()):
            if source.is_dir():
                shutil.copytree(source, tmp_path / target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                place = tmp_path / target / source.name if target == "./" else tmp_path / target
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, place)
    run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path / "wheels", "."],
        tmp_path,
    )
    assert len(list((tmp_path / "wheels").iterdir())) == 1


def test_metadata_passes_twine(dist: Path) -> None:
    run([sys.executable, "-m", "twine", "check", "--strict", *sorted(dist.iterdir())], dist)


def test_a_sample_is_read_in_a_bare_environment(bare_bin: Path, tmp_path: Path) -> None:
    sample = PROJECT / "samples" / "numbers" / "zip-code-on-an-envelope.jpg"
    output = run([bare_bin / "handigit", "read", sample, "--as", "number", "--format", "jsonl"], tmp_path)
    expected = json.loads((sample.parent / "expected.json").read_text(encoding="utf-8"))[sample.name]
    answer = json.loads(output)
    assert answer["outcome"] in expected["outcome"]
    assert answer["text"] in expected["texts"]


def test_the_readme_example_runs_in_a_bare_environment(bare_bin: Path, tmp_path: Path) -> None:
    sample = PROJECT / "samples" / "numbers" / "touching-digits.png"
    code = f"from handigit import Reader; print(Reader().number({str(sample)!r}).text)"
    assert run([bare_bin / "python", "-c", code], tmp_path).strip() == "35802"


def test_each_line_of_the_readme_runs_in_a_bare_environment(bare_bin: Path, tmp_path: Path) -> None:
    """Everything that needs only the base installation: from installing to the first results, in the README's order."""
    shutil.copytree(PROJECT / "samples", tmp_path / "samples")
    Image.open(PROJECT / "samples" / "pages" / "form-with-cells.jpg").save(tmp_path / "scan.pdf")
    text, _, _ = (PROJECT / "README.md").read_text(encoding="utf-8").partition("## Train")
    before_the_first_number = None
    commands = 0
    for language, body in re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL):
        lines = [body] if language == "python" else [line.removeprefix("$ ") for line in body.splitlines()]
        for line in lines:
            if language == "python":
                output = run([bare_bin / "python", "-c", line], tmp_path)
            elif line.startswith("handigit "):
                output = run([bare_bin / "handigit", *shlex.split(line, comments=True)[1:]], tmp_path)
            else:
                commands += line.startswith("pip install")
                continue
            commands += 1
            if before_the_first_number is None and "35802" in output:
                before_the_first_number = commands
    assert before_the_first_number is not None
    assert before_the_first_number <= 3
    assert (tmp_path / "numbers.xlsx").stat().st_size > 1000
    assert list((tmp_path / "out").rglob("*.png"))


def test_the_base_installation_is_small(bare_bin: Path) -> None:
    packages = next(bare_bin.parent.rglob("site-packages"))
    size = sum(path.stat().st_size for path in packages.rglob("*") if path.is_file())
    assert size / 1e6 <= LARGEST_INSTALL_MB
