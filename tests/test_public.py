"""The public Python API: exactly these names, documented, typed, and shown by notebooks."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import geocr
from geocr.core.html import facts_table
from geocr.inference.run import PredictResult

FUNCTIONS = {"open_scene", "predict_scene", "train", "evaluate", "load_checkpoint"}
BESIDE = {"PredictConfig", "PredictResult", "GeocrError", "__version__"}


def test_the_surface_is_exactly_this() -> None:
    assert set(geocr.__all__) == FUNCTIONS | BESIDE
    assert dir(geocr) == sorted(geocr.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = geocr.nonsense


@pytest.mark.parametrize("name", sorted(FUNCTIONS | BESIDE - {"__version__"}))
def test_every_name_is_documented_and_typed(name: str) -> None:
    public = getattr(geocr, name)
    assert inspect.getdoc(public)
    if name in FUNCTIONS:
        signature = inspect.signature(public)
        assert signature.return_annotation is not inspect.Signature.empty
        assert all(parameter.annotation is not inspect.Parameter.empty for parameter in signature.parameters.values())


def test_type_checkers_see_the_same_names(tmp_path: Path) -> None:
    tree = ast.parse(Path(geocr.__file__).read_text())
    seen = {
        alias.asname: f"{node.module}:{alias.name}"
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == {name: f"{module}:{name}" for name, module in geocr._PUBLIC.items()}


def test_the_page_of_the_api_names_every_public_name() -> None:
    page = (Path(__file__).parent.parent / "docs" / "api.md").read_text()
    assert [name for name in geocr.__all__ if name != "__version__" and f"geocr.{name}" not in page] == []


def test_importing_is_quick_and_lazy() -> None:
    code = "import geocr, sys; assert not {'torch', 'rasterio', 'xarray'} & set(sys.modules); geocr.GeocrError; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_tables_are_escaped_and_small() -> None:
    html = facts_table("<b>", [("a & b", "<script>alert(1)</script>")], head=("<x>",), notes=("1 < 2",))
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "1 &lt; 2" in html


def test_a_result_shows_itself(tmp_path: Path) -> None:
    summary = {
        "method": "scenefit", "bands": ["B02"], "cloud_share": 0.25, "pixels": {"nodata": 0, "observed": 3, "reconstructed_with_sar": 1},
        "tiles": 2, "tiles_computed": 1, "seconds": 1.5, "notes": ["a < b"],
    }  # fmt: skip
    result = PredictResult(scene=tmp_path / "<clear>.tif", provenance=tmp_path / "p.tif", std=None, summary=summary)
    html = result._repr_html_()
    assert "&lt;clear&gt;.tif" in html
    assert "25.0%" in html
    assert "a &lt; b" in html


def test_a_training_shows_itself(tmp_path: Path) -> None:
    from geocr.training.run import TrainResult

    facts = {"folder": tmp_path / "<run>", "best": tmp_path / "best.safetensors", "last": tmp_path / "last.safetensors"}
    html = TrainResult(**facts, steps=1200, best_step=800, figures={"mae": 0.0123456}, finished=False)._repr_html_()
    assert "&lt;run&gt;" in html
    assert "best.safetensors, step 800" in html
    assert "1,200, stopped" in html
    assert "0.012346" in html
