"""A checkpointed network on scenes: refusals, bands by name, units there and back, one load per process."""

import json
import pickle
import threading
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from geocr.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from geocr.core.errors import CheckpointError, InputError, ReconstructionError
from geocr.core.types import Reconstruction, TileInput, Window
from geocr.grid.spec import TileSpec
from geocr.inference import model_cache
from geocr.inference.neural import NeuralReconstructor
from geocr.inference.reconstructor import Reconstructor
from geocr.inference.tuning import Tuning
from geocr.io.facts import OpticalFacts, SarFacts
from geocr.io.open import open_scene
from geocr.io.scene import Scene
from geocr.models.unet import FusionUNet
from geocr.radiometry.normalize import Normalizer
from tests.scenes import write_raster

FOUR = ("B02", "B03", "B04", "B08")
NORMALIZER = Normalizer(sar_range=(-1.0, 1.0), optical_scale=2.0, optical_offset=-1.0)
KWARGS: dict[str, Any] = {"optical_bands": list(FOUR), "widths": [6, 8], "variance": True, "level": "L2A", "tile_px": 64}


@pytest.fixture(autouse=True)
def empty_cache() -> Generator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    model_cache._models.clear()
    yield
    model_cache._models.clear()
    torch.set_num_threads(threads)


MakeCheckpoint = Callable[..., Checkpoint]


@pytest.fixture
def make_checkpoint(tmp_path: Path) -> MakeCheckpoint:
    def make(normalizer: Normalizer | None = NORMALIZER, **changes: Any) -> Checkpoint:
        kwargs = {**KWARGS, **changes}
        torch.manual_seed(5)
        model = FusionUNet(**kwargs, normalizer=normalizer)
        path = tmp_path / f"model{len(list(tmp_path.iterdir()))}.safetensors"
        save_checkpoint(path, model, name="fusion_unet", kwargs=kwargs, metrics={"psnr_cloudy_db": 28.5}, licence="CC0-1.0")
        return load_checkpoint(path)

    return make


def scene(bands: tuple[str, ...] = FOUR, sar_bands: tuple[str, ...] = ("VV", "VH"), units: str = "power") -> Scene:
    """What a reconstructor reads of a scene: names and units, no pixels."""
    sar = SimpleNamespace(units=units) if sar_bands else None
    return cast("Scene", SimpleNamespace(bands=bands, sar_bands=sar_bands, sar=sar, optical_facts=OpticalFacts(), sar_facts=SarFacts()))


def tile(rows: int = 32, cols: int = 40, bands: int = 4, sar_bands: int = 2, seed: int = 0) -> TileInput:
    generator = np.random.default_rng(seed)
    return TileInput(
        window=Window(row=0, col=0, height=rows, width=cols),
        optical=generator.uniform(0, 0.6, (bands, rows, cols)).astype(np.float32),
        sar=generator.uniform(-22, -4, (sar_bands, rows, cols)).astype(np.float32),
        cloud_mask=generator.uniform(size=(rows, cols)) < 0.4,
        valid=np.ones((rows, cols), bool),
    )


def cut(source: TileInput, window: Window) -> TileInput:
    rows, cols = window.slices_in(source.window)
    return replace(
        source,
        window=window,
        optical=source.optical[:, rows, cols],
        sar=source.sar[:, rows, cols],
        cloud_mask=source.cloud_mask[rows, cols],
        valid=source.valid[rows, cols],
    )


def assert_same(left: Reconstruction, right: Reconstruction, atol: float = 0.0) -> None:
    np.testing.assert_allclose(left.mean, right.mean, rtol=0, atol=atol)
    assert (left.std is None) == (right.std is None)
    if left.std is not None:
        np.testing.assert_allclose(left.std, cast("Any", right.std), rtol=0, atol=atol)


# --- what it computes ---


