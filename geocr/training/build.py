"""From names in settings to objects: the one place where training looks into the tables."""

from fnmatch import fnmatchcase
from typing import Any

import torch
from lightning.fabric import Fabric

from geocr.checkpoint import load_checkpoint
from geocr.core.errors import CheckpointError, GeocrError, InputError
from geocr.losses import ADVERSARIAL_LOSSES
from geocr.models import MODELS
from geocr.models.adversarial import AdversarialModel
from geocr.models.base import FusionModel
from geocr.training.adversarial import AdversarialTask
from geocr.training.config import AdversarialConfig, ModelConfig, RunConfig, TrainConfig
from geocr.training.draws import seed_of
from geocr.training.image_pool import ImagePool
from geocr.training.objective import Objective, build_objective
from geocr.training.optimizers import build_optimizer
from geocr.training.supervised import SupervisedTask
from geocr.training.task import Task


def choose_device(run: RunConfig) -> str:
    """`cuda` or `cpu`, as asked for or as there is.

    Raises:
        InputError: When more GPUs are asked for than there are.
    """
    device = ("cuda" if torch.cuda.is_available() else "cpu") if run.device == "auto" else run.device
    there = torch.cuda.device_count()
    if device == "cuda" and there < run.devices:
        raise InputError(
            f"run.device={run.device} with run.devices={run.devices} asks for as many GPUs; this machine has {there}; use run.device=cpu or fewer"
        )
    return device


def build_model(config: ModelConfig, *, seed: int, device: str = "cpu") -> FusionModel:
    """A model with weights from the seed or from a checkpoint, and its frozen parts.

    Args:
        config: Which.
        seed: Of the weights.
        device: `meta` builds without memory and reads no checkpoint.

    Raises:
        InputError: When the arguments do not fit, or a pattern freezes nothing.
        CheckpointError: When the checkpoint is of another model.
        RegistryError: When there is no such model.
    """
    kind = MODELS.load(config.name)
    with torch.random.fork_rng(devices=[]), torch.device(device):
        torch.default_generator.manual_seed(seed_of(seed, "weights"))
        try:
            model: FusionModel = kind(**config.args)
        except (GeocrError, TypeError) as error:
            raise InputError(f"model.args must be arguments of {config.name}; {error}") from error
    if not any(True for _ in model.parameters()):
        raise InputError(f"{config.name} is a rule without weights: there is nothing to train")
    if config.start is not None and device != "meta":
        _start_from(model, config)
    _freeze(model, config)
    return model


def _start_from(model: FusionModel, config: ModelConfig) -> None:
    checkpoint = load_checkpoint(str(config.start))
    if checkpoint.header.model != config.name:
        raise CheckpointError(
            f"fine-tuning starts from a checkpoint of its own model, {config.name}; {config.start} is of {checkpoint.header.model}"
        )
    try:
        model.load_state_dict(checkpoint.model.state_dict())
    except RuntimeError as error:
        raise CheckpointError(
            f"fine-tuning needs the model's own sizes; those of {config.start} differ: {error}. Its arguments are {checkpoint.header.kwargs}"
        ) from error


def _freeze(model: FusionModel, config: ModelConfig) -> None:
    names = [name for name, _ in model.named_parameters()]
    for pattern in config.freeze:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise InputError(f"model.freeze names parameters, for example {names[0]}; {pattern!r} matches none of {len(names)}")
    for name, parameter in model.named_parameters():
        if any(fnmatchcase(name, pattern) for pattern in config.freeze):
            parameter.requires_grad = False


def build_task(config: TrainConfig, model: FusionModel, fabric: Fabric) -> Task:
    """The task of a configuration, on its devices.

    Raises:
        InputError: When parts do not fit together.
        RegistryError: When a loss does not exist.
    """
    objective = build_objective(model, config.loss, config.model_terms)
    optimizer = build_optimizer(config.optimizer, model.parameters())
    if config.adversarial is None:
        return SupervisedTask(fabric, objective, optimizer, clip_norm=config.run.clip_norm)
    return _adversarial(config, config.adversarial, objective, optimizer, fabric)


def _adversarial(config: TrainConfig, settings: AdversarialConfig, objective: Objective, optimizer: Any, fabric: Fabric) -> AdversarialTask:  # noqa: ANN401 - torch's optimiser
    generator = objective.model
    if not isinstance(generator, AdversarialModel):
        raise InputError(f"{config.model.name} is not trained against a discriminator; drop `adversarial`")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed_of(config.run.seed, "discriminator"))
        discriminator = generator.discriminator(settings.kind, width=settings.width, layers=settings.layers)
    return AdversarialTask(
        fabric,
        objective,
        optimizer,
        discriminator=discriminator,
        discriminator_optimizer=build_optimizer(settings.optimizer, discriminator.parameters()),
        gan=ADVERSARIAL_LOSSES.load(settings.loss)(),
        weight=settings.weight,
        pool=ImagePool(settings.pool),
        first=settings.first,
        clip_norm=config.run.clip_norm,
    )
