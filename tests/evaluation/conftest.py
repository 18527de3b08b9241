"""Small sets and nets to evaluate."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from geocr.checkpoint import save_checkpoint
from geocr.core.bands import L1C_BANDS
from geocr.data.datasets.synthetic import Synthetic
from geocr.data.sample import FusionSample
from geocr.models.unet import FusionUNet

BANDS = ("B02", "B03", "B04", "B08")


def make_net(path: Path, *, seed: int = 0, bands: tuple[str, ...] = BANDS, **more: Any) -> Path:
    """A net of a few hundred weights, not trained."""
    kwargs = {"optical_bands": list(bands), "level": "L1C", "widths": [3, 4], "variance": True, "tile_px": 64, **more}
    torch.manual_seed(seed)
    save_checkpoint(path, FusionUNet(**kwargs), name="fusion_unet", kwargs=kwargs)
    return path


@pytest.fixture(scope="session")
def nets(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("nets")
    return [make_net(folder / f"net{seed}.safetensors", seed=seed) for seed in range(2)]


@pytest.fixture(scope="session")
def wide_net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_net(tmp_path_factory.mktemp("wide") / "wide.safetensors", bands=L1C_BANDS)


@pytest.fixture(scope="session")
def patches() -> Synthetic:
    """Three patches of four bands, with truth and masks."""
    return Synthetic(split="test", length=3, size_px=64, optical_bands=BANDS, cloud_cover=(0.2, 0.6))


@pytest.fixture
def sample(patches: Synthetic) -> FusionSample:
    return patches[0]


@pytest.fixture(scope="session")
def two_dates(patches: Synthetic) -> Callable[[], FusionSample]:
    """A sample of two dates: a patch, and the same place clear but for its first rows."""

    def make() -> FusionSample:
        sample = patches[1]
        clear = sample["clear"].clone()
        clear[:, :4] = 0.9
        sample["cloudy"] = torch.stack([sample["cloudy"][0], clear])
        mask = torch.zeros_like(sample["cloud_mask"][0])
        mask[:4] = True
        sample["cloud_mask"] = torch.stack([sample["cloud_mask"][0], mask])
        sample["sar"] = sample["sar"].expand(2, -1, -1, -1).contiguous()
        sample["meta"]["days"] = (2100.0, 2090.0)
        return sample

    return make
