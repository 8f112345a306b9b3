"""Each notebook runs on the sample, shows what it promises, and is committed without outputs."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from conf import materials

FOLDER = Path(__file__).parent.parent.parent / "notebooks"
NOTEBOOKS = ("first_look", "material_to_clusters", "new_material")
SECONDS_A_CELL = 60  # the slowest takes about 1 s on two cores


def _read(name):
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def _shows(source):
    """A cell that ends in an expression: a table or a figure."""
    return source.rstrip().endswith((".df()", ")")) and not source.startswith("import ")


def _executed(name, folder, warehouse, monkeypatch):
    """Run a copy in `folder`/notebooks, where ../conf/materials is nobody's."""
    (folder / "notebooks").mkdir()
    (folder / "conf" / "materials").mkdir(parents=True)
    monkeypatch.setenv("TRADE_RISK_WAREHOUSE", str(warehouse))
    monkeypatch.setenv("PYTHONWARNINGS", "default")
    book = _read(name)
    where = {"metadata": {"path": str(folder / "notebooks")}}
    return NotebookClient(book, timeout=SECONDS_A_CELL, resources=where).execute()


def test_every_notebook_is_tested():
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == sorted(NOTEBOOKS)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_committed_notebook_has_no_outputs_and_no_place_of_a_machine(name):
    book = _read(name)
    code = [cell for cell in book.cells if cell.cell_type == "code"]

    nbformat.validate(book)
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert not re.search(
        r"""["'`\s](/[a-z]+/|[A-Z]:\\\\)""", "\n".join(c.source for c in book.cells)
    )


@pytest.mark.spark
@pytest.mark.filterwarnings("ignore:.*TCP:RuntimeWarning")  # zmq, on the kernel's transport
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_runs_on_the_sample_without_warnings(
    name, sample, sample_settings, tmp_path, monkeypatch
):
    book = _executed(name, tmp_path, sample_settings.warehouse, monkeypatch)

    code = [cell for cell in book.cells if cell.cell_type == "code"]
    silent = [cell.source for cell in code if _shows(cell.source) and not cell.outputs]
    streams = [out.text for c in code for out in c.outputs if out.get("name") == "stderr"]
    figures = [c for c in code if "alt.Chart" in c.source]
    assert not silent
    assert not streams
    assert figures and all("image/png" in c.outputs[0].data for c in figures)


@pytest.mark.spark
def test_file_that_the_notebook_writes_is_a_material(
    sample, sample_settings, tmp_path, monkeypatch
):
    _executed("new_material", tmp_path, sample_settings.warehouse, monkeypatch)
    monkeypatch.setattr(materials, "CONF", tmp_path / "conf")

    graphite = materials.material("graphite")

    assert [seed.product for seed in graphite.seeds_in("HS92")] == ["250410", "250490"]
