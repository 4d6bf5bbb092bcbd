"""The notebooks: public names only, committed with outputs, and each runs from top to bottom on small data."""

import ast
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

PROJECT = Path(__file__).parents[1]
NOTEBOOKS = {path.stem[:2]: path for path in sorted((PROJECT / "notebooks").glob("*.ipynb"))}
WITHOUT_DATA = ("01",)  # one always draws its own digits, so that this way is tested where MNIST is at hand too
LEAST_PICTURES = {"05": 3}
SMALL = {
    "01": ("20_000, 4", "2_000, 1"),
    "02": ("20_000, 4, 10_000, 300", "2_000, 1, 500, 20"),
    "03": ("DRAWN = 300", "DRAWN = 20"),
    "04": ("12_000, 8", "1_500, 1"),
}
"""The amounts in a notebook, and the ones that finish in seconds."""
ABSOLUTE = re.compile(r"(?<![\w.:/])[/~]/?\w+/|\b[A-Za-z]:[\\/]\w")

every_notebook = pytest.mark.parametrize("number", NOTEBOOKS)


def read(number: str) -> NotebookNode:
    return nbformat.read(NOTEBOOKS[number], as_version=nbformat.NO_CONVERT)


def small(number: str) -> NotebookNode:
    """The notebook with small amounts."""
    notebook = read(number)
    amounts, fewer = SMALL.get(number, ("", ""))
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    assert amounts in first.source
    first.source = first.source.replace(amounts, fewer)
    return notebook


def test_there_are_five():
    assert list(NOTEBOOKS) == ["01", "02", "03", "04", "05"]


@every_notebook
def test_is_valid_and_asks_for_no_particular_kernel(number):
    notebook = read(number)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"


@every_notebook
def test_outputs_are_complete(number):
    cells = [cell for cell in read(number).cells if cell.cell_type == "code"]
    assert cells
    assert [cell.id for cell in cells if cell.execution_count is None] == []
    assert not any(output.output_type == "error" for cell in cells for output in cell.outputs)


@every_notebook
def test_imports_public_names_only(number):
    reference = (PROJECT / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
    public = set(re.findall(r"^::: (handigit[\w.]*)$", reference, re.MULTILINE))
    for cell in (cell for cell in read(number).cells if cell.cell_type == "code"):
        imported = [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.ImportFrom)]
        names = [f"{node.module}.{alias.name}" for node in imported for alias in node.names]
        ours = [name for name in names if name.startswith("handigit.")]
        assert [name for name in ours if not {name, name.rpartition(".")[0]} & public] == []


@every_notebook
def test_says_how_to_open_it_in_colab(number):
    assert "In Google Colab:" in read(number).cells[0].source


@every_notebook
def test_names_no_absolute_path(number):
    assert [cell.id for cell in read(number).cells if ABSOLUTE.search(cell.source)] == []


@pytest.mark.parametrize("source", ['open("/home/me/a.png")', "in /kaggle/input", "~/data/x", r"C:\data", "D:/data"])
def test_an_absolute_path_would_be_found(source):
    assert ABSOLUTE.search(source)


@every_notebook
def test_opens_with_its_number_and_title(number):
    first, *_ = read(number).cells
    assert first.cell_type == "markdown"
    assert first.source.startswith(f"# {int(number)}. ")


@pytest.mark.slow
@every_notebook
def test_runs(number, tmp_path, monkeypatch):
    """As a learner starts it: beside `samples`, in a kernel of its own, and leaving nothing outside the folder."""
    (tmp_path / "samples").symlink_to(PROJECT / "samples")
    (tmp_path / "notebooks").mkdir()
    settings = {"OMP_NUM_THREADS": "1", "TMPDIR": tmp_path, "IPYTHONDIR": tmp_path}
    if number in WITHOUT_DATA:
        settings["HANDIGIT_DATA"] = tmp_path / "no-data"
    for name, value in settings.items():
        monkeypatch.setenv(name, str(value))
    place = {"metadata": {"path": str(tmp_path / "notebooks")}}
    done = NotebookClient(small(number), timeout=300, kernel_name="python3", resources=place).execute()
    outputs = [output for cell in done.cells for output in cell.get("outputs", ())]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= LEAST_PICTURES.get(number, 5)
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []
