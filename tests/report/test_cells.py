"""Counting provenance by cells, and choosing chips and a sample from it."""

from pathlib import Path

import numpy as np
import pytest
import rasterio

from geocr.core.types import Window
from geocr.report import cells as cells_module
from geocr.report.cells import choose_chips, count_cells
from geocr.report.classes import provenance_classes
from geocr.report.result import find_result, open_result
from geocr.report.sample import STEP_PX, sample_pixels
from tests.report.runs import make_run


@pytest.fixture
def small_cells(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(cells_module, "CELL_PX", 32)
    return 32


@pytest.mark.parametrize("shape", [(31, 31), (32, 64), (33, 65), (150, 200), (5, 300)])
def test_counts_are_those_of_the_cells(tmp_path: Path, small_cells: int, shape: tuple[int, int]) -> None:
    run = make_run(tmp_path, shape)
    with open_result(find_result(run.scene)) as result:
        cells = count_cells(result)
    assert cells.counts.shape[1:] == (-(-shape[0] // 32), -(-shape[1] // 32))
    for row, col in np.ndindex(*cells.counts.shape[1:]):
        part = run.classes[row * 32 : row * 32 + 32, col * 32 : col * 32 + 32]
        np.testing.assert_array_equal(cells.counts[:, row, col], np.bincount(part.ravel(), minlength=256))
        window = cells.window(row, col)
        assert window.shape == (min(32, shape[0]), min(32, shape[1]))
        assert window.row_stop <= shape[0]
        assert window.col_stop <= shape[1]
    assert cells.totals() == {int(v): int(n) for v, n in zip(*np.unique(run.classes, return_counts=True), strict=True)}


def test_chips_are_where_most_was_replaced_and_where_it_is_least_sure(tmp_path: Path, small_cells: int) -> None:
    run = make_run(tmp_path)
    with open_result(find_result(run.scene)) as result:
        cells = count_cells(result)
        replaced = cells.counts[2:].sum(axis=0)
        unsure = np.where(replaced > 0, np.arange(replaced.size, dtype=np.float32).reshape(replaced.shape), np.float32(np.nan))
        chips = choose_chips(result, cells, unsure)
        assert chips == choose_chips(result, cells, unsure)
    assert [chip.reason for chip in chips] == ["most replaced"] * 2 + ["least sure"] * 2 + ["typical"] * 2
    assert len({chip.window for chip in chips}) == 6

    def cell(window: Window) -> tuple[int, int]:
        return -(-window.row // 32), -(-window.col // 32)

    assert replaced[cell(chips[0].window)] == replaced.max()
    first = {cell(chip.window) for chip in chips[:2]}
    rest = [unsure[place] for place in np.ndindex(*replaced.shape) if place not in first and replaced[place] >= 0.05 * 32**2]
    assert unsure[cell(chips[2].window)] == max(rest)


def test_few_cells_give_few_chips_and_none_where_nothing_was_replaced(tmp_path: Path) -> None:
    run = make_run(tmp_path / "one")
    with open_result(find_result(run.scene)) as result:
        assert [chip.reason for chip in choose_chips(result, count_cells(result), None)] == ["most replaced"]
    run = make_run(tmp_path / "none", replaced=False)
    with open_result(find_result(run.scene)) as result:
        assert choose_chips(result, count_cells(result), None) == ()


def test_the_sample_holds_the_scenes_own_values(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    with open_result(find_result(run.scene)) as result:
        sample = sample_pixels(result, count_cells(result), provenance_classes(result.provenance))
    kinds = run.classes[::STEP_PX, ::STEP_PX]
    expected = run.after[:, ::STEP_PX, ::STEP_PX].astype(np.float32) * np.float32(1e-4) + np.float32(-0.1)
    assert set(sample.groups) == {"observed", "reconstructed", "observed on another date"}
    np.testing.assert_array_equal(sample.groups["observed"], expected[:, kinds == 1])
    np.testing.assert_array_equal(sample.groups["reconstructed"], expected[:, np.isin(kinds, (2, 3))])
    assert run.std_counts is not None
    assert sample.std is not None
    np.testing.assert_allclose(sample.std, run.std_counts[:, ::STEP_PX, ::STEP_PX][:, np.isin(kinds, (2, 3))] * 1e-4, rtol=1e-6)
    assert sample.unchanged == ((kinds == 1).sum(), (kinds == 1).sum())
    assert sample.cells == 1


def test_an_observed_pixel_that_is_not_the_inputs_is_counted(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    with rasterio.open(run.s2, "r+") as dataset:
        band = dataset.read(2)
        band[3, 9] += 1
        assert run.classes[3, 9] == 1
        dataset.write(band, 2)
    with open_result(find_result(run.scene)) as result:
        sample = sample_pixels(result, count_cells(result), provenance_classes(result.provenance))
    assert sample.unchanged is not None
    assert sample.unchanged[0] - sample.unchanged[1] == 1


def test_a_sample_is_bounded_whatever_the_scene(tmp_path: Path, small_cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geocr.report.sample.MOST_CELLS", 6)
    run = make_run(tmp_path)
    with open_result(find_result(run.scene)) as result:
        sample = sample_pixels(result, count_cells(result), provenance_classes(result.provenance))
    assert sample.cells <= 6
    assert sum(values.shape[1] for values in sample.groups.values()) <= 6 * 11**2
