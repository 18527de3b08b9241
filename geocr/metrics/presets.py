"""The metrics of papers as frozen data: same names, different numbers. docs/metrics.md sets them side by side.

Facts were read in the published code. A preset reproduces the numbers, not the handling of special cases: what differs is
in its `departures`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from geocr.core.errors import RegistryError
from geocr.metrics.base import Reference, Region
from geocr.metrics.preparation import EightBit, Preparation, Reflectance, StretchedEightBit
from geocr.metrics.ssim import SsimWindow


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One number that a preset reports."""

    key: str
    """Its name, with the unit where there is one."""
    metric: str
    """Name in the table `METRICS`."""
    region: Region = "all"
    """Which valid pixels count."""
    reference: Reference = "target"
    """What the prediction is compared with."""
    options: tuple[tuple[str, Any], ...] = ()
    """Further arguments of the metric, by name."""
    band_mean: bool = False
    """Take the mean of the values of single bands, instead of one value of all bands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricPreset:
    """A published set of metrics."""

    name: str
    """Name in the table `PRESETS`."""
    source: str
    """Where it is used."""
    preparation: Preparation
    """What happens to the images first."""
    measures: tuple[Measure, ...]
    """What is reported."""
    departures: str = ""
    """Where the published code does something else, on purpose or by accident."""


def _measure(key: str, metric: str, *, region: Region = "all", reference: Reference = "target", **options: Any) -> Measure:  # noqa: ANN401 - arguments of the metric
    return Measure(key=key, metric=metric, region=region, reference=reference, options=tuple(options.items()))


_REGIONS: tuple[tuple[Region, str], ...] = (("all", ""), ("cloudy", "_cloudy"), ("clear", "_clear"))
_CLIPPED = Preparation(encoding=Reflectance(clip_measured=True))
_ZERO_PADDED = SsimWindow(border="zero")

_GEOCR = MetricPreset(
    name="geocr",
    source="geocr's own: per image, no clipping, SSIM windows that see only valid pixels inside the image",
    preparation=Preparation(),
    measures=(
        *(
            _measure(key + suffix, metric, region=region)
            for region, suffix in _REGIONS
            for key, metric in (("psnr_db", "psnr"), ("ssim", "ssim"), ("sam_deg", "sam"), ("mae", "mae"), ("rmse", "rmse"))
        ),
        _measure("calibration", "calibration"),
    ),
)

_UNCRTAINTS = MetricPreset(
    name="uncrtaints",
    source="UnCRtainTS (Ebel et al. 2023, arXiv:2304.05464) and SSCR, which shares its code",
    preparation=_CLIPPED,
    measures=(
        _measure("rmse", "rmse"),
        _measure("mae", "mae"),
        _measure("psnr_db", "psnr"),
        _measure("sam_deg", "sam", unit="deg"),
        _measure("ssim", "ssim", window=_ZERO_PADDED),
        _measure("calibration", "calibration", sample="image", error="signed_mean", binning="uncrtaints"),
    ),
    departures="a pixel that is the zero vector is left out by itself; there it drops its whole image from the mean of SAM",
)

_SEN12MSCRTS = MetricPreset(
    name="sen12mscrts",
    source="SEN12MS-CR-TS toolbox (Ebel et al. 2022, arXiv:2201.09613); the cloud mask is the union of those of the input dates",
    preparation=_CLIPPED,
    measures=(
        _measure("rmse", "rmse"),
        _measure("rmse_cloudy", "rmse", region="cloudy"),
        _measure("rmse_clear", "rmse", region="clear"),
        _measure("mae", "mae"),
        _measure("mae_cloudy", "mae", region="cloudy"),
        _measure("mae_clear", "mae", region="clear"),
        _measure("psnr_db", "psnr"),
        _measure("sam_rad", "sam", unit="rad"),
        _measure("ssim", "ssim", window=_ZERO_PADDED),
    ),
    departures=_UNCRTAINTS.departures,
)

_GLFCR = MetricPreset(
    name="glfcr",
    source="GLF-CR (Xu et al. 2022, doi:10.1016/j.isprsjprs.2022.08.002)",
    preparation=Preparation(crop_px=128, encoding=Reflectance(clip_measured=True)),
    measures=(
        _measure("psnr_db", "psnr", perfect_db=100.0),
        _measure("ssim", "ssim", window=SsimWindow(border="zero", centre_px=5.5)),
    ),
    departures="the published script prints a value per image and forms no mean; here it is the mean over images",
)

_DSEN2CR = MetricPreset(
    name="dsen2cr",
    source="DSen2-CR (Meraner et al. 2020, doi:10.1016/j.isprsjprs.2020.05.013), code; MAE and RMSE in units of DN / 2000",
    preparation=Preparation(encoding=Reflectance(scale=5.0, clip_measured=True)),
    measures=(
        _measure("mae", "mae", pooling="batch"),
        _measure("rmse", "rmse", pooling="batch"),
        Measure(key="rmse_band_mean", metric="rmse", band_mean=True),
        _measure("psnr_db", "psnr", pooling="batch", peak=5.0),
        _measure("ssim", "ssim", data_range=5.0),
        _measure("sam_rad", "sam", pooling="batch", unit="rad"),
        _measure("mae_cloudy", "mae", region="cloudy", pooling="batch"),
        _measure("mae_clear", "mae", region="clear", reference="cloudy", pooling="batch"),
        _measure("sam_rad_cloudy", "sam", region="cloudy", pooling="batch", unit="rad"),
        _measure("sam_rad_clear", "sam", region="clear", reference="cloudy", pooling="batch", unit="rad"),
    ),
    departures="batches without a pixel of a region are left out of its mean. The published prediction script has batches of one image",
)

_ALLCLEAR = MetricPreset(
    name="allclear",
    source="AllClear (Zhou et al. 2024, arXiv:2410.23891); the valid mask is where the *target* has neither cloud nor shadow",
    preparation=_CLIPPED,
    measures=(
        _measure("mae", "mae"),
        _measure("rmse", "rmse"),
        _measure("psnr_db", "psnr"),
        _measure("sam_deg", "sam", unit="deg"),
        _measure("ssim", "ssim", window=SsimWindow(border="zero", invalid="zero")),
    ),
    departures="SAM is the spectral angle; the published code takes the angle between image columns, which is none",
)

_ATTENTION_GAN = MetricPreset(
    name="attention_gan",
    source="attention GAN (Zhang et al. 2023, doi:10.1016/j.patrec.2023.09.013): RGB pictures of 8 bits; RMSE in levels of 0 to 255",
    preparation=Preparation(bands=("B04", "B03", "B02"), encoding=EightBit()),
    measures=(
        _measure("psnr_db", "psnr", peak=255.0),
        _measure("ssim", "ssim", data_range=255.0, window=SsimWindow(kind="uniform", size_px=7, sample_variance=True)),
        _measure("rmse", "rmse"),
    ),
    departures="how reflectance became pictures was never published: values are taken as pictures of 0 to 1 (`EightBit.white`)",
)

_PMAA = MetricPreset(
    name="pmaa",
    source="PMAA (Zou et al. 2023, arXiv:2303.16565) and CTGAN: RGB of 8 bits, each image stretched by itself",
    preparation=Preparation(bands=("B04", "B03", "B02"), encoding=StretchedEightBit()),
    measures=(
        _measure("psnr_db", "psnr", peak=255.0),
        _measure("ssim", "ssim", data_range=255.0),
    ),
)

PRESETS: Mapping[str, MetricPreset] = MappingProxyType(
    {preset.name: preset for preset in (_GEOCR, _UNCRTAINTS, _SEN12MSCRTS, _GLFCR, _DSEN2CR, _ALLCLEAR, _ATTENTION_GAN, _PMAA)}
)
"""Every preset by name."""


def find_preset(name: str) -> MetricPreset:
    """The preset of a name.

    Raises:
        RegistryError: When there is none.
    """
    if name not in PRESETS:
        raise RegistryError(f"metric presets are {', '.join(PRESETS)}; got {name!r}")
    return PRESETS[name]
