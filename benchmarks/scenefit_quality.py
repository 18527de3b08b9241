"""How good the default method is, against simple peers, on real scenes.

Two parts. Clear scenes with synthetic clouds over them (20, 35 and 60 % of the scene, all bands hidden), where the truth is known;
and the twelve SEN12MS-CR triplets with their real clouds, compared with a clear image of another date, from which even a perfect
reconstruction differs. There clouds are found by s2cloudless and hidden with their shadows and a rim of 60 m, as geocr does by
default; errors count under the clouds. Peers see the same clear pixels as the scene fit.

    python benchmarks/scenefit_quality.py --out docs-section.md

Data: `../shared/data`, or the folder in GEOCR_TEST_DATA.
"""

import argparse
import os
import platform
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import rasterio
import torch
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning
from rasterio.fill import fillnodata
from scipy import ndimage

from geocr import __version__
from geocr.clouds.s2cloudless import S2CloudlessDetector
from geocr.clouds.selection import make_cloud_mask
from geocr.core.bands import S2_BANDS
from geocr.core.errors import TooFewClearPixelsError
from geocr.core.types import BoolArray, FloatArray, TileInput, Window
from geocr.io.open import open_scene
from geocr.metrics.pixels import mae_of, psnr_db, sam_deg
from geocr.scenefit import fit_scene

DATA = Path(os.environ.get("GEOCR_TEST_DATA", Path(__file__).resolve().parent.parent.parent / "shared" / "data"))
TERRAMESH = ("282D_485L_3_3", "38D_378R_2_3", "433D_629L_3_1")
COVERS = (0.20, 0.35, 0.60)
OCTAVES = ((64, 1.0), (32, 0.5), (16, 0.25), (8, 0.12), (4, 0.06))
"""Standard deviation in pixels and weight of the noise that clouds are cut from."""


@dataclass(frozen=True, eq=False)
class Pair:
    """A clear scene and its backscatter."""

    name: str
    sar: FloatArray
    """`(2, h, w)` dB."""
    optical: FloatArray
    """`(13, h, w)` reflectance."""


@dataclass(frozen=True, eq=False)
class Hidden:
    """What a method is given: the scene as an array, read window by window."""

    sar: FloatArray
    optical: FloatArray
    """With NaN nowhere, and with what stands under the clouds made 1."""
    cloud: BoolArray

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.cloud.shape[0], self.cloud.shape[1]

    def read(self, window: Window) -> TileInput:
        """One window."""
        rows, cols = slice(window.row, window.row_stop), slice(window.col, window.col_stop)
        optical = self.optical[:, rows, cols]
        return TileInput(
            window=window,
            optical=optical,
            sar=self.sar[:, rows, cols],
            cloud_mask=self.cloud[rows, cols],
            valid=np.logical_or.reduce(np.isfinite(optical), axis=0),
        )


@dataclass(frozen=True, eq=False)
class Filled:
    """What a method made of it."""

    mean: FloatArray
    std: FloatArray | None = None


@dataclass(frozen=True)
class Score:
    """Errors over the hidden pixels."""

    psnr_db: float
    ssim: float
    sam_deg: float
    mae: float
    seconds: float
    within: tuple[float, float] | None
    """Shares of errors within one and two standard deviations."""


def read_pixels(path: Path) -> NDArray[np.float32]:
    """All bands as float32."""
    with rasterio.open(path) as dataset:
        pixels: NDArray[np.float32] = dataset.read().astype(np.float32)
    return pixels


def clear_pairs() -> Iterator[Pair]:
    """The scenes whose truth is known."""
    spain = DATA / "sen1floods11_spain_512"
    name = "Spain_7370579"
    yield Pair("Spain 512", read_pixels(spain / f"{name}_S1Hand.tif"), read_pixels(spain / f"{name}_S2Hand.tif") / 1e4)
    for place in TERRAMESH:
        folder = DATA / "terramesh_224"
        yield Pair(f"{place} 224", read_pixels(folder / "S1RTC" / f"{place}.tif"), read_pixels(folder / "S2L1C" / f"{place}.tif") / 1e4)


def cloud_shapes(shape: tuple[int, int], cover: float, seed: int) -> BoolArray:
    """Smooth blobs that cover exactly `cover`: noise of several octaves, cut at its quantile."""
    rng = np.random.default_rng(1000 + seed)
    field = np.zeros(shape)
    for sigma, weight in OCTAVES:
        margin = 3 * sigma
        rough = rng.standard_normal((shape[0] + 2 * margin, shape[1] + 2 * margin))
        octave = ndimage.gaussian_filter(rough, sigma, truncate=3)[margin:-margin, margin:-margin]
        field += weight * octave / octave.std()
    blobs: BoolArray = field > np.quantile(field, 1 - cover)
    return blobs


