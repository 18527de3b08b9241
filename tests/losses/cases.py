"""A small batch that every loss can be computed on, and every loss of the table in a small configuration."""

from pathlib import Path

import torch
from torch import Tensor

from geocr.losses import LOSSES
from geocr.losses.base import Loss, LossInput
from geocr.losses.perceptual import vgg16_features

SMALL = {
    "smooth_l1": {"beta": 0.1},
    "ssim": {"window_px": 5},
    "ms_ssim": {"window_px": 3, "weights": (0.3, 0.4, 0.3)},
    "perceptual": {"layers": 3, "channels": (2, 1, 0)},
}


def make_loss(name: str, folder: Path) -> Loss:
    arguments = dict(SMALL.get(name, {}))
    if name == "perceptual":
        arguments["weights"] = str(vgg_file(folder))
    loss = LOSSES.load(name)(**arguments)
    assert isinstance(loss, Loss)
    return loss.double()


def vgg_file(folder: Path, layers: int = 9) -> Path:
    path = folder / "vgg16.pt"
    with torch.random.fork_rng():
        torch.manual_seed(3)
        torch.save({f"features.{name}": value for name, value in vgg16_features(layers).state_dict().items()}, path)
    return path


def make_batch(shape: tuple[int, int, int, int] = (2, 3, 14, 13), *, invalid: bool = True, seed: int = 0) -> LossInput:
    """A batch in float64; a block, a corner and some single pixels of it are invalid when asked."""
    batch, _, rows, cols = shape
    make = torch.Generator().manual_seed(seed)

    def uniform(*size: int) -> Tensor:
        return 0.1 + 0.8 * torch.rand(*size, generator=make, dtype=torch.float64)

    valid = torch.rand(batch, rows, cols, generator=make) > 0.15
    valid[0, 2:7, 3:9] = False
    return LossInput(
        mean=uniform(*shape),
        target=uniform(*shape),
        variance=0.02 + uniform(*shape),
        cloudy=uniform(*shape),
        cloud_mask=torch.rand(batch, rows, cols, generator=make) > 0.5,
        valid_mask=valid if invalid else None,
        structure_mask=uniform(batch, 1, rows, cols),
        attention=uniform(batch, 1, 1, rows // 2, cols),
    )
