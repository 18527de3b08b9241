"""`geocr train`: a model from a recipe, a file of settings, or scenes."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geocr.cli._render import AsJson, Display, Quiet, Verbose, print_error, print_facts, print_json, size_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from geocr.training.config import TrainConfig
    from geocr.training.run import TrainResult

STOPPED = 130
"""Exit code of a run that a signal stopped."""


def command(
    config: Annotated[
        Path | None, typer.Argument(metavar="CONFIG.yaml", help="Settings; those that --dry-run prints, for example.")
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="Settings of a published method, by name.")] = None,
    data: Annotated[str | None, typer.Option(metavar="NAME=PATH", help="Data set and its folder; geocr data list shows the names.")] = None,
    s1: Annotated[
        list[str] | None, typer.Option(help="Pattern of Sentinel-1 scenes, quoted; may be repeated. With --s2 instead of --data.")
    ] = None,
    s2: Annotated[list[str] | None, typer.Option(help="Pattern of Sentinel-2 scenes; clouds are painted where they are clear.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="One setting, for example optimizer.lr=5e-4; may be repeated.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder of the run. (default: runs/ and the recipe's or file's name)")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Go on with the run in this folder, from the very step where it stopped.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Begin again in a folder that holds a run.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print settings, sizes and an estimate; train nothing.")] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Train a model. Alone, list the recipes.

    Leaves best.safetensors and last.safetensors, which predict-scene takes with --checkpoint, beside settings, log, pictures and what --resume needs.

    [bold]Examples[/bold]

      geocr train

      geocr train --recipe sscr --data sen12mscr=SEN12MSCR --set optimizer.lr=5e-4

      geocr train --recipe uncrtaints_mono --data synthetic=. --dry-run > settings.yaml

      geocr train --s1 'S1/*.tif' --s2 'S2/*.tif' --set run.epochs=5 -o runs/mine

      geocr train --resume runs/mine
    """
    if all(value is None for value in (config, recipe, data, s1, s2, resume)):
        _list_recipes(as_json=as_json)
        return
    chosen, folder = _resolve(config, recipe, data, s1=s1, s2=s2, settings=settings, out=out, resume=resume)
    if dry_run:
        _print_estimate(chosen, folder, as_json=as_json)
        return
    result = _train(chosen, folder, resume=resume is not None, overwrite=overwrite, quiet=quiet or as_json)
    if as_json:
        print_json(_report(result))
    elif not quiet:
        print_facts(
            "trained" if result.finished else "stopped", [(key, str(value)) for key, value in _report(result).items() if key != "finished"]
        )
    if not result.finished:
        print_error(f"stopped behind step {result.steps}; geocr train --resume {result.folder} goes on from there")
        raise typer.Exit(STOPPED)


def _list_recipes(*, as_json: bool) -> None:
    from geocr.training.recipe import recipe_lines

    lines = recipe_lines()
    if as_json:
        print_json(dict(lines))
        return
    print_facts("recipes", list(lines.items()))


def _resolve(
    config: Path | None,
    recipe: str | None,
    data: str | None,
    *,
    s1: list[str] | None,
    s2: list[str] | None,
    settings: list[str] | None,
    out: Path | None,
    resume: Path | None,
) -> "tuple[TrainConfig, Path]":
    """Settings from wherever they were given, and the folder of the run."""
    from geocr.core.errors import InputError
    from geocr.training.config import TrainConfig, read_yaml
    from geocr.training.overrides import apply_overrides
    from geocr.training.recipe import read_recipe
    from geocr.training.run import CONFIG_FILE
    from geocr.training.scene_model import fit_to_scenes

    given = [name for name, value in (("CONFIG.yaml", config), ("--recipe", recipe), ("--resume", resume)) if value is not None]
    if len(given) > 1:
        raise InputError(f"settings come from one place; got {' and '.join(given)}; change single ones with --set")
    if bool(s1) != bool(s2):
        raise InputError("scenes are given by both --s1 and --s2; got one of them")
    if data is not None and s1:
        raise InputError("a model is trained on a data set (--data) or on scenes (--s1 and --s2); got both")
    if not given and not s1:
        raise InputError("--data needs to know what to train; add --recipe NAME or CONFIG.yaml (geocr train lists the recipes)")
    source = resume / CONFIG_FILE if resume is not None else config
    if resume is not None and not (resume / CONFIG_FILE).exists():
        raise InputError(
            f"--resume takes the folder of a run, with its {CONFIG_FILE}; there is no run in {resume}; begin one with --recipe or CONFIG.yaml"
        )
    base: Mapping[str, Any] = _mapping(read_yaml(source), source) if source is not None else read_recipe(recipe or "scenes")
    pairs = [*_data_pairs(data, s1, s2), *(settings or [])]
    chosen = TrainConfig.from_dict(apply_overrides(base, pairs))
    name = recipe or (config.stem if config is not None else "scenes")
    return fit_to_scenes(chosen), out or resume or Path("runs") / name


