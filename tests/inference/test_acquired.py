"""The day of a scene, and models that read it."""

from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from geocr.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from geocr.core.errors import CheckpointError
from geocr.core.types import TileInput, Window
from geocr.inference.acquired import acquisition_date
from geocr.inference.fit import require_fit
from geocr.inference.neural import NeuralReconstructor
from geocr.io.facts import OpticalFacts, SarFacts
from geocr.io.scene import Scene
from geocr.models.pix2pix import Pix2Pix
from geocr.models.utae import UTAE

BANDS = ("B02", "B03", "B04", "B08")
KWARGS: dict[str, Any] = {
    "optical_bands": BANDS,
    "level": "L2A",
    "encoder_widths": [8, 16],
    "decoder_widths": [4, 16],
    "heads": 4,
    "d_model": 16,
}


def scene(path: str = "/data/scene.tif", **tags: str) -> Scene:
    optical = SimpleNamespace(path=path, handle=SimpleNamespace(tags=lambda: tags))
    return cast(
        "Scene",
        SimpleNamespace(
            bands=BANDS,
            sar_bands=("VV", "VH"),
            sar=SimpleNamespace(units="db"),
            optical=optical,
            optical_facts=OpticalFacts(),
            sar_facts=SarFacts(),
        ),
    )


@pytest.mark.parametrize(
    ("given", "day"),
    [
        (scene(), None),
        (scene("/2023-01-01/scene.tif"), None),
        (scene("/data/S2A_MSIL1C_20240510T100031_N0510_R122_T33UXP.tif"), date(2024, 5, 10)),
        (scene("/data/S2_2024-05-10.tif"), date(2024, 5, 10)),
        (scene("/data/20249910_20240511.tif"), date(2024, 5, 11)),
        (scene("/data/20240510.tif", PRODUCT_START_TIME="2020-02-29T10:00:31.024Z"), date(2020, 2, 29)),
        (scene(TIFFTAG_DATETIME="2021:07:04 12:00:00"), date(2021, 7, 4)),
    ],
)
def test_the_day_is_that_of_the_tags_else_of_the_file_name(given: Scene, day: date | None) -> None:
    assert acquisition_date(given) == day


def test_the_product_knows_best() -> None:
    told = scene("/data/S2_2024-05-10.tif", PRODUCT_START_TIME="2020-02-29T10:00:31.024Z")
    told.optical_facts = OpticalFacts(acquired=datetime(2023, 8, 15, 10, 6, 3, tzinfo=UTC))  # type: ignore[misc]
    assert acquisition_date(told) == date(2023, 8, 15)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    torch.manual_seed(5)
    path = tmp_path / "utae.safetensors"
    save_checkpoint(path, UTAE(**KWARGS), name="utae", kwargs=KWARGS)
    return load_checkpoint(path)


def test_a_model_that_reads_dates_is_given_the_days_since_the_epoch(checkpoint: Checkpoint) -> None:
    generator = np.random.default_rng(1)
    tile = TileInput(
        window=Window(row=0, col=0, height=16, width=24),
        optical=generator.uniform(0, 0.6, (4, 16, 24)).astype(np.float32),
        sar=generator.uniform(-22, -4, (2, 16, 24)).astype(np.float32),
        cloud_mask=np.ones((16, 24), bool),
        valid=np.ones((16, 24), bool),
    )
    reconstructor = NeuralReconstructor.from_checkpoint(checkpoint, scene("/data/S2_20240510.tif"))
    days = float((date(2024, 5, 10) - date(2014, 4, 3)).days)
    assert reconstructor.day == days
    normalizer = checkpoint.model.spec.normalizer
    sar, cloudy = (
        torch.from_numpy(array)[None, None] for array in (normalizer.sar_to_network(tile.sar), normalizer.optical_to_network(tile.optical))
    )
    with torch.inference_mode():
        expected = checkpoint.model(sar, cloudy, None, torch.tensor([[days]])).mean[0].numpy()
        other = checkpoint.model(sar, cloudy, None, torch.tensor([[0.0]])).mean[0].numpy()
    np.testing.assert_allclose(reconstructor(tile).mean, expected, atol=1e-5)
    assert np.abs(expected - other).max() > 1e-3


def test_it_is_refused_where_nothing_tells_the_day(checkpoint: Checkpoint) -> None:
    with pytest.raises(CheckpointError, match="reads the day of the scene, which neither tags nor file name tell: name the file with it"):
        NeuralReconstructor.from_checkpoint(checkpoint, scene())


def test_a_model_of_pictures_is_refused_for_a_scene_in_reflectance() -> None:
    spec = Pix2Pix(**Pix2Pix.card.small[0]).spec
    assert spec.optical_units == "display"
    with pytest.raises(CheckpointError, match="trained on 8-bit pictures, and a scene is in reflectance"):
        require_fit(spec, scene())
