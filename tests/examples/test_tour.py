"""examples/tour.ipynb runs from start to end, and what is committed beside its cells is what they give.

After a change: `jupyter execute --inplace examples/tour.ipynb`."""

from __future__ import annotations

import re

import pytest

nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
pytest.importorskip("ipykernel", reason="ipykernel is not installed")

SECONDS = re.compile(r"\b\d+\.\d+ s\b")


@pytest.fixture(scope="module")
def committed(repository):
    return nbformat.read(repository / "examples" / "tour.ipynb", as_version=4)


@pytest.fixture(scope="module")
def executed(committed, repository):
    """The same notebook, run in a kernel of its own where a reader would start it; a cell that fails ends the test."""
    fresh = nbformat.from_dict(committed)
    for cell in code_cells(fresh):
        cell.outputs, cell.execution_count = [], None
    where = {"metadata": {"path": str(repository / "examples")}}
    return nbclient.NotebookClient(fresh, timeout=300, kernel_name="python3", resources=where).execute()


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def words(cell) -> list[str]:
    """What a cell gave as text; the time that it took is left out."""
    texts = [output.text if output.output_type == "stream" else output.data["text/plain"] for output in cell.outputs]
    return [SECONDS.sub("some s", text) for text in texts]


def test_the_committed_outputs_are_what_the_cells_give(committed, executed):
    for kept, made in zip(code_cells(committed), code_cells(executed), strict=True):
        assert words(kept) == words(made), made.source


def test_cells_were_run_in_order_and_nothing_went_wrong(committed, executed):
    for notebook in (committed, executed):
        cells = code_cells(notebook)
        assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
        kinds = {output.output_type for cell in cells for output in cell.outputs}
        assert kinds == {"stream", "execute_result"}
        assert not any(output.get("name") == "stderr" for cell in cells for output in cell.outputs)


def test_the_tour_asks_the_three_questions_and_answers_them(executed):
    told = "\n".join(cell.source for cell in executed.cells if cell.cell_type == "markdown")
    for number, question in enumerate(("Do the root points lie", "only gradient x input", "Could any other"), start=1):
        assert re.search(rf"^## {number}\. .*{question}", told, re.MULTILINE)
    given = "\n".join(text for cell in code_cells(executed) for text in words(cell))
    assert "root points lie outside the input's linear region" in given
    assert "This is gradient x input" in given
    assert "c2: proved" in given
    assert "yields exactly the cross: True" in given
    near, far = (float(re.search(rf"^{rule} +(\S+)$", given, re.MULTILINE)[1]) for rule in ("zplus", "lrp0"))
    assert near < 0.5 < far


def test_what_shows_itself_is_committed_with_its_pictures(committed, repository):
    shown = "".join(output.data.get("text/html", "") for cell in code_cells(committed) for output in cell.outputs
                    if output.output_type == "execute_result")  # fmt: skip
    assert shown.count("<svg ") == 1
    assert shown.count("<img alt=") == 2
    assert (repository / "examples" / "tour.ipynb").stat().st_size < 200_000
