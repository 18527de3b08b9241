"""The metrics of papers, written once more from their definitions: plain numpy and scipy, one image after the other."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.float64]
RGB = [3, 2, 1]


def ssim_of_maps(x: Array, y: Array, local: Any, *, peak: float, factor: float = 1.0) -> Array:
    """SSIM map of one band, `local` taking means."""
    mx, my = local(x), local(y)
    vx, vy, cov = factor * (local(x * x) - mx * mx), factor * (local(y * y) - my * my), factor * (local(x * y) - mx * my)
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    return np.asarray(((2 * mx * my + c1) * (2 * cov + c2)) / ((mx**2 + my**2 + c1) * (vx + vy + c2)))


def gaussian(centre: float) -> Array:
    weights = np.exp(-((np.arange(11) - centre) ** 2) / (2 * 1.5**2))
    return np.asarray(weights / weights.sum())


def zero_padded(weights: Array) -> Any:
    def local(image: Array) -> Array:
        once = ndimage.correlate1d(image, weights, axis=0, mode="constant")
        return np.asarray(ndimage.correlate1d(once, weights, axis=1, mode="constant"))

    return local


def ssim_zero_padded(x: Array, y: Array, *, centre: float = 5.0) -> float:
    """As pytorch-ssim: zeros beyond the border, mean over all positions and bands."""
    return float(np.mean([ssim_of_maps(a, b, zero_padded(gaussian(centre)), peak=1.0) for a, b in zip(x, y, strict=True)]))


def ssim_inside(x: Array, y: Array, *, peak: float) -> float:
    """As TensorFlow's and scikit-image's with Gaussian weights: positions whose window lies inside."""

    def local(image: Array) -> Array:
        return np.asarray(ndimage.gaussian_filter(image, 1.5, truncate=3.5))

    return float(np.mean([ssim_of_maps(a, b, local, peak=peak)[5:-5, 5:-5] for a, b in zip(x, y, strict=True)]))


def ssim_uniform(x: Array, y: Array) -> float:
    """scikit-image's default: 7 x 7 means, sample variances, 8 bits."""

    def local(image: Array) -> Array:
        return np.asarray(ndimage.uniform_filter(image, 7))

    return float(np.mean([ssim_of_maps(a, b, local, peak=255.0, factor=49 / 48)[3:-3, 3:-3] for a, b in zip(x, y, strict=True)]))


def ssim_masked(x: Array, y: Array, valid: NDArray[np.bool_]) -> float:
    """AllClear's: images times mask, mean over valid positions."""
    local = zero_padded(gaussian(5.0))
    return float(np.mean([ssim_of_maps(a * valid, b * valid, local, peak=1.0)[valid] for a, b in zip(x, y, strict=True)]))


def angles(x: Array, y: Array) -> Array:
    """Radians per pixel; NaN for a zero vector."""
    with np.errstate(invalid="ignore"):
        cosine = (x * y).sum(0) / np.sqrt((x * x).sum(0)) / np.sqrt((y * y).sum(0))
    return np.asarray(np.arccos(np.clip(cosine, -1, 1)))


def rmse(error: Array) -> float:
    return float(np.sqrt(np.mean(error**2)))


def uncrtaints(images: list[dict[str, Any]]) -> dict[str, float]:
    rows = []
    for image in images:
        x, y = image["prediction"], np.clip(image["target"], 0, 1)
        rows.append(
            {
                "rmse": rmse(x - y),
                "mae": np.abs(x - y).mean(),
                "psnr_db": 20 * np.log10(1 / rmse(x - y)),
                "sam_deg": np.nanmean(np.degrees(angles(x, y))),
                "ssim": ssim_zero_padded(x, y),
            }
        )
    return mean_of(rows)


def sen12mscrts(images: list[dict[str, Any]]) -> dict[str, float]:
    found = uncrtaints(images)
    rows = []
    for image in images:
        error, cloud = image["prediction"] - np.clip(image["target"], 0, 1), image["cloud_mask"]
        parts = {"cloudy": error[:, cloud], "clear": error[:, ~cloud]}
        rows.append(
            {f"rmse_{name}": rmse(one) if one.size else np.nan for name, one in parts.items()}
            | {f"mae_{name}": np.abs(one).mean() if one.size else np.nan for name, one in parts.items()}
        )
    found["sam_rad"] = np.radians(found.pop("sam_deg"))
    return found | mean_of(rows)


def glfcr(images: list[dict[str, Any]]) -> dict[str, float]:
    rows = []
    for image in images:
        height, width = image["target"].shape[1:]
        top, left = (height - 128) // 2, (width - 128) // 2
        x, y = (one[:, top : top + 128, left : left + 128] for one in (image["prediction"], np.clip(image["target"], 0, 1)))
        rows.append({"psnr_db": 100.0 if (x == y).all() else 20 * np.log10(1 / rmse(x - y)), "ssim": ssim_zero_padded(x, y, centre=5.5)})
    return mean_of(rows)


