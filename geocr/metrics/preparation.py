"""What happens to images before they are measured: crop, bands, units. Part of a published metric as much as its formula."""

from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from geocr.core.errors import InputError
from geocr.metrics.base import MetricInput


class Encoding(Protocol):
    """How reflectance becomes the numbers that are measured."""

    def encode(self, image: Tensor, valid: Tensor, *, measured: bool) -> Tensor:
        """The image in other units.

        Args:
            image: `(B, C, H, W)` float64; 0 where invalid.
            valid: `(B, 1, H, W)` bool.
            measured: False for predictions, True for what a sensor measured (target and cloudy image).
        """

    @property
    def variance_factor(self) -> float | None:
        """What a variance is multiplied by; None where it means nothing any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reflectance:
    """Reflectance times a number."""

    scale: float = 1.0
    """The number: 5 is DN / 2000."""
    clip_measured: bool = False
    """Clip what was measured to 0 to 1 before, as loaders do that read DN of 0 to 10000."""

    def encode(self, image: Tensor, valid: Tensor, *, measured: bool) -> Tensor:  # noqa: ARG002 - the protocol's
        """Multiply, after clipping where asked."""
        return self.scale * (image.clamp(0, 1) if measured and self.clip_measured else image)

    @property
    def variance_factor(self) -> float | None:
        """The square of the scale."""
        return self.scale**2


@dataclass(frozen=True, slots=True, kw_only=True)
class EightBit:
    """Pictures as files of 8 bits: 0 to `white` becomes 0 to 255, clipped, and cut to whole numbers."""

    white: float = 1.0
    """Value that is shown as 255."""

    def encode(self, image: Tensor, valid: Tensor, *, measured: bool) -> Tensor:  # noqa: ARG002 - the protocol's
        """Whole numbers of 0 to 255; what is less than a thousandth below one counts as it, so that 8-bit pictures come back unchanged."""
        return (image.div(self.white).clamp(0, 1) * 255 + 1e-3).floor()

    @property
    def variance_factor(self) -> float | None:
        """None: levels are not proportional to reflectance."""
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class StretchedEightBit:
    """Each image stretched by itself: DN of 0 to `white_dn`, then from its least to its greatest value to 0 to 255, cut to whole numbers.

    Prediction and target are stretched apart, so that an error of brightness that is the same everywhere vanishes. An image of one
    value becomes 255.
    """

    white_dn: int = 2000
    """DN (reflectance x 10000) above which all is equally white."""

    def encode(self, image: Tensor, valid: Tensor, *, measured: bool) -> Tensor:  # noqa: ARG002 - the protocol's
        """Whole numbers of 0 to 255; least and greatest are over valid pixels and all bands of an image."""
        dn = (image * 1e4 + 0.5).clamp(0, 1e4).floor().clamp(max=self.white_dn)
        least = torch.where(valid, dn, torch.inf).amin(dim=(1, 2, 3), keepdim=True)
        risen = dn - least
        greatest = torch.where(valid, risen, -torch.inf).amax(dim=(1, 2, 3), keepdim=True)
        return torch.where(greatest > 0, (255 * (risen / greatest)).floor(), 255.0)

    @property
    def variance_factor(self) -> float | None:
        """None: levels are not proportional to reflectance."""
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """Crop, then bands, then units."""

    crop_px: int | None = None
    """Side of the central crop; None: the whole image."""
    bands: tuple[str, ...] | None = None
    """Canonical names of the bands that are measured; None: all."""
    encoding: Encoding = Reflectance()
    """Units."""

    def apply(self, given: MetricInput, bands: tuple[str, ...]) -> MetricInput:
        """The batch as it is measured, in float64.

        Args:
            given: In reflectance.
            bands: Names of its bands, among them those to measure.

        Raises:
            InputError: When an image is smaller than the crop, or has another number of bands.
        """
        if given.prediction.shape[1] != len(bands):
            raise InputError(f"Expected {len(bands)} bands ({', '.join(bands)}), got {given.prediction.shape[1]}")
        given = self._cropped(given)
        index = torch.tensor([bands.index(name) for name in self.bands or bands], device=given.prediction.device)
        valid = given.valid

        def encoded(image: Tensor | None, *, measured: bool) -> Tensor | None:
            if image is None:
                return None
            chosen = torch.where(valid, image.index_select(1, index).double(), 0.0)
            return self.encoding.encode(chosen, valid, measured=measured)

        factor = self.encoding.variance_factor
        variance = None if given.variance is None or factor is None else given.variance.index_select(1, index).double() * factor
        prediction, target = encoded(given.prediction, measured=False), encoded(given.target, measured=True)
        return replace(
            given,
            prediction=given.prediction if prediction is None else prediction,
            target=given.target if target is None else target,
            cloudy=encoded(given.cloudy, measured=True),
            variance=variance,
        )

    def _cropped(self, given: MetricInput) -> MetricInput:
        if self.crop_px is None:
            return given
        sides = given.prediction.shape[-2:]
        if min(sides) < self.crop_px:
            raise InputError(
                f"this metric measures the central {self.crop_px} px, got images of {tuple(sides)}; give larger ones, or another preset"
            )
        rows, cols = (slice((side - self.crop_px) // 2, (side - self.crop_px) // 2 + self.crop_px) for side in sides)
        names = ("prediction", "target", "cloudy", "variance", "cloud_mask", "valid_mask")
        images: dict[str, Tensor | None] = {name: getattr(given, name) for name in names}
        return MetricInput(**{name: None if image is None else image[..., rows, cols] for name, image in images.items()})  # type: ignore[arg-type]  # None only where it was
