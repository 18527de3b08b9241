"""The notebooks of `examples/`: they run from an empty folder, they say what is true, and what is committed of them is fit to be seen."""

import re
import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
MAX_BYTES = 600_000
STORIES = {
    "quickstart": ("same grid: True", "observed pixels bit-identical: True"),
    "train_from_scenes": ("160 steps;", "mean absolute error under clouds on ground never seen: 0.0"),
    "full_scene_on_a_cluster": (
        "stopped; a result stands there: False",
        "stopped, resumed and on one thread, the same bytes as on two workers: True",
    ),
    "time_series": ("computed: False", "same coordinates, dtype and attributes: True True", "observed pixels bit-identical: True"),
    "bring_your_own_model": ("True two_layer_model:TwoLayer", "outside the mask all three are the input: True"),
    "compare_methods": ("methods: with_radar, without_radar, input, mean_fill, interpolation\n",),
}
"""Notebook to sentences that its cells print and that must be there, committed and anew."""


def outputs_of(notebook: Any) -> list[Any]:
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def printed(notebook: Any) -> str:
    return "".join(output.text for output in outputs_of(notebook) if output.output_type == "stream" and output.name == "stdout")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
class TestAsCommitted:
    def test_it_is_whole_and_small(self, path: Path) -> None:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        assert path.stat().st_size < MAX_BYTES
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1)), "executed once, from top to bottom"

    def test_it_shows_pictures_and_no_trouble(self, path: Path) -> None:
        notebook = nbformat.read(path, as_version=4)
        outputs = outputs_of(notebook)
        assert [output for output in outputs if output.output_type == "error"] == []
        assert [output.text for output in outputs if output.output_type == "stream" and output.name == "stderr"] == []
        kinds = {kind for output in outputs for kind in output.get("data", {})}
        assert "image/jpeg" in kinds or "image/png" in kinds

    def test_it_names_no_place_of_the_machine_it_ran_on(self, path: Path) -> None:
        text = path.read_text()
        assert re.findall(r"(?<![\w.])/(?:work|home|root|tmp|Users)/[\w./-]*", text) == []

    def test_its_links_lead_somewhere(self, path: Path) -> None:
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            for link in re.findall(r"\]\(([^)]+)\)", cell.source) if cell.cell_type == "markdown" else []:
                assert "://" in link or (path.parent / link.partition("#")[0]).exists(), link

    def test_it_says_what_its_story_is_about(self, path: Path) -> None:
        text = printed(nbformat.read(path, as_version=4))
        assert [sentence for sentence in STORIES[path.stem] if sentence not in text] == []


def test_every_notebook_has_a_place_in_the_docs() -> None:
    assert {path.stem for path in NOTEBOOKS} == set(STORIES)
    page, site = (EXAMPLES.parent / name for name in ("docs/notebooks.md", "mkdocs.yml"))
    assert [path.name for path in NOTEBOOKS if f"../examples/{path.name}" not in page.read_text()] == []
    assert [path.name for path in NOTEBOOKS if f"examples/{path.name}\n" not in site.read_text()] == []


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_from_an_empty_folder(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # kernels beside each other would wait for each other's cores
    shutil.copy(path, tmp_path)
    notebook = nbformat.read(tmp_path / path.name, as_version=4)
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    text = printed(notebook)
    assert [sentence for sentence in STORIES[path.stem] if sentence not in text] == []
    FIGURES.get(path.stem, lambda text: None)(text)


def _quickstart(text: str) -> None:
    error = float(re.findall(r"mean error of (\d\.\d+)", text)[0])
    within = [int(share) for share in re.findall(r"deviation: (\d+)%, within two: (\d+)%", text)[0]]
    assert 0.001 < error < 0.03
    assert 50 < within[0] < 85
    assert within[1] > 80


def _time_series(text: str) -> None:
    cloudy, filled = (float(value) for value in re.findall(r"truth: (\d\.\d+) cloudy, (\d\.\d+) filled", text)[0])
    assert filled < cloudy / 4


FIGURES = {"quickstart": _quickstart, "time_series": _time_series}