def test_it_is_the_model_between_the_units_of_the_scene(make_checkpoint: MakeCheckpoint) -> None:
    """Normalise, predict, come back: recomputed here by hand from the numbers of the normaliser."""
    checkpoint = make_checkpoint()
    given = tile()
    given.optical[0, 3, 4], given.sar[1, 5, 6] = np.nan, np.nan
    vv = np.clip(given.sar[0], -25, 0) / 25 * 2 + 1
    vh = np.nan_to_num(np.clip(given.sar[1], -32.5, 0) / 32.5 * 2 + 1, nan=0.0)
    cloudy = np.nan_to_num(given.optical * 2 - 1, nan=0.0)
    with torch.inference_mode():
        out = checkpoint.model(
            torch.from_numpy(np.stack([vv, vh])[None, None]),
            torch.from_numpy(cloudy[None, None]),
            torch.from_numpy(given.cloud_mask[None, None]),
        )
    got = NeuralReconstructor.from_checkpoint(checkpoint, scene(), tuning=Tuning(channels_last=False))(given)
    np.testing.assert_allclose(got.mean, (out.mean[0].numpy() + 1) / 2, atol=1e-5)
    np.testing.assert_allclose(cast("Any", got.std), out.variance[0].sqrt().numpy() / 2, atol=1e-5)
    assert (got.mean.dtype, cast("Any", got.std).dtype) == (np.float32, np.float32)
    got.checked(given, given.cloud_mask)


def test_without_a_variance_head_there_is_no_standard_deviation(make_checkpoint: MakeCheckpoint) -> None:
    reconstructor = NeuralReconstructor.from_checkpoint(make_checkpoint(variance=False), scene())
    assert not reconstructor.has_std
    assert reconstructor(tile()).std is None
    assert NeuralReconstructor.from_checkpoint(make_checkpoint(), scene()).has_std


@pytest.mark.parametrize("order", [(3, 2, 1, 0), (1, 3, 0, 2)])
def test_bands_go_by_name_and_never_by_position(make_checkpoint: MakeCheckpoint, order: tuple[int, ...]) -> None:
    checkpoint, given = make_checkpoint(), tile()
    expected = NeuralReconstructor.from_checkpoint(checkpoint, scene())(given)
    names = tuple(FOUR[i] for i in order)
    permuted = NeuralReconstructor.from_checkpoint(checkpoint, scene(names))(replace(given, optical=given.optical[list(order)]))
    assert expected.std is not None
    assert_same(permuted, Reconstruction(mean=expected.mean[list(order)], std=expected.std[list(order)]))


def test_polarisations_go_by_name_too(make_checkpoint: MakeCheckpoint) -> None:
    checkpoint, given = make_checkpoint(), tile()
    expected = NeuralReconstructor.from_checkpoint(checkpoint, scene())(given)
    swapped = replace(given, sar=given.sar[::-1])
    assert_same(NeuralReconstructor.from_checkpoint(checkpoint, scene(sar_bands=("VH", "VV")))(swapped), expected)
    as_if_ordered = NeuralReconstructor.from_checkpoint(checkpoint, scene())(swapped)
    assert float(np.abs(as_if_ordered.mean - expected.mean).max()) > 1e-3


def test_a_model_may_read_fewer_bands_and_predict_more_than_the_scene_has(make_checkpoint: MakeCheckpoint) -> None:
    wide = make_checkpoint(optical_bands=["B03", "B04"], optical_out=["B08", "B04", "B03", "B02", "B11"], gated=False)
    given = tile()
    got = NeuralReconstructor.from_checkpoint(wide, scene())(given)
    with torch.inference_mode():
        sar, cloudy = NORMALIZER.sar_to_network(given.sar), NORMALIZER.optical_to_network(given.optical[1:3])
        out = wide.model(
            torch.from_numpy(sar)[None, None], torch.from_numpy(cloudy)[None, None], torch.from_numpy(given.cloud_mask)[None, None]
        )
    np.testing.assert_allclose(got.mean, NORMALIZER.mean_to_reflectance(out.mean[0, [3, 2, 1, 0]].numpy()), atol=1e-5)