def fill_mean(scene: Hidden) -> Filled:
    """Every band's mean over the clear pixels."""
    means = scene.optical[:, ~scene.cloud].mean(axis=1)
    return Filled(np.where(scene.cloud, means[:, None, None], scene.optical))


def fill_rasterio(scene: Hidden) -> Filled:
    """`rasterio.fill.fillnodata`: inverse distance from the clear rim."""
    clear = (~scene.cloud).astype(np.uint8)
    return Filled(np.stack([fillnodata(band.copy(), mask=clear, max_search_distance=400) for band in scene.optical]))


def fill_from_sar(scene: Hidden) -> Filled:
    """Ridge regression of reflectance on backscatter averaged at seven scales."""
    layers = [np.clip(scene.sar, -40, 10)]
    layers += [np.stack([ndimage.gaussian_filter(band, sigma) for band in layers[0]]) for sigma in (1, 2, 4, 8, 16, 32)]
    features = np.concatenate(layers).reshape(2 * len(layers), -1).T.astype(np.float64)
    clear = ~scene.cloud.ravel()
    features = (features - features[clear].mean(axis=0)) / features[clear].std(axis=0)
    design = np.column_stack([features, np.ones(len(features))])
    truth = scene.optical.reshape(len(scene.optical), -1).T[clear]
    squares = design[clear].T @ design[clear] + 0.01 * clear.sum() * np.eye(design.shape[1])
    predicted = (design @ np.linalg.solve(squares, design[clear].T @ truth)).T.reshape(scene.optical.shape)
    return Filled(np.where(scene.cloud, predicted, scene.optical).astype(np.float32))


def fill_scenefit(scene: Hidden) -> Filled:
    """The default method of geocr, fit and fill."""
    fit = fit_scene(scene)
    rows, cols = scene.shape
    result = fit(scene.read(Window(row=0, col=0, height=rows, width=cols)))
    return Filled(np.where(scene.cloud, result.mean, scene.optical), result.std)


METHODS: dict[str, Callable[[Hidden], Filled]] = {
    "mean fill": fill_mean,
    "rasterio.fill.fillnodata": fill_rasterio,
    "SAR regression alone": fill_from_sar,
    "scenefit": fill_scenefit,
}


