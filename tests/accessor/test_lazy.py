"""Lazy in, lazy out; what is staged goes away; results do not depend on how a graph is run."""

import tempfile
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest
import rioxarray
import xarray as xr

from geocr.core.errors import InputError
from geocr.inference.run import PredictResult
from geocr.simulate.files import ScenePaths
from tests.accessor.conftest import Blend, opened


def guarded(array: xr.DataArray) -> tuple[xr.DataArray, list[int]]:
    """The array behind a function that counts how often a chunk is computed."""
    calls: list[int] = []

    def counted(block: Any) -> Any:
        calls.append(1)
        return block

    return array.copy(data=da.map_blocks(counted, array.data, meta=np.empty((0, 0, 0), array.dtype))), calls


def staged() -> list[Path]:
    return list(Path(tempfile.gettempdir()).glob("geocr-array-*"))


def test_nothing_computes_until_asked_and_chunks_once(
    paths: ScenePaths, predicted: PredictResult, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    cloudy, calls = guarded(opened(paths.s2, chunks={"band": 2, "y": 64, "x": 64}))
    radar, radar_calls = guarded(opened(paths.s1, chunks={"y": 64}))
    clear = cloudy.geocr.remove_clouds(radar, uncertainty=True, reconstructor=Blend())
    mask, share = cloudy.geocr.cloud_mask(), cloudy.geocr.cloud_fraction()
    assert (clear.shape, clear.dtype, mask.shape, share.shape) == (cloudy.shape, cloudy.dtype, cloudy.shape[1:], ())
    assert not calls
    assert not radar_calls
    assert not staged()
    values = dask.compute(clear.data, clear.geocr.provenance.data)[0]
    assert len(calls) == 2 * 3 * 2
    assert len(radar_calls) == 3
    np.testing.assert_array_equal(values, opened(str(predicted.scene)).values)
    assert not staged() or not any(folder.iterdir() for folder in staged())
    assert share.compute().item() == pytest.approx(predicted.summary["cloud_share"], abs=0)
    del share
    replaced = clear.geocr.provenance.values > 1
    np.testing.assert_array_equal(mask.values, replaced)


def test_a_file_that_was_not_read_stays_unread(paths: ScenePaths) -> None:
    cloudy = rioxarray.open_rasterio(paths.s2)
    assert isinstance(cloudy, xr.DataArray)
    assert isinstance(cloudy.geocr.cloud_mask().data, da.Array)
    assert isinstance(cloudy.load().geocr.cloud_mask().data, np.ndarray)


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
def test_bands_of_rows_and_schedulers_change_no_byte(
    paths: ScenePaths, predicted: PredictResult, monkeypatch: pytest.MonkeyPatch, scheduler: str
) -> None:
    for module in ("run", "series"):
        monkeypatch.setattr(f"geocr.accessor.{module}.BAND_ROWS", 48)
    clear = opened(paths.s2, chunks={}).geocr.remove_clouds(str(paths.s1), reconstructor=Blend(), threads=2)
    assert clear.data.numblocks[1] == 4
    np.testing.assert_array_equal(clear.compute(scheduler=scheduler).values, opened(str(predicted.scene)).values)
    part = clear.isel(y=slice(60, 70), x=slice(5, 9))
    np.testing.assert_array_equal(part.compute(scheduler=scheduler).values, opened(str(predicted.scene)).values[:, 60:70, 5:9])


@pytest.mark.slow
def test_a_cluster_gives_the_same_bytes(paths: ScenePaths, predicted: PredictResult) -> None:
    from distributed import Client, LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster, Client(cluster):
        cloudy = opened(paths.s2, chunks={"y": 64})
        expected = opened(str(predicted.scene)).values
        np.testing.assert_array_equal(cloudy.geocr.remove_clouds(str(paths.s1), reconstructor=Blend()).values, expected)
        kept = cloudy.persist()
        np.testing.assert_array_equal(kept.geocr.remove_clouds(opened(paths.s1), reconstructor=Blend()).values, expected)


def test_settings_are_checked_at_once(paths: ScenePaths) -> None:
    cloudy = opened(paths.s2, chunks={})
    with pytest.raises(InputError, match="seeed"):
        cloudy.geocr.remove_clouds(seeed=1)
    with pytest.raises(InputError, match="save_mask is a setting of files"):
        cloudy.geocr.remove_clouds(save_mask=True)
    with pytest.raises(InputError, match="mask_buffer_m"):
        cloudy.geocr.cloud_mask(mask_buffer_m=-1)
    with pytest.raises(InputError, match="time dimension"):
        cloudy.geocr.remove_clouds(other_dates=True)


def test_a_mask_may_be_an_array(paths: ScenePaths) -> None:
    cloudy, truth = opened(paths.s2, chunks={}), opened(paths.mask)
    mask = cloudy.geocr.cloud_mask(truth.isel(band=0) != 0, mask_buffer_m=0)
    observed = (cloudy != 0).any("band")
    np.testing.assert_array_equal(mask.values, ((truth[0] != 0) & observed).values)
    clear = cloudy.geocr.remove_clouds(cloud_mask=truth, mask_buffer_m=0, reconstructor=Blend()).compute()
    np.testing.assert_array_equal(clear.geocr.provenance.values > 1, mask.values)


def test_the_plan_says_what_a_run_would_do(paths: ScenePaths, predicted: PredictResult) -> None:
    plan = opened(paths.s2).geocr.plan(str(paths.s1), reconstructor=Blend())
    (scene,) = plan.scenes
    assert scene["cloud_share"] == predicted.summary["cloud_share"]
    assert (scene["tiles_computed"], scene["method"]) == (predicted.summary["tiles_computed"], {"name": "blend"})
    assert "under cloud" in repr(plan)
    html = plan._repr_html_()
    assert "<script" not in html
    assert "B02, B03, B04, B08" in html