def test_a_model_without_sar_ignores_it(make_checkpoint: MakeCheckpoint) -> None:
    checkpoint = make_checkpoint(normalizer=None, sar_bands=[])
    blind = NeuralReconstructor.from_checkpoint(checkpoint, scene(sar_bands=()))(replace(tile(), sar=np.empty((0, 32, 40), np.float32)))
    given = NeuralReconstructor.from_checkpoint(checkpoint, scene())
    assert "uses no Sentinel-1" in " ".join(given.notes)
    assert_same(blind, given(tile()))


def test_a_model_without_mask_is_given_none(make_checkpoint: MakeCheckpoint) -> None:
    reconstructor = NeuralReconstructor.from_checkpoint(make_checkpoint(use_mask=False), scene())
    given = tile()
    assert_same(reconstructor(given), reconstructor(replace(given, cloud_mask=~given.cloud_mask)))


@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (1, 5), (3, 2), (31, 33), (64, 64)])
def test_tiles_of_any_size_come_back_in_their_size(make_checkpoint: MakeCheckpoint, rows: int, cols: int) -> None:
    reconstructor = NeuralReconstructor.from_checkpoint(make_checkpoint(widths=[4, 4, 4, 4], tile_px=256), scene())
    got = reconstructor(tile(rows, cols))
    assert got.mean.shape == (4, rows, cols)
    assert np.isfinite(got.mean).all()


def test_behind_the_halo_a_tile_gives_what_the_whole_scene_gives(make_checkpoint: MakeCheckpoint) -> None:
    reconstructor = NeuralReconstructor.from_checkpoint(make_checkpoint(), scene())
    whole, window = tile(101, 95), Window(row=20, col=12, height=60, width=64)
    halo = reconstructor.tile.halo_px
    assert halo == reconstructor.header.spec.halo_px > 0
    inner = np.s_[:, halo:-halo, halo:-halo]
    part, full = reconstructor(cut(whole, window)).mean, reconstructor(whole).mean[:, 20:80, 12:76]
    np.testing.assert_allclose(part[inner], full[inner], atol=1e-6)
    assert float(np.abs(part - full).max()) > 1e-3  # and the halo is needed


def test_bf16_stays_within_one_percent_of_reflectance(make_checkpoint: MakeCheckpoint) -> None:
    checkpoint, given = make_checkpoint(), tile()
    exact = NeuralReconstructor.from_checkpoint(checkpoint, scene())(given)
    rounded = NeuralReconstructor.from_checkpoint(checkpoint, scene(), tuning=Tuning(precision="bf16"))(given)
    assert rounded.mean.dtype == np.float32
    assert 0 < float(np.abs(rounded.mean - exact.mean).max()) < 0.01


def test_layout_is_no_matter_of_values_and_repeats_are_equal(make_checkpoint: MakeCheckpoint) -> None:
    checkpoint, given = make_checkpoint(), tile()
    last = NeuralReconstructor.from_checkpoint(checkpoint, scene())
    assert_same(last(given), last(given))
    assert_same(NeuralReconstructor.from_checkpoint(checkpoint, scene(), tuning=Tuning(channels_last=False))(given), last(given), atol=1e-5)


def test_read_only_tiles_are_taken_and_left_alone(make_checkpoint: MakeCheckpoint) -> None:
    reconstructor = NeuralReconstructor.from_checkpoint(make_checkpoint(), scene())
    given, copy = tile(), tile()
    for array in (given.optical, given.sar, given.cloud_mask):
        array.flags.writeable = False
    np.testing.assert_array_equal(reconstructor(given).mean, reconstructor(copy).mean)
    for name in ("optical", "sar", "cloud_mask"):
        np.testing.assert_array_equal(getattr(given, name), getattr(tile(), name))


def test_a_tile_of_another_scene_is_refused(make_checkpoint: MakeCheckpoint) -> None:
    reconstructor = NeuralReconstructor.from_checkpoint(make_checkpoint(), scene())
    with pytest.raises(ReconstructionError, match="Expected a tile with 4 optical and 2 SAR bands, got 3 and 2"):
        reconstructor(tile(bands=3))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_gpu_agrees_with_the_cpu(make_checkpoint: MakeCheckpoint) -> None:
    checkpoint, given = make_checkpoint(), tile()
    expected = NeuralReconstructor.from_checkpoint(checkpoint, scene())(given)
    assert_same(NeuralReconstructor.from_checkpoint(checkpoint, scene(), device="cuda")(given), expected, atol=5e-3)