def ssim_over(predicted: FloatArray, truth: FloatArray, cloud: BoolArray) -> float:
    """Structural similarity (Wang et al. 2004: Gaussian window 11, sigma 1.5, peak 1), mean over bands and hidden pixels."""

    def blurred(array: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(ndimage.gaussian_filter(array, 1.5, radius=5))

    values = []
    for a, b in zip(predicted.astype(np.float64), truth.astype(np.float64), strict=True):
        mean_a, mean_b = blurred(a), blurred(b)
        spread_a, spread_b = blurred(a * a) - mean_a**2, blurred(b * b) - mean_b**2
        shared = blurred(a * b) - mean_a * mean_b
        ssim = (2 * mean_a * mean_b + 1e-4) * (2 * shared + 9e-4)
        ssim /= (mean_a**2 + mean_b**2 + 1e-4) * (spread_a + spread_b + 9e-4)
        values.append(ssim[cloud].mean())
    return float(np.mean(values))


def score(method: Callable[[Hidden], Filled], scene: Hidden, truth: FloatArray, judged: BoolArray) -> Score:
    """Run a method and compare it with the truth at the judged pixels, which are among the hidden."""
    began = time.perf_counter()
    filled = method(scene)
    seconds = time.perf_counter() - began
    predicted, wanted = filled.mean[:, judged], truth[:, judged]
    within = None
    if filled.std is not None:
        ratio = np.abs(predicted - wanted) / filled.std[:, judged]
        within = (float((ratio <= 1).mean()), float((ratio <= 2).mean()))
    return Score(
        psnr_db=psnr_db(predicted, wanted),
        ssim=ssim_over(np.where(scene.cloud, filled.mean, truth), truth, judged),
        sam_deg=sam_deg(predicted, wanted),
        mae=mae_of(predicted, wanted),
        seconds=seconds,
        within=within,
    )


def row_of(label: list[str], scores: list[Score]) -> str:
    """A Markdown row of mean scores."""
    means = [float(np.mean([getattr(one, name) for one in scores])) for name in ("psnr_db", "ssim", "sam_deg", "mae", "seconds")]
    within = [one.within for one in scores if one.within is not None]
    shares = "{:.0%} / {:.0%}".format(*np.mean(within, axis=0)) if within else "-"
    figures = [f"{means[0]:.2f}", f"{means[1]:.3f}", f"{means[2]:.2f}", f"{means[3]:.4f}", shares, f"{means[4]:.1f}"]
    return "| " + " | ".join([*label, *figures]) + " |"


def synthetic_part(seeds: list[int]) -> Iterator[str]:
    """Clear scenes under synthetic clouds."""
    yield "| place | cover | method | PSNR (dB) | SSIM | SAM (deg) | MAE | within 1 / 2 std | seconds |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for pair in clear_pairs():
        for cover in COVERS:
            for name, method in METHODS.items():
                scores = []
                for seed in seeds:
                    cloud = cloud_shapes((pair.optical.shape[1], pair.optical.shape[2]), cover, seed)
                    hidden = np.where(cloud, np.float32(1), pair.optical)
                    scores.append(score(method, Hidden(pair.sar, hidden, cloud), pair.optical, cloud))
                yield row_of([pair.name, f"{cover:.0%}", name], scores)


def real_part() -> Iterator[str]:
    """The triplets with their real clouds."""
    yield "| triplet | cloud | method | PSNR (dB) | SSIM | SAM (deg) | MAE | within 1 / 2 std | seconds |"
    yield "|---|---|---|---|---|---|---|---|---|"
    folder = DATA / "sen12mscr_triplets"
    pooled: dict[str, list[Score]] = {name: [] for name in METHODS}
    for path in sorted((folder / "s2_cloudy").glob("*.tif")):
        cloudy, truth = read_pixels(path) / 1e4, read_pixels(folder / "s2_cloudfree" / path.name) / 1e4
        cloud, hidden = real_clouds(cloudy)
        label = [path.stem, f"{cloud.mean():.0%}"]
        if not cloud.any():
            yield "| " + " | ".join([*label, "no cloud found"]) + " | - | - | - | - | - | - |"
            continue
        scene = Hidden(read_pixels(folder / "s1" / path.name), cloudy, hidden)
        try:
            rows = {name: score(method, scene, truth, cloud) for name, method in METHODS.items() if not hidden.all() or name == "scenefit"}
        except TooFewClearPixelsError:
            yield "| " + " | ".join([*label, "refused: too few clear pixels"]) + " | - | - | - | - | - | - |"
            continue
        for name, one in rows.items():
            pooled[name].append(one)
            yield row_of([*label, name], [one])
    for name, scores in pooled.items():
        yield row_of([f"mean of {len(scores)}", "", name], scores)


def real_clouds(optical: FloatArray) -> tuple[BoolArray, BoolArray]:
    """Clouds by s2cloudless on 10 m pixels; and geocr's default mask, with shadows and a rim of 60 m, which is what is hidden."""
    detector = S2CloudlessDetector()
    valid = np.ones(optical.shape[1:], bool)
    cloud = detector.outline(detector.score(dict(zip(S2_BANDS, optical, strict=True)), valid), valid, 10.0)
    height, width = cloud.shape
    profile = {"driver": "GTiff", "count": len(optical), "height": height, "width": width, "dtype": "uint16"}
    profile |= {"crs": CRS.from_epsg(32633), "transform": Affine(10, 0, 499_980, 0, -10, 5_300_040)}
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "cloudy.tif")
        with rasterio.open(path, "w", **profile) as dataset:  # the triplets have no georeference, and a scene needs one
            dataset.write(np.round(optical * 1e4).astype(np.uint16))
        mask = make_cloud_mask(open_scene(path), "s2cloudless")
        return cloud, mask.read(Window(row=0, col=0, height=height, width=width)) | cloud


def main() -> None:
    """Print the tables, and write them to a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="Markdown file to write")
    parser.add_argument("--only-real", action="store_true", help="skip the synthetic clouds")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1], help="of the synthetic clouds")
    arguments = parser.parse_args()
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy", "scipy", "rasterio"))
    warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)  # the triplets carry none, and need none here
    lines: list[str] = []

    def say(line: str) -> None:
        print(line, flush=True)
        lines.append(line)

    say(f"Machine: {platform.machine()}, {os.cpu_count()} cores, torch on {torch.get_num_threads()}; Python {platform.python_version()},")
    say(f"geocr {__version__}, {versions}. Synthetic clouds of seeds {', '.join(map(str, arguments.seeds))}; figures are means over them.")
    say("Errors are over hidden pixels and all 13 bands; seconds are fit and fill together. Script: `benchmarks/scenefit_quality.py`.")
    say("")
    if not arguments.only_real:
        say("### Clear scenes under synthetic clouds")
        say("")
        for line in synthetic_part(arguments.seeds):
            say(line)
        say("")
    say("### Real clouds, against a clear image of another date")
    say("")
    for line in real_part():
        say(line)
    if arguments.out is not None:
        arguments.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
