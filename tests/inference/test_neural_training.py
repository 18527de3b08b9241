"""The fusion U-Net learns, is saved, and then fills a tile better than before: the whole way of a trained model."""

from collections.abc import Generator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from geocr.checkpoint import load_checkpoint, save_checkpoint
from geocr.core.types import TileInput, Window
from geocr.inference.neural import NeuralReconstructor
from geocr.io.facts import OpticalFacts, SarFacts
from geocr.io.scene import Scene
from geocr.models.unet import FusionUNet
from geocr.radiometry.normalize import Normalizer

BANDS = ("B03", "B04", "B08")


@pytest.fixture(autouse=True)
def one_thread() -> Generator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def make_tile(seed: int, side: int = 32) -> tuple[TileInput, np.ndarray]:
    """A tile whose clear reflectance follows from its backscatter, and the reflectance under the clouds."""
    generator = np.random.default_rng(seed)
    cover = gaussian_filter(generator.normal(size=(side, side)), 3, mode="wrap")
    cover = (cover - cover.min()) / np.ptp(cover)
    sar = np.stack([-20 + 15 * cover, -28 + 18 * cover]) + generator.normal(scale=0.5, size=(2, side, side))
    clear = np.stack([0.05 + 0.1 * cover, 0.04 + 0.15 * (1 - cover), 0.1 + 0.4 * cover])
    cloudy_where = gaussian_filter(generator.normal(size=(side, side)), 4, mode="wrap") > 0
    cloudy = np.where(cloudy_where, 0.6 + 0.1 * generator.normal(size=(side, side)), clear)
    tile = TileInput(
        window=Window(row=0, col=0, height=side, width=side),
        optical=cloudy.astype(np.float32),
        sar=sar.astype(np.float32),
        cloud_mask=cloudy_where,
        valid=np.ones((side, side), bool),
    )
    return tile, clear.astype(np.float32)


def cloudy_error(mean: np.ndarray, clear: np.ndarray, tile: TileInput) -> float:
    """Mean absolute error over cloudy pixels, reflectance."""
    return float(np.abs(mean - clear)[:, tile.cloud_mask].mean())


def test_it_learns_is_saved_and_fills_a_tile_it_never_saw(tmp_path: Path) -> None:
    torch.manual_seed(0)
    normalizer = Normalizer(optical_scale=2.0)
    kwargs = {"optical_bands": list(BANDS), "widths": [8, 12], "level": "L2A", "tile_px": 64}
    model = FusionUNet(optical_bands=BANDS, widths=(8, 12), level="L2A", tile_px=64, normalizer=normalizer)
    tiles = [make_tile(seed) for seed in range(6)]
    sar = torch.from_numpy(np.stack([[normalizer.sar_to_network(tile.sar)] for tile, _ in tiles]))
    cloudy = torch.from_numpy(np.stack([[normalizer.optical_to_network(tile.optical)] for tile, _ in tiles]))
    mask = torch.from_numpy(np.stack([[tile.cloud_mask] for tile, _ in tiles]))
    clear = torch.from_numpy(np.stack([normalizer.optical_to_network(truth) for _, truth in tiles]))
    where = mask.expand_as(clear)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(120):
        optimiser.zero_grad()
        mean = model(sar, cloudy, mask).mean
        loss = (mean - clear)[where].abs().mean() + 0.1 * (mean - clear).abs().mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]

    model.eval()
    save_checkpoint(tmp_path / "trained.safetensors", model, name="fusion_unet", kwargs=kwargs)
    checkpoint = load_checkpoint(tmp_path / "trained.safetensors")
    with torch.inference_mode():
        assert torch.equal(checkpoint.model(sar, cloudy, mask).mean, model(sar, cloudy, mask).mean)

    unseen, truth = make_tile(99)
    scene = cast(
        "Scene",
        SimpleNamespace(
            bands=BANDS,
            sar_bands=("VV", "VH"),
            sar=SimpleNamespace(units="db"),
            scale=SimpleNamespace(offset=0.0),
            optical_facts=OpticalFacts(),
            sar_facts=SarFacts(),
        ),
    )
    filled = NeuralReconstructor.from_checkpoint(checkpoint, scene)(unseen).mean
    guess = np.broadcast_to(truth[:, ~unseen.cloud_mask].mean(axis=1)[:, None, None], truth.shape)
    assert cloudy_error(filled, truth, unseen) < 0.6 * cloudy_error(guess, truth, unseen)
