"""`TrainConfig`: all that decides a training run, frozen, strict about its keys, YAML in and out."""

import os
from pathlib import Path
from types import NoneType
from typing import Any, Literal, Self, TypeAlias, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from geocr.core.errors import InputError
from geocr.core.spelling import likely

Source: TypeAlias = Literal["mean", "simulated"]
"""Which image of the model's answer a loss looks at; see `geocr.models.base.FusionOutput`."""
Turn: TypeAlias = Literal["generator", "discriminator"]
"""Whose step comes first."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelConfig(_Part):
    """What is trained, and from which weights."""

    name: str = Field(description="Name in the table of models")
    args: dict[str, Any] = Field({}, description="Arguments of the model, without the normaliser")
    start: str | None = Field(None, description="Checkpoint (.safetensors) to start from; None starts from random weights")
    freeze: tuple[str, ...] = Field((), description="Patterns of parameter names that keep their values, for example trunk.*")


class CloudsConfig(_Part):
    """Clouds painted over clear ground, for scenes without a clear partner."""

    cover: tuple[float, float] = Field((0.1, 0.7), description="Least and greatest share of a patch under painted cloud")
    size_m: tuple[float, float] = Field((300.0, 3000.0), description="Least and greatest distance between clouds, metres")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for name, low, high in (("cover", 0.0, 1.0), ("size_m", 1.0, 1e6)):
            first, last = getattr(self, name)
            if not low <= first <= last <= high:
                raise InputError(f"data.clouds.{name} is a pair (least, greatest) within {low:g} and {high:g}, got {first}, {last}")
        return self


class DataConfig(_Part):
    """What is trained on: a set of the table under `root`, or scenes by `s1` and `s2`."""

    dataset: str = Field("scenes", description="Name in the table of data sets")
    root: str | None = Field(None, description="Folder of the set")
    s1: tuple[str, ...] = Field((), description="Patterns of Sentinel-1 rasters; with s2 instead of root")
    s2: tuple[str, ...] = Field((), description="Patterns of Sentinel-2 rasters")
    options: dict[str, Any] = Field({}, description="Further arguments of the data set or of the scenes' readers")
    cloud_mask: str | None = Field(None, description="Detector of clouds where the set has no masks: auto, s2cloudless or rule")
    batch: int = Field(8, ge=1, description="Samples in a batch, on each device")
    workers: int = Field(0, ge=0, description="Processes that read; 0 reads in the training process")
    crop_px: int | None = Field(
        None, ge=1, description="Side of the window cut from each sample, or of a patch of scenes; None takes whole samples"
    )
    augment: bool = Field(True, description="Flip and turn training samples at random")
    on_error: Literal["stop", "skip"] = Field("stop", description="At a training sample that cannot be read")
    holdout: float | None = Field(
        None, gt=0, lt=1, description="Share of the training regions kept for validation, in a set without such a split"
    )
    max_val: int | None = Field(None, ge=1, description="Validate on so many samples, spread evenly; None takes all")
    patches: int = Field(1000, ge=1, description="Patches of scenes in an epoch")
    block_px: int = Field(1280, ge=1, description="Side of the blocks by which scenes are split")
    gap_px: int = Field(64, ge=0, description="Least distance between training and validation patches of scenes")
    max_days: float | None = Field(
        5.0, ge=0, description="Greatest time between Sentinel-1 and Sentinel-2 scenes; None pairs whatever overlaps"
    )
    max_cloud: float = Field(0.5, ge=0, le=1, description="Greatest share of real cloud in a patch of scenes")
    clouds: CloudsConfig = CloudsConfig()


class TermConfig(_Part):
    """One term of the loss."""

    loss: str = Field(description="Name in the table of losses")
    weight: float = Field(1.0, description="Its factor")
    args: dict[str, Any] = Field({}, description="Its arguments")
    of: Source = Field("mean", description="Which image of the answer it looks at")


class OptimizerConfig(_Part):
    """What moves the weights."""

    name: Literal["adam", "adamw", "nadam", "sgd"] = "adam"
    lr: float = Field(1e-3, gt=0, description="Learning rate")
    args: dict[str, Any] = Field({}, description="Further arguments of torch's optimiser, for example betas")


class ScheduleConfig(_Part):
    """How the learning rate changes: a function of the epochs done, so that nothing of it has to be stored."""

    name: Literal["constant", "exponential", "step", "linear", "cosine"] = "constant"
    gamma: float = Field(1.0, gt=0, description="Factor per epoch (exponential), or per `every` epochs (step)")
    every: int = Field(1, ge=1, description="Epochs between steps")
    start: float = Field(0.0, ge=0, description="Epochs at the full rate before it falls (linear, cosine)")
    warmup: float = Field(0.0, ge=0, description="Epochs over which the rate first rises from 0")


class AdversarialConfig(_Part):
    """Training against a discriminator."""

    loss: str = Field("lsgan", description="Name in the table of adversarial losses")
    weight: float = Field(1.0, description="Factor of the generator's term")
    kind: Literal["patch", "pixel"] = "patch"
    width: int = Field(64, ge=1, description="Channels behind the discriminator's first convolution")
    layers: int = Field(3, ge=1, description="Its strided convolutions")
    pool: int = Field(0, ge=0, description="Past images from which the discriminator sees some; 0 shows it the newest only")
    first: Turn = Field("discriminator", description="Whose step comes first in a batch")
    optimizer: OptimizerConfig = Field(OptimizerConfig(), description="Of the discriminator")


class RunConfig(_Part):
    """How long, where, and what is kept."""

    epochs: int = Field(20, ge=1, description="Passes over the training samples")
    max_steps: int | None = Field(None, ge=1, description="Stop after so many steps; the schedule still counts in epochs")
    accumulate: int = Field(1, ge=1, description="Batches that make one step")
    clip_norm: float | None = Field(None, gt=0, description="Greatest norm of a step's gradient")
    ema: float | None = Field(None, gt=0, lt=1, description="Decay of the moving average of the weights, which is then validated and saved")
    device: Literal["auto", "cpu", "cuda"] = "auto"
    devices: int = Field(1, ge=1, description="How many of them; each takes batches of its own")
    precision: Literal["fp32", "bf16"] = Field("fp32", description="Of the layers; losses are always computed in float32")
    deterministic: bool = Field(True, description="Choose deterministic kernels where there are some")
    seed: int = Field(0, ge=0, description="Of weights, order, augmentations and dropout")
    monitor: str = Field("loss", description="Validation figure that says which weights are best")
    mode: Literal["min", "max"] = "min"
    patience: int | None = Field(None, ge=1, description="Stop after so many validations without a better figure")
    validate_every: int | None = Field(None, ge=1, description="Steps between validations; None validates after each epoch")
    save_every: int | None = Field(None, ge=1, description="Steps between resume files, besides those at validations")
    log_every: int = Field(1, ge=1, description="Steps between lines of the log")
    pictures: int = Field(4, ge=0, description="Validation samples drawn at each validation")
    tensorboard: bool = Field(True, description="Write TensorBoard's files")
    wandb: str | None = Field(None, description="Project of Weights & Biases; needs the package wandb")


class TrainConfig(_Part):
    """A training run."""

    about: str = Field("", description="One line, for the list of recipes")
    model: ModelConfig
    data: DataConfig = DataConfig()
    loss: dict[str, TermConfig | None] = Field(
        {"l1": TermConfig(loss="l1")}, description="Terms of the loss by a name of their own; null drops one"
    )
    model_terms: dict[str, float] = Field({}, description="Weights of terms that the model itself defines")
    adversarial: AdversarialConfig | None = None
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    metrics: str = Field("geocr", description="Preset of metrics for validation")
    run: RunConfig = RunConfig()

    @model_validator(mode="after")
    def _has_loss(self) -> Self:
        if not any(self.loss.values()):
            raise InputError("a training run needs at least one term under `loss`; give for example loss.l1.loss=l1")
        return self

    @classmethod
    def from_dict(cls, stored: Any, *, source: str = "the configuration") -> Self:  # noqa: ANN401 - whatever YAML held
        """Check a configuration as YAML or JSON gives it.

        Raises:
            InputError: With all that is wrong, by the keys' names.
        """
        try:
            return cls.model_validate(stored)
        except ValidationError as error:
            raise InputError(f"{source} must be valid; {_explain(error, cls)}") from error

    @classmethod
    def from_yaml(cls, path: str | os.PathLike[str]) -> Self:
        """Read a configuration from a YAML file.

        Raises:
            InputError: When the file cannot be read, is no YAML, or is no valid configuration.
        """
        return cls.from_dict(read_yaml(path), source=str(path))

    def to_dict(self) -> dict[str, Any]:
        """All settings, resolved, as JSON keeps them."""
        return self.model_dump(mode="json")

    def to_yaml(self) -> str:
        """The same as YAML; `from_yaml` reads it back to an equal configuration."""
        text: str = yaml.safe_dump(self.to_dict(), sort_keys=False, allow_unicode=True, width=120)
        return text


def read_yaml(path: str | os.PathLike[str]) -> Any:  # noqa: ANN401 - whatever the file holds
    """What a YAML file holds.

    Raises:
        InputError: When it cannot be read or is no YAML.
    """
    try:
        return yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"a configuration must be a readable YAML file; there is nothing at {path}; geocr train lists the recipes"
        ) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"a configuration must be a readable YAML file; {path} is not: {error}") from error


def _explain(error: ValidationError, root: type[BaseModel]) -> str:
    return "; ".join(_complaint(item["type"], item["loc"], item["msg"], item["input"], root)[:400] for item in error.errors())


def _complaint(kind: str, place: tuple[int | str, ...], message: str, given: Any, root: type[BaseModel]) -> str:  # noqa: ANN401 - as YAML gave it
    path = ".".join(map(str, place)) or "as a whole"
    if kind != "extra_forbidden":
        return f"{path}: {message}, got {given!r}"
    known = _settings_at(root, place[:-1])
    where = ".".join(map(str, place[:-1])) or "a configuration"
    return f"{path} is no setting; {where} has {', '.join(known)}{likely(str(place[-1]), known)}"


def _settings_at(root: type[BaseModel], place: tuple[int | str, ...]) -> tuple[str, ...]:
    """Names of the settings at a place that pydantic was able to reach."""
    part: Any = root
    for key in place:
        part = get_args(part)[1] if get_origin(part) is dict else part.model_fields[str(key)].annotation
        if NoneType in get_args(part):  # what may be left out
            part = next(kind for kind in get_args(part) if kind is not NoneType)
    return tuple(part.model_fields)
