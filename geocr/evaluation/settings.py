"""All that decides an evaluation apart from data, methods and where it is written."""

from dataclasses import asdict, dataclass
from typing import Any, get_args

from geocr.core.errors import InputError
from geocr.evaluation.mixing import ENSEMBLE_VARIANCES, EnsembleVariance
from geocr.evaluation.views import Tta
from geocr.metrics.presets import find_preset


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateSettings:
    """Settings of `evaluate`.

    Raises:
        InputError: When one is not allowed.
        RegistryError: When there is no such preset.
    """

    preset: str = "geocr"
    """Metrics, a name of `geocr.metrics.presets.PRESETS`."""
    baselines: tuple[str, ...] = ()
    """Names of `geocr.evaluation.baselines.BASELINES` to measure too."""
    ensemble: tuple[EnsembleVariance, ...] = ()
    """Evaluate all checkpoints as one, once with each of these variances; `()`: no ensemble."""
    tta: Tta = "none"
    """Evaluate every checkpoint with test-time views too."""
    reference: str | None = None
    """Name of the method that all others are tested against; None: every pair of checkpoints and ensembles."""
    land_cover: str | None = None
    """A map of classes; scores by class need georeferenced samples."""
    export: bool = False
    """Write every prediction as a COG on its sample's grid."""
    gallery: bool = True
    """Draw best, median and worst samples of every method."""
    limit: int | None = None
    """Only so many samples, spread evenly over the set; None: all."""
    batch: int = 1
    """Samples a network takes together."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda` or `cuda:N`, for networks."""
    workers: int = 0
    """Processes that read samples; 0 reads in this one."""
    resamples: int = 2000
    """Of the bootstrap and of the permutation test, 100 or more."""
    seed: int = 0
    """Of resampling and of fits."""

    def __post_init__(self) -> None:
        """Check each setting by itself."""
        find_preset(self.preset)
        for name, least in (("batch", 1), ("workers", 0), ("resamples", 100), ("seed", 0)):
            if getattr(self, name) < least:
                raise InputError(f"{name} of an evaluation must be {least} or more, got {getattr(self, name)}")
        if self.limit is not None and self.limit < 1:
            raise InputError(f"limit of an evaluation must be 1 or more, got {self.limit}; leave it out for all samples")
        unknown = [kind for kind in self.ensemble if kind not in ENSEMBLE_VARIANCES]
        if unknown or len(set(self.ensemble)) != len(self.ensemble):
            raise InputError(f"an ensemble's variances are {', '.join(ENSEMBLE_VARIANCES)}, each once; got {', '.join(self.ensemble)}")
        if self.tta not in get_args(Tta):
            raise InputError(f"test-time views are {', '.join(get_args(Tta))}; got {self.tta!r}")
        if len(set(self.baselines)) != len(self.baselines):
            raise InputError(f"each baseline is measured once; got {', '.join(self.baselines)}")

    def to_dict(self) -> dict[str, Any]:
        """As JSON keeps it."""
        return asdict(self)
