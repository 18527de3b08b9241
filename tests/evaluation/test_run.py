"""One pass over the data: the figures are those of the metrics by hand, for every method on the same samples."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import rasterio
import torch
from affine import Affine
from PIL import Image
from rio_cogeo.cogeo import cog_validate

from geocr.core.errors import BandError, CheckpointError, InputError, OutputExistsError, RegistryError
from geocr.data.datasets.synthetic import Synthetic
from geocr.data.sample import FusionSample
from geocr.evaluation.baselines import Baseline
from geocr.evaluation.cogs import CogFolder
from geocr.evaluation.gallery import choose
from geocr.evaluation.measuring import values_of
from geocr.evaluation.methods import build_methods
from geocr.evaluation.outputs import EvaluationFolder, write_evaluation
from geocr.evaluation.report import markdown, summarise
from geocr.evaluation.run import EvaluationResult, batches, plan_evaluation, run_plan
from geocr.evaluation.settings import EvaluateSettings
from geocr.evaluation.strata import COVERAGE_NAMES, LandCoverMap, cloud_share, coverage_name
from geocr.metrics.base import MetricInput
from geocr.metrics.presets import find_preset
from geocr.metrics.suite import build_suite
from tests.evaluation.conftest import BANDS, make_net
from tests.scenes import write_raster

QUICK = EvaluateSettings(preset="geocr", device="cpu", resamples=100)


@pytest.fixture(scope="module")
def result(nets: list[Path], patches: Synthetic) -> EvaluationResult:
    settings = replace(QUICK, baselines=("input", "interpolation"), ensemble=("aleatoric", "both"), tta="flips")
    return run_plan(plan_evaluation(patches, nets, settings))


def given(sample: FusionSample, mean: torch.Tensor) -> MetricInput:
    return MetricInput(
        prediction=mean[None],
        target=sample["clear"][None],
        cloudy=sample["cloudy"],
        cloud_mask=sample["cloud_mask"],
        valid_mask=sample["valid_mask"][None],
    )


def test_figures_are_those_of_the_preset_by_hand(result: EvaluationResult, patches: Synthetic) -> None:
    suite = build_suite(find_preset("geocr"), BANDS, regions=("all", "cloudy", "clear"), per_band=True)
    for number in range(len(patches)):
        sample = patches[number]
        suite.update(given(sample, Baseline("interpolation").predict([sample])[0]["interpolation"].mean))
    expected = {key: float(value) for key, value in suite.compute().items()}
    found = values_of(result.measures["interpolation"].whole)
    assert set(expected) == set(found)
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, rel=1e-9, nan_ok=True), key
    assert {f"rmse_{band}" for band in BANDS} <= set(found)
    assert "psnr_db_cloudy_B08" in found


def test_bins_of_coverage_put_together_are_the_whole(result: EvaluationResult) -> None:
    measures = result.measures["input"]
    counts = measures.coverage_counts
    assert sum(counts.values()) == 3
    mean = sum(counts[step] * values_of(measures.by_coverage[step])["mae"] for step in counts) / 3
    assert mean == pytest.approx(values_of(measures.whole)["mae"])


def test_rows_are_the_samples_and_their_mean_is_the_figure(result: EvaluationResult) -> None:
    methods = result.plan.methods.names
    assert methods == ["net0", "net0+flips", "net1", "net1+flips", "ensemble aleatoric", "ensemble both", "input", "interpolation"]
    assert [(row["id"], row["method"]) for row in result.rows] == [(f"test-{i}", name) for i in range(3) for name in methods]
    for name in methods:
        own = [row["sam_deg_cloudy"] for row in result.rows if row["method"] == name]
        assert values_of(result.measures[name].whole)["sam_deg_cloudy"] == pytest.approx(np.mean(own))


def test_the_intervals_hold_the_value_and_the_sums_make_it(result: EvaluationResult) -> None:
    for name, measures in result.measures.items():
        for key, sums in measures.sums.items():
            totals, numbers = (part.sum(axis=0) for part in sums.stacked())
            value = float(sums.value(totals, numbers))
            assert value == pytest.approx(values_of(measures.whole)[key])
            if math.isfinite(value):
                assert result.intervals[name][key].low <= value <= result.intervals[name][key].high


def test_an_ensemble_is_the_mean_of_its_members(nets: list[Path], patches: Synthetic) -> None:
    methods = build_methods(nets, replace(QUICK, ensemble=("both",)))
    answer = methods.predict([patches[0]])[0]
    torch.testing.assert_close(answer["ensemble both"].mean, (answer["net0"].mean + answer["net1"].mean) / 2)
    assert answer["ensemble both"].variance is not None


def test_who_is_tested_against_whom(result: EvaluationResult, nets: list[Path], patches: Synthetic) -> None:
    pairs = result.plan.pairs
    assert ("net0", "net1") in pairs
    assert not any("ensemble both" in pair for pair in pairs)  # the same mean as the other ensemble
    against = plan_evaluation(patches, nets, replace(QUICK, baselines=("input",), reference="input")).pairs
    assert against == (("net0", "input"), ("net1", "input"))
    with pytest.raises(InputError, match="reference is one of the methods"):
        plan_evaluation(patches, nets, replace(QUICK, reference="input"))
    test = next(one for one in result.tests if (one.a, one.b, one.key) == ("net0", "net1", "mae"))
    values = [values_of(result.measures[name].whole)["mae"] for name in ("net0", "net1")]
    assert test.difference == pytest.approx(values[0] - values[1])
    assert test.exact
    assert test.p_value >= 2 / 2**3


def test_batches_and_workers_change_nothing(nets: list[Path], patches: Synthetic) -> None:
    one, other = (
        run_plan(plan_evaluation(patches, nets[:1], replace(QUICK, batch=batch, workers=workers))) for batch, workers in ((1, 0), (2, 1))
    )
    for a, b in zip(one.rows, other.rows, strict=True):
        assert a["id"] == b["id"]
        assert a["mae"] == pytest.approx(b["mae"], rel=1e-5)


def test_batches_hold_one_shape(patches: Synthetic, nets: list[Path]) -> None:
    plan = plan_evaluation(patches, nets, replace(QUICK, batch=2))
    assert [len(batch) for batch in batches(plan)] == [2, 1]


def test_a_limit_spreads_over_the_set(patches: Synthetic) -> None:
    plan = plan_evaluation(patches, [], replace(QUICK, baselines=("input",), limit=2))
    assert plan.numbers == (0, 2)


def test_only_common_bands_are_measured(tmp_path: Path, nets: list[Path], wide_net: Path) -> None:
    every = Synthetic(split="test", length=1, size_px=64)
    assert plan_evaluation(every, [nets[0], wide_net], QUICK).ruler.bands == BANDS
    other = make_net(tmp_path / "swir.safetensors", bands=("B11", "B12"))
    with pytest.raises(BandError, match="there is none"):
        plan_evaluation(every, [nets[0], other], QUICK)
    with pytest.raises(BandError, match="members of an ensemble"):
        plan_evaluation(every, [nets[0], wide_net], replace(QUICK, ensemble=("both",)))


def test_names_of_checkpoints_stay_apart(nets: list[Path]) -> None:
    assert [network.name for network in build_methods([nets[0], nets[0]], QUICK).networks] == ["net0", "net0-2"]


@pytest.mark.parametrize(
    ("changes", "kind", "said"),
    [
        ({"preset": "best"}, RegistryError, "presets"),
        ({"resamples": 50}, InputError, "resamples"),
        ({"tta": "spin"}, InputError, "views"),
        ({"ensemble": ("both", "both")}, InputError, "each once"),
        ({"baselines": ("input", "input")}, InputError, "measured once"),
        ({"limit": 0}, InputError, "limit"),
    ],
)
def test_settings_that_are_none(changes: dict[str, Any], kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        EvaluateSettings(**changes)


def test_nothing_to_evaluate(patches: Synthetic, nets: list[Path]) -> None:
    with pytest.raises(InputError, match="give checkpoints, or --baseline"):
        plan_evaluation(patches, [], QUICK)
    with pytest.raises(InputError, match="two members"):
        plan_evaluation(patches, nets[:1], replace(QUICK, ensemble=("both",)))


def test_a_model_that_does_not_fit_is_refused_before_anything_is_predicted(nets: list[Path]) -> None:
    with pytest.raises(CheckpointError, match="samples lack B08"):
        plan_evaluation(Synthetic(split="test", length=1, size_px=64, optical_bands=("B02", "B03", "B04")), nets, QUICK)


def test_without_masks_only_whole_images(patches: Synthetic) -> None:
    def bare(sample: FusionSample) -> FusionSample:
        del sample["cloud_mask"]
        return sample

    bare_set = Synthetic(split="test", length=2, size_px=64, optical_bands=BANDS, transforms=bare)
    found = run_plan(plan_evaluation(bare_set, [], replace(QUICK, baselines=("input",))))
    assert found.plan.ruler.regions == ("all",)
    assert "mae_cloudy" not in values_of(found.measures["input"].whole)
    assert found.measures["input"].by_coverage == {}
    assert found.rows[0]["cloud_share"] is None


def test_classes_of_coverage_begin_at_their_lower_end() -> None:
    shares = (0.0, 0.19999, 0.2, 0.59999, 0.6, 0.8, 1.0)
    assert [coverage_name(share) for share in shares] == [COVERAGE_NAMES[i] for i in (0, 0, 1, 2, 3, 4, 4)]
    assert coverage_name(None) is None


def test_coverage_counts_valid_pixels_only(sample: FusionSample) -> None:
    sample["cloud_mask"][:] = False
    sample["cloud_mask"][0, :32] = True
    assert cloud_share(sample) == 0.5
    sample["valid_mask"][:16] = False
    assert cloud_share(sample) == pytest.approx(1 / 3)


def test_land_cover_is_laid_over_samples_and_measured_apart(tmp_path: Path, patches: Synthetic) -> None:
    sample = patches[0]
    grid = sample["meta"]["grid"]
    assert grid is not None
    classes = np.full((32, 32), 10, np.uint8)  # pixels twice as large, on the same ground
    classes[:, 16:] = 80
    classes[:4] = 0
    coarse = write_raster(tmp_path / "cover.tif", classes[None], nodata=0, crs=grid.crs, transform=grid.transform * Affine.scale(2))
    found = LandCoverMap(str(coarse)).read(grid)
    assert (found[8:, :32] == 10).all()
    assert (found[8:, 32:] == 80).all()
    assert (found[:8] == -1).all()
    one = Synthetic(split="test", length=1, size_px=64, optical_bands=BANDS, cloud_cover=(0.2, 0.6))
    settings = replace(QUICK, baselines=("input",), land_cover=str(coarse))
    measured = run_plan(plan_evaluation(one, [], settings)).measures["input"].by_land_cover
    assert sorted(measured) == [10, 80]
    inside = torch.from_numpy(found == 80)
    error = (sample["cloudy"][0] - sample["clear"]).abs()[:, inside].double().mean()
    assert values_of(measured[80])["mae"] == pytest.approx(float(error), rel=1e-6)
    with pytest.raises(InputError, match="whole numbers"):
        LandCoverMap(write_raster(tmp_path / "f.tif", classes[None].astype(np.float32))).read(grid)


def test_the_gallery_takes_best_median_and_worst(result: EvaluationResult) -> None:
    rows = [row for row in result.rows if row["method"] == "input"]
    chosen = choose(rows, result.measures["input"])
    scores = [row["psnr_db_cloudy"] for row in rows]
    assert [one.rank for one in chosen] == ["best", "median", "worst"]
    assert [one.value for one in chosen] == sorted(scores, reverse=True)
    assert all(scores[one.place] == one.value for one in chosen)


def test_what_is_written(result: EvaluationResult, tmp_path: Path) -> None:
    folder = EvaluationFolder(tmp_path / "out")
    folder.folder.mkdir()
    (folder.folder / "gallery_older.png").write_text("of another run")
    (folder.folder / "mine.png").write_text("no file of an evaluation")
    summary = write_evaluation(result, folder)
    assert not (folder.folder / "gallery_older.png").exists()
    assert (folder.folder / "mine.png").exists()
    assert all(Path(name).is_file() for name in summary["files"])
    assert json.loads(folder.summary.read_text()) == json.loads(json.dumps(summary))
    table = pq.read_table(folder.samples)
    assert table.num_rows == len(result.rows)
    assert table.column("psnr_db").to_pylist() == [row["psnr_db"] for row in result.rows]
    assert table.column("calibration_uce").to_pylist()[6] is None  # the input has no variance
    names = {Path(name).name for name in summary["files"]}
    assert {"reliability_cloudy.png", "discard_all.png", "coverage.png", "gallery_net0_flips.png", "gallery_input.png"} <= {
        name.replace("+", "_") for name in names
    }
    with Image.open(folder.folder / "gallery_input.png") as picture:
        assert len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 20
    assert not list(folder.folder.glob(".*"))
    with pytest.raises(OutputExistsError, match="--overwrite"):
        folder.require_free(overwrite=False)
    folder.require_free(overwrite=True)


def test_the_summary_says_what_was_done(result: EvaluationResult) -> None:
    summary = summarise(result)
    assert summary["resampled"] == {"unit": "sample", "count": 3, "resamples": 100}
    assert summary["methods"]["ensemble both"] == {"kind": "ensemble", "variance": "both", "members": ["net0+flips", "net1+flips"]}
    assert len(summary["methods"]["net0"]["sha256"]) == 64
    calibration = summary["results"]["net0"]["calibration"]["calibration"]
    assert len(calibration["rmse"]) == len(calibration["root_mean_variance"]) == 20
    assert len(calibration["discard_mse"]) == 20
    assert summary["results"]["input"]["calibration"] == {}
    assert summary["results"]["input"]["values"]["psnr_db_clear"] is None  # clear pixels of the input are the truth: infinite


def test_the_table_for_a_paper(result: EvaluationResult) -> None:
    text = markdown(result)
    value = values_of(result.measures["net0"].whole)["psnr_db"]
    assert f"| net0 | {value:.2f} [" in text
    assert "over 3 samples" in text
    tables = [block for block in text.split("\n\n") if block.startswith("|")]
    assert all(len({line.count("|") for line in table.splitlines()}) == 1 for table in tables)


def test_predictions_lie_on_their_samples_grids(nets: list[Path], patches: Synthetic, tmp_path: Path) -> None:
    sink = CogFolder(tmp_path / "predictions")
    run_plan(plan_evaluation(patches, nets[:1], replace(QUICK, limit=1, export=True)), sink=sink)
    assert [path.name for path in sink.written] == ["test-0.tif", "test-0_std.tif"]
    sample = patches[0]
    grid = sample["meta"]["grid"]
    assert grid is not None
    answer = build_methods(nets[:1], QUICK).predict([sample])[0]["net0"]
    assert answer.variance is not None
    for path, pixels in zip(sink.written, (answer.mean, answer.variance.sqrt()), strict=True):
        assert cog_validate(path, strict=True, quiet=True)[0]
        with rasterio.open(path) as dataset:
            assert (dataset.crs, dataset.transform, dataset.shape) == (grid.crs, grid.transform, grid.shape)
            assert dataset.descriptions == BANDS
            assert np.isnan(dataset.nodata)
            np.testing.assert_allclose(dataset.read(), pixels.numpy(), atol=1e-6)
            assert dataset.tags()["GEOCR_METHOD"] == "net0"
    with pytest.raises(InputError, match="each prediction has a file of its own"):
        sink.write("net0", sample, answer, BANDS)


def test_an_export_needs_a_georeference(patches: Synthetic) -> None:
    def adrift(sample: FusionSample) -> FusionSample:
        sample["meta"]["grid"] = None
        return sample

    lost = Synthetic(split="test", length=1, size_px=64, optical_bands=BANDS, transforms=adrift)
    with pytest.raises(InputError, match="no georeference"):
        plan_evaluation(lost, [], replace(QUICK, baselines=("input",), export=True))
    with pytest.raises(InputError, match="leave --land-cover out"):
        plan_evaluation(lost, [], replace(QUICK, baselines=("input",), land_cover="x.tif"))


def test_published_presets_are_calibrated_where_their_units_allow(nets: list[Path], patches: Synthetic) -> None:
    for preset, expected in (("sen12mscrts", True), ("attention_gan", False)):
        settings = replace(QUICK, preset=preset, limit=1)
        found = run_plan(plan_evaluation(patches, nets[:1], settings))
        assert bool(found.measures["net0"].curves()) == expected
        assert list(summarise(found)["results"]["net0"]["intervals"])


@pytest.mark.real_data
def test_real_triplets(real_data: Path, wide_net: Path) -> None:
    """The published uncrtaints preset on real clouds: a model, the input and a rule on the same patches; no georeference, no mask but ours."""
    from geocr.data.datasets.sen12mscr_flat import Sen12mscrFlat
    from geocr.data.masker import PatchMasker

    triplets = Sen12mscrFlat(real_data / "sen12mscr_triplets", split=None, cloud_mask=PatchMasker(method="rule"))
    settings = replace(QUICK, preset="uncrtaints", baselines=("input", "mean_fill"), limit=1)
    found = run_plan(plan_evaluation(triplets, [wide_net], settings))
    for name, measures in found.measures.items():
        values = values_of(measures.whole)
        assert 5 < values["psnr_db"] < 60, name
        assert 0 < values["ssim"] < 1
    sample = triplets[found.plan.numbers[0]]
    truth = sample["clear"].clamp(0, 1).double()
    error = (sample["cloudy"][0].double() - truth)[:, sample["valid_mask"]]
    row = next(row for row in found.rows if row["method"] == "input")
    assert row["rmse"] == pytest.approx(float(error.square().mean().sqrt()), rel=1e-6)


@pytest.mark.real_data
def test_a_real_prediction_lies_on_the_real_grid(real_data: Path, tmp_path: Path) -> None:
    """SEN12MS-CR with its own georeference: the exported input is the file that was read, on the file's grid."""
    from geocr.data.datasets.sen12mscr import Sen12mscr

    with pytest.warns(UserWarning, match="without clear"):
        patches = Sen12mscr(real_data / "sen12mscr", split=None)
    sink = CogFolder(tmp_path)
    settings = replace(QUICK, preset="pmaa", baselines=("input",), export=True)
    found = run_plan(plan_evaluation(patches, [], settings), sink=sink)
    (source,) = patches[0]["meta"]["paths"]["cloudy"]
    with rasterio.open(source) as original, rasterio.open(sink.written[0]) as exported:
        assert (exported.crs, exported.transform, exported.shape) == (original.crs, original.transform, original.shape)
        np.testing.assert_allclose(exported.read(), original.read() / 10000, atol=1e-6)
    assert found.rows[0]["roi"] == patches[0]["meta"]["roi"]
    assert found.units.kind == "sample"