def _mapping(found: Any, path: Path) -> "Mapping[str, Any]":  # noqa: ANN401 - YAML as it came
    from geocr.core.errors import InputError

    if not isinstance(found, dict):
        raise InputError(f"settings are a YAML mapping with keys such as model and data; {path} holds {type(found).__name__}")
    return found


def _data_pairs(data: str | None, s1: list[str] | None, s2: list[str] | None) -> list[str]:
    import json

    from geocr.core.errors import InputError

    if data is None:
        return [] if not s1 else [f"data.s1={json.dumps(s1)}", f"data.s2={json.dumps(s2)}"]
    name, equals, path = data.partition("=")
    if not (name and equals and path):
        raise InputError(f"--data takes NAME=PATH, for example --data sen12mscr=/data/SEN12MSCR; got {data!r}")
    return [f"data.dataset={json.dumps(name)}", f"data.root={json.dumps(path)}"]


def _train(config: "TrainConfig", folder: Path, *, resume: bool, overwrite: bool, quiet: bool) -> "TrainResult":
    from geocr.training.run import train

    with Display(quiet=quiet) as display:
        done = [0]

        def on_step(step: int, total: int, losses: "Mapping[str, float]") -> None:
            if not done[0]:
                display.stage(f"training {config.model.name}", total)
            display.advance(step - done[0])
            done[0] = step
            del losses

        try:
            return train(config, folder, resume=resume, overwrite=overwrite, on_step=on_step, note=display.note)
        except KeyboardInterrupt:  # before the first step, or a second time
            print_error(f"stopped at once; geocr train --resume {folder} goes on from its last resume file, if there is one")
            raise typer.Exit(STOPPED) from None


def _report(result: "TrainResult") -> dict[str, Any]:
    return {
        "folder": str(result.folder),
        "best": str(result.best) if result.best.exists() else None,
        "last": str(result.last) if result.last.exists() else None,
        "steps": result.steps,
        "best_step": result.best_step,
        "finished": result.finished,
        **{f"val_{name}": value if value == value else None for name, value in result.figures.items()},  # noqa: PLR0124 - NaN is no JSON
    }


def _print_estimate(config: "TrainConfig", folder: Path, *, as_json: bool) -> None:
    from geocr.training.estimate import estimate

    found = estimate(config)
    if as_json:
        print_json({"config": config.to_dict(), "folder": str(folder), "estimate": found.to_dict()})
        return
    typer.echo(config.to_yaml())  # alone on standard output: a file of it is a configuration
    print_facts(
        "sizes",
        [
            ("folder", str(folder)),
            ("parameters", f"{found.parameters:,}, of which {found.trained:,} are trained"),
            (
                "samples",
                f"{found.train_samples:,} an epoch, {found.val_samples:,} for validation, {found.image_px[0]} x {found.image_px[1]} px",
            ),
            ("steps", f"{found.steps:,}; {found.steps_per_epoch:,.1f} an epoch"),
            ("work", f"{found.forward_gflop:,.2f} Gflop for one sample's forward pass"),
        ],
        err=True,
    )
    print_facts(
        "estimate",
        [
            ("memory", f"about {size_of(found.memory_bytes)} for weights, gradients, moments and a batch"),
            ("time", f"about {_duration(found.hours)} on {found.device}, without reading and validation"),
        ],
        err=True,
    )


def _duration(hours: float) -> str:
    """Hours for people: `0.4 s`, `12 min`, `3.5 h`."""
    if hours >= 1:
        return f"{hours:,.1f} h"
    return f"{hours * 60:.0f} min" if hours * 60 >= 1 else f"{hours * 3600:.1f} s"
