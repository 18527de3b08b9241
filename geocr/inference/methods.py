"""Choosing a method by the settings, and refusing settings that mean nothing to it."""

from math import prod

from geocr.config import PredictConfig
from geocr.core.errors import InputError
from geocr.inference.checkpoint_method import allowances_of, checkpoint_method
from geocr.inference.fit import Allowances
from geocr.inference.inputs import OtherDate
from geocr.inference.method import Method
from geocr.inference.own_method import OwnMethod
from geocr.inference.reconstructor import Reconstructor
from geocr.inference.scenefit_method import SceneFitMethod
from geocr.inference.temporal_method import TemporalMethod
from geocr.io.scene import Scene


def refuse_model_settings(config: PredictConfig) -> None:
    """Refuse settings that mean nothing without a trained model.

    Raises:
        InputError: When there are some.
    """
    if (config.tile_px, config.overlap_px, config.batch) != (None, None, None) or config.precision != "auto" or config.compiled:
        raise InputError(
            "--tile, --overlap, --batch, --precision and --compile are settings of a trained model; without --checkpoint leave them out"
        )
    if allowances_of(config) != Allowances():
        raise InputError(
            "--b10, --any-level, --output-bands, --stretch and --s1-stretch fit a scene to a trained model; without --checkpoint leave them out"
        )
    if config.mode == "full":
        raise InputError(
            "--mode full rewrites every pixel with a trained model; the default method fills clouds only: add --checkpoint FILE or leave --mode out"
        )


def choose_method(
    config: PredictConfig, scene: Scene, own: Reconstructor | None = None, others: tuple[OtherDate, ...] = ()
) -> tuple[Method, Scene]:
    """The method that the settings ask for, and the scene as it reads it (without Sentinel-1 where a model uses none).

    Raises:
        CheckpointError: When a checkpoint cannot be read or does not fit the scene.
        InputError: When uncertainty is asked of a method that has none.
    """
    method: Method
    if own is not None:
        method = OwnMethod(reconstructor=own, batch=config.batch or 1)
    elif config.checkpoint is None:
        refuse_model_settings(config)
        if config.method == "temporal" and not others:
            raise InputError("--method temporal fills from other dates, and there is none; name some with --reference S2[,S1]")
        if others and config.method != "scenefit":
            method = TemporalMethod(seed=config.seed, others=others, scene_px=prod(scene.grid.shape))
        else:
            method = SceneFitMethod(seed=config.seed, scene_px=prod(scene.grid.shape))
    else:
        if config.method is not None:
            raise InputError(f"--checkpoint implies its own method, got --method {config.method} with it; leave one of them out")
        method, scene = checkpoint_method(config.checkpoint, config, scene, 1 + len(others))
    if config.uncertainty and not method.has_std:
        raise InputError(
            f"--uncertainty needs a method with a standard deviation, and {method.name} has none; leave --uncertainty out, "
            f"or use the default method (no --checkpoint) or a model with a variance head"
        )
    return method, scene