# --- what it says and asks for ---


def test_it_is_a_reconstructor_and_describes_itself_in_json(make_checkpoint: MakeCheckpoint) -> None:
    checkpoint = make_checkpoint()
    reconstructor = NeuralReconstructor.from_checkpoint(checkpoint, scene(), tuning=Tuning(precision="bf16"))
    assert isinstance(reconstructor, Reconstructor)
    facts = json.loads(json.dumps(reconstructor.describe()))
    assert facts["name"] == "fusion_unet"
    assert facts["sha256"] == checkpoint.sha256
    assert facts["checkpoint"] == Path(checkpoint.path).name
    assert (facts["metrics"], facts["licence"], facts["precision"]) == ({"psnr_cloudy_db": 28.5}, "CC0-1.0", "bf16")
    assert (facts["optical_in"], facts["sar_bands"], facts["level"]) == (list(FOUR), ["VV", "VH"], "L2A")


def test_tiles_are_the_models_unless_overridden(make_checkpoint: MakeCheckpoint) -> None:
    checkpoint = make_checkpoint()
    spec = checkpoint.header.spec
    assert NeuralReconstructor.from_checkpoint(checkpoint, scene()).tile == spec.tile_spec()
    own = NeuralReconstructor.from_checkpoint(checkpoint, scene(), tile_px=96, overlap_px=16, halo_px=8)
    assert own.tile == TileSpec(size_px=96, overlap_px=16, halo_px=8, align_px=2)


@pytest.mark.parametrize(
    ("halo", "overlap", "warned"), [(10, 0, False), (8, 0, True), (8, 4, False), (8, 2, True), (0, 20, False), (0, 18, True)]
)
def test_too_little_shared_context_is_said_aloud(make_checkpoint: MakeCheckpoint, halo: int, overlap: int, warned: bool) -> None:
    checkpoint = make_checkpoint()
    assert checkpoint.header.spec.halo_px == 10
    reconstructor = NeuralReconstructor.from_checkpoint(checkpoint, scene(), halo_px=halo, overlap_px=overlap)
    assert any("seams are possible" in note for note in reconstructor.notes) is warned


