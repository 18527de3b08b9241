"""What the checkpoint of a training tells of its Sentinel-1."""

from pathlib import Path

import pytest

from geocr.checkpoint import load_checkpoint
from geocr.models.unet import FusionUNet
from geocr.training.config import DataConfig
from geocr.training.material import trained_radiometry
from geocr.training.run import train
from tests.training.runs import settings

SPEC = FusionUNet(optical_bands=("B02",)).spec


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (DataConfig(dataset="sen12mscr"), "sigma0"),
        (DataConfig(dataset="sen12mscr_ts"), "sigma0"),
        (DataConfig(dataset="synthetic"), "unknown"),
        (DataConfig(s1=("s1.tif",), s2=("s2.tif",)), "unknown"),
    ],
)
def test_the_card_of_the_set_tells_it(data: DataConfig, told: str) -> None:
    assert trained_radiometry(data, SPEC) == told


def test_a_model_without_sentinel_1_has_none() -> None:
    assert trained_radiometry(DataConfig(dataset="sen12mscr"), FusionUNet(optical_bands=("B02",), sar_bands=()).spec) == "unknown"


def test_the_checkpoint_keeps_it(tmp_path: Path) -> None:
    result = train(settings(tmp_path / "data"), tmp_path / "run")
    for path in (result.last, result.best):
        if path.exists():
            assert load_checkpoint(path).model.spec.sar_radiometry == "sigma0"
    assert result.last.exists()
