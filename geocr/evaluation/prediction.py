"""What every method under evaluation is: samples in, predictions out, in the units of the samples."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from torch import Tensor

from geocr.data.sample import FusionSample, SampleMeta
from geocr.radiometry.normalize import DISPLAY_RANGE


class Prediction(NamedTuple):
    """A method's answer to one sample."""

    mean: Tensor
    """`(C, H, W)` float32 in the sample's optical unit, bands as the method's `bands_for`. NaN where it knows nothing."""
    variance: Tensor | None = None
    """`(C, H, W)` float32, 0 or more, in the square of that unit; None where the method has none."""
    fallback: str | None = None
    """The simpler method that answered because this one could not (a patch without a clear pixel); None as a rule."""


class Predictor(Protocol):
    """A method to evaluate."""

    @property
    def name(self) -> str:
        """Its name in tables; unique in a run."""
        ...

    def bands_for(self, meta: SampleMeta) -> tuple[str, ...]:
        """Canonical names of the bands it predicts for such samples, in order."""
        ...

    def require_fit(self, sample: FusionSample) -> None:
        """Refuse a sample that it cannot take.

        Raises:
            CheckpointError: When a model was trained for other data.
            InputError: When the sample lacks what the method needs.
        """
        ...

    def predict(self, samples: Sequence[FusionSample]) -> list[dict[str, Prediction]]:
        """Predictions for samples of one shape, in order: a name of the method, or of a variant of it, to each."""
        ...

    def describe(self) -> dict[str, Any]:
        """JSON-able facts."""
        ...


def measured_scale(meta: SampleMeta) -> float:
    """What an optical value is divided by before it is measured: 1 for reflectance, 255 for pictures, so that white is 1."""
    return DISPLAY_RANGE[1] if meta["optical_unit"] == "display" else 1.0