def test_a_model_that_sees_its_whole_tile_is_said_aloud(make_checkpoint: MakeCheckpoint) -> None:
    checkpoint = make_checkpoint()
    checkpoint.model.pool = torch.nn.AdaptiveAvgPool2d(1)
    assert any("AdaptiveAvgPool2d" in note for note in NeuralReconstructor.from_checkpoint(checkpoint, scene()).notes)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tuning": Tuning(precision="fp16")}, "precision must be one of fp32, bf16, got 'fp16'"),
        ({"device": "abacus"}, "a device is cpu, cuda or cuda:N, got 'abacus'"),
        ({"tile_px": 33}, "multiple of 2"),
        pytest.param({"device": "cuda"}, "needs a CUDA GPU", marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")),
    ],
)
def test_settings_that_cannot_be_are_refused(make_checkpoint: MakeCheckpoint, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        NeuralReconstructor.from_checkpoint(make_checkpoint(), scene(), **settings)


# --- what does not fit ---


def test_the_refusal_comes_before_any_weight_is_placed(make_checkpoint: MakeCheckpoint) -> None:
    with pytest.raises(CheckpointError):
        NeuralReconstructor.from_checkpoint(make_checkpoint(), scene(("B02",)))
    assert not model_cache._models


def test_files_with_permuted_bands_give_the_same_pixels(make_checkpoint: MakeCheckpoint, tmp_path: Path) -> None:
    checkpoint, given = make_checkpoint(), tile()
    dn, power = np.rint(given.optical * 1e4).astype(np.uint16) + 1, 10 ** (given.sar / 10)
    found = []
    for folder, order, sar_order in (("a", (0, 1, 2, 3), (0, 1)), ("b", (2, 0, 3, 1), (1, 0))):
        (tmp_path / folder).mkdir()
        names = [FOUR[i] for i in order]
        s2 = write_raster(tmp_path / folder / "s2.tif", dn[list(order)], nodata=0, descriptions=names, scale=1e-4)
        s1 = write_raster(tmp_path / folder / "s1.tif", power[list(sar_order)], descriptions=[("VV", "VH")[i] for i in sar_order])
        opened = open_scene(s2, s1)
        window = opened.grid.window
        filled = NeuralReconstructor.from_checkpoint(checkpoint, opened)(
            replace(given, optical=opened.read_reflectance(window), sar=opened.read_sar(window))
        )
        found.append({name: filled.mean[opened.bands.index(name)] for name in FOUR})
    for name in FOUR:
        np.testing.assert_array_equal(found[0][name], found[1][name])


# --- processes and threads ---


def test_it_pickles_without_weights_and_works_in_another_process(make_checkpoint: MakeCheckpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    reconstructor, given = NeuralReconstructor.from_checkpoint(make_checkpoint(widths=[32, 32]), scene()), tile()
    expected = reconstructor(given)
    data = pickle.dumps(reconstructor)
    assert len(data) < 4000
    loads: list[str] = []
    monkeypatch.setattr(model_cache, "load_checkpoint", lambda path: loads.append(path) or load_checkpoint(path))
    model_cache._models.clear()  # as a fresh worker is
    for _ in range(3):
        back: NeuralReconstructor = pickle.loads(data)  # noqa: S301 - our own bytes
        assert_same(back(given), expected)
    assert loads == [reconstructor.path]


def test_the_process_that_built_it_does_not_read_the_file_again(make_checkpoint: MakeCheckpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = make_checkpoint()
    monkeypatch.setattr(model_cache, "load_checkpoint", lambda path: pytest.fail("read again"))
    reconstructor = NeuralReconstructor.from_checkpoint(checkpoint, scene(), tuning=Tuning(precision="bf16"))
    reconstructor(tile())
    assert checkpoint.model.state_dict()["head.weight"].dtype == torch.float32  # the caller's model is untouched
    assert all(parameter.requires_grad for parameter in checkpoint.model.parameters())


def test_threads_load_once_and_agree(make_checkpoint: MakeCheckpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    reconstructor, given = NeuralReconstructor.from_checkpoint(make_checkpoint(), scene()), tile()
    expected = reconstructor(given)
    model_cache._models.clear()
    loads: list[str] = []
    monkeypatch.setattr(model_cache, "load_checkpoint", lambda path: loads.append(path) or load_checkpoint(path))
    results: list[Reconstruction] = []
    threads = [threading.Thread(target=lambda: results.append(reconstructor(given))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loads) == 1
    assert len(results) == 4
    for result in results:
        assert_same(result, expected)


def test_a_checkpoint_that_changed_during_the_run_is_refused(make_checkpoint: MakeCheckpoint) -> None:
    checkpoint = make_checkpoint()
    reconstructor = NeuralReconstructor.from_checkpoint(checkpoint, scene())
    model_cache._models.clear()
    torch.nn.init.zeros_(checkpoint.model.state_dict()["head.bias"])
    save_checkpoint(checkpoint.path, checkpoint.model, name="fusion_unet", kwargs=KWARGS, licence="changed")
    with pytest.raises(CheckpointError, match="must not change during a run"):
        reconstructor(tile())


def test_the_cache_forgets_the_model_used_longest_ago(make_checkpoint: MakeCheckpoint) -> None:
    checkpoint = make_checkpoint()
    keys = [
        model_cache.ModelKey(sha256=str(n), device="cpu", precision="fp32", channels_last=False) for n in range(model_cache.MAX_MODELS + 1)
    ]
    for key in keys[:-1]:
        model_cache.remember(key, checkpoint)
    model_cache.placed_model(keys[0], checkpoint.path)
    model_cache.remember(keys[-1], checkpoint)
    assert list(model_cache._models) == [*keys[2:-1], keys[0], keys[-1]]
