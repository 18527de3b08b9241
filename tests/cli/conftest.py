"""The command line in this process, and small files to give it."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from geocr.checkpoint import save_checkpoint
from geocr.cli import _render
from geocr.cli.app import main
from geocr.core.bands import L1C_BANDS
from geocr.core.types import BoolArray
from geocr.models.unet import FusionUNet
from tests.scenes import write_raster

RGBN = ("B02", "B03", "B04", "B08")


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """Standard output, which must be one object of strict JSON."""

        def refuse(text: str) -> None:
            raise AssertionError(f"{text} is no JSON")

        content: dict[str, Any] = json.loads(self.out, parse_constant=refuse)
        return content


Command = Callable[..., Done]


@pytest.fixture
def geocr(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Runs `geocr` with arguments as the console script does."""

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(_render, "_STATE", {"verbose": False})
        monkeypatch.setattr(sys, "argv", ["geocr", *map(str, arguments)])
        capfd.readouterr()
        try:
            main()
            code: Any = 0
        except SystemExit as end:
            code = end.code or 0
        captured = capfd.readouterr()
        return Done(code=int(code), out=captured.out, err=captured.err)

    return run


def make_checkpoint(path: Path, *, bands: tuple[str, ...] = RGBN, level: str = "L2A", variance: bool = True, **more: Any) -> Path:
    """A net of a few hundred weights, not trained."""
    kwargs: dict[str, Any] = {"optical_bands": list(bands), "level": level, "widths": [3, 4], "variance": variance, "tile_px": 64, **more}
    torch.manual_seed(0)
    save_checkpoint(path, FusionUNet(**kwargs), name="fusion_unet", kwargs=kwargs)
    return path


@pytest.fixture(scope="session")
def rgbn_net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("net") / "rgbn.safetensors")


@pytest.fixture(scope="session")
def l1c_net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("net") / "l1c.safetensors", bands=L1C_BANDS, level="L1C")


@dataclass(frozen=True)
class Files:
    """A scene on disk and what is in it."""

    folder: Path
    s1: Path
    s2: Path
    mask: Path
    dn: NDArray[Any]
    cloud: BoolArray

    @property
    def out(self) -> Path:
        return self.folder / "s2_cloudfree.tif"

    @property
    def provenance(self) -> Path:
        return self.folder / "s2_cloudfree_provenance.tif"

    def arguments(self, *more: object, sar: bool = True) -> list[object]:
        """The command that finds the given clouds, unwidened."""
        scenes = [self.s1, self.s2] if sar else ["--no-s1", self.s2]
        return ["predict-scene", *scenes, "--cloud-mask", self.mask, "--mask-buffer-px", 0, *more]


def make_files(
    folder: Path,
    shape: tuple[int, int] = (90, 110),
    *,
    dtype: str = "uint16",
    nodata: float | None = 0,
    cover: float = 0.3,
    seed: int = 0,
    bands: tuple[str, ...] = RGBN,
    **options: Any,
) -> Files:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        dn = rng.uniform(0.01, 0.5, (len(bands), *shape)).astype(dtype)
    else:
        dn = rng.integers(100, 5000, (len(bands), *shape)).astype(dtype)
    cloud = np.kron(rng.random((shape[0] // 10 + 1, shape[1] // 10 + 1)) < cover, np.ones((10, 10), bool))[: shape[0], : shape[1]].astype(
        bool
    )
    if nodata is not None:
        dn[:, : shape[0] // 5, : shape[1] // 4] = nodata
        dn[0, rng.random(shape) < 0.02] = nodata
    db = rng.normal(-12, 3, (2, *shape)).astype(np.float32)
    db[:, :, shape[1] - shape[1] // 4 :] = np.nan
    return Files(
        folder=folder,
        s1=Path(write_raster(folder / "s1.tif", db, nodata=np.nan, descriptions=("VV", "VH"))),
        s2=Path(write_raster(folder / "s2.tif", dn, nodata=nodata, descriptions=bands, **options)),
        mask=Path(write_raster(folder / "mask.tif", cloud[None].astype(np.uint8))),
        dn=dn,
        cloud=cloud,
    )


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return make_files(tmp_path / "data", scale=1e-4, offset=-0.1)