def dsen2cr(images: list[dict[str, Any]]) -> dict[str, float]:
    """All images as one batch."""
    x = np.stack([image["prediction"] for image in images]) * 5
    y, cloudy = (np.stack([np.clip(image[name], 0, 1) for image in images]) * 5 for name in ("target", "cloudy"))
    cloud = np.stack([image["cloud_mask"] for image in images]).astype(float)
    sam = np.stack([angles(a, b) for a, b in zip(x, y, strict=True)])
    sam_kept = np.stack([angles(a, b) for a, b in zip(x, cloudy, strict=True)])
    return {
        "mae": np.abs(x - y).mean(),
        "rmse": rmse(x - y),
        "rmse_band_mean": np.sqrt(((x - y) ** 2).mean((2, 3))).mean(),
        "psnr_db": 20 * np.log10(10000 / rmse(2000 * x - 2000 * y)),
        "ssim": float(np.mean([ssim_inside(2000 * a, 2000 * b, peak=10000) for a, b in zip(x, y, strict=True)])),
        "sam_rad": np.nanmean(sam),
        "mae_cloudy": (cloud[:, None] * np.abs(x - y)).sum() / (cloud.sum() * x.shape[1]),
        "mae_clear": ((1 - cloud)[:, None] * np.abs(x - cloudy)).sum() / ((1 - cloud).sum() * x.shape[1]),
        "sam_rad_cloudy": (cloud * sam).sum() / cloud.sum(),
        "sam_rad_clear": ((1 - cloud) * sam_kept).sum() / (1 - cloud).sum(),
    }


def allclear(images: list[dict[str, Any]]) -> dict[str, float]:
    rows = []
    for image in images:
        x, y, valid = image["prediction"], np.clip(image["target"], 0, 1), image["valid_mask"]
        error = (x - y)[:, valid]
        rows.append(
            {
                "mae": np.abs(error).mean(),
                "rmse": rmse(error),
                "psnr_db": 20 * np.log10(1 / rmse(error)),
                "sam_deg": np.degrees(angles(x, y))[valid].mean(),
                "ssim": ssim_masked(x, y, valid),
            }
        )
    return mean_of(rows)


def attention_gan(images: list[dict[str, Any]]) -> dict[str, float]:
    rows = []
    for image in images:
        x, y = (np.trunc(np.clip(image[name][RGB], 0, 1) * 255 + 1e-3) for name in ("prediction", "target"))
        rows.append({"psnr_db": 10 * np.log10(255**2 / np.mean((x - y) ** 2)), "ssim": ssim_uniform(x, y), "rmse": rmse(x - y)})
    return mean_of(rows)


def pmaa(images: list[dict[str, Any]]) -> dict[str, float]:
    rows = []
    for image in images:
        x, y = (stretched(image[name][RGB]) for name in ("prediction", "target"))
        rows.append({"psnr_db": 10 * np.log10(255**2 / np.mean((x - y) ** 2)), "ssim": ssim_inside(x, y, peak=255.0)})
    return mean_of(rows)


def stretched(rgb: Array) -> Array:
    dn = np.clip(np.clip(rgb * 10000 + 0.5, 0, 10000).astype(np.uint16), 0, 2000)
    dn = dn - dn.min()
    return np.asarray((255 * (dn / dn.max())).astype(np.uint8), np.float64) if dn.max() else np.full(rgb.shape, 255.0)


def mean_of(rows: list[dict[str, Any]]) -> dict[str, float]:
    return {key: float(np.nanmean([row[key] for row in rows])) for key in rows[0]}


def calibration_as_published(variances: Array, errors: Array, bins: int = 20) -> tuple[float, float]:
    """UCE and AUCE of UnCRtainTS: its own edges, numbers of samples as weights, empty bins left out."""
    index = np.digitize(variances, np.linspace(variances.min(), variances.max(), num=bins)[1:])
    return uce_and_auce(index, variances, errors, bins)


def calibration_in_equal_bins(variances: Array, errors: Array, bins: int = 20) -> tuple[float, float]:
    inner = np.linspace(variances.min(), variances.max(), num=bins + 1)[1:-1]
    return uce_and_auce(np.digitize(variances, inner), variances, errors, bins)


def uce_and_auce(index: NDArray[np.int64], variances: Array, errors: Array, bins: int) -> tuple[float, float]:
    filled = [one for one in range(bins) if (index == one).any()]
    gaps = np.array([abs(rmse(errors[index == one]) - np.sqrt(variances[index == one].mean())) for one in filled])
    shares = np.array([(index == one).mean() for one in filled])
    return float((gaps * shares).sum()), float(gaps.mean())


def discard(variances: Array, squares: Array) -> Array:
    """Mean squared error of the 5, 10, ... 100 % most certain samples."""
    ordered = squares[np.argsort(variances, kind="stable")]
    return np.array([ordered[: len(ordered) * step // 20].mean() for step in range(1, 21)])
