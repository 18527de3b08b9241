"""What is known about a method whose published weights can be imported, and what one of its files asks for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from torch import Tensor

from geocr.importing.keys import KeyTable
from geocr.models.spec import TrainedRadiometry

Settings: TypeAlias = Mapping[str, Any]
"""A settings file as JSON holds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportPlan:
    """One file, read: which model it belongs to and how its names translate."""

    model: str
    """Name in the table of models."""
    kwargs: dict[str, Any]
    """JSON-able arguments of the model, without the normaliser: a method's own units are the defaults of its model."""
    weights: dict[str, Tensor]
    """Tensors by the names of the published code."""
    table: KeyTable
    """Those names in geocr's."""
    settings: dict[str, Any] = field(default_factory=dict)
    """What was taken from the settings file, JSON-able."""
    notes: tuple[str, ...] = ()
    """What the user should know about this file, a sentence each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportMethod:
    """A method of the table."""

    title: str
    """Whose weights these are, one line."""
    files: str
    """What FILE must be."""
    config: str | None
    """What the settings file must be, or None for a method without one."""
    origin: str
    """Where the code and the links to weights were published."""
    licence: str
    """Licence of the original code; that of weights is told by whoever gives them."""
    units: str
    """Bands, order and scale that the weights expect."""
    plan: Callable[[Path, Settings | None], ImportPlan]
    """Read a file.

    Raises:
        CheckpointError: When the file or the settings are not those of the method.
    """
    sar_radiometry: TrainedRadiometry = "unknown"
    """Of the backscatter that the weights were trained on: sigma0 for SEN12MS-CR and SEN12MS-CR-TS (Schmitt et al., ISPRS Annals IV-2/W7, 2019)."""
