"""`composite`: one clear image out of a series, by the rules of filling from other dates.

A date of the series is the target: it gives the grid, and keeps every clear pixel of its own. What its clouds hide comes from the other
dates, nearest in time first, and what none of them shows from the scene fit.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from geocr.clouds.selection import mask_files
from geocr.config import PredictConfig
from geocr.core.errors import InputError
from geocr.inference.acquired import acquisition_date
from geocr.inference.inputs import row_windows, strip_rows
from geocr.inference.outputs import OutputPaths, place_outputs, require_writable
from geocr.inference.prepare import Progress, Silent
from geocr.inference.references import Reference, find_clouds, open_date
from geocr.inference.run import PredictResult, files_wanted, plan_run, predict_scene
from geocr.io.raster import GDAL_OPTIONS
from geocr.io.scene import Scene


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A series with its target chosen."""

    target: Reference
    others: tuple[Reference, ...]
    day: date
    """Of the target."""
    note: str
    """Why it is the target."""

    def config(self, config: PredictConfig) -> PredictConfig:
        """The settings with the other dates as references."""
        texts = tuple(",".join(other.files) for other in self.others)
        changes: dict[str, Any] = {"references": texts or None, "method": "temporal" if texts else None}
        return config.model_copy(update=changes)


def choose_target(scenes: Sequence[str], config: PredictConfig, *, day: date | None = None, progress: Progress | None = None) -> Series:
    """The date nearest to `day` (of equally near ones the earlier), or without a day the one with the most clear pixels.

    Args:
        scenes: `S2` or `S2,S1` each, in any order.
        config: How bands, scale and masks are read.
        day: The day that the composite is for.
        progress: Told of the search for the clearest.

    Raises:
        InputError: When there is no scene, one is given twice, a day is not known, or the mask is a file, which is of one date.
        GeocrError: What opening or masking a scene raises.
    """
    _require_detector(config)
    named = [Reference.parse(text) for text in scenes]
    if not named:
        raise InputError("a composite takes at least one Sentinel-2 scene, got none")
    twice = sorted({one.s2 for one in named if sum(other.s2 == one.s2 for other in named) > 1})
    if twice:
        raise InputError(f"each scene of a composite is given once; more than once: {', '.join(twice)}")
    opened = [open_date(one.s2, config) for one in named]
    days = [_day_of(scene, one.s2) for scene, one in zip(opened, named, strict=True)]
    if day is not None:
        chosen = min(range(len(named)), key=lambda place: (abs((days[place] - day).days), days[place], named[place].s2))
        note = f"The target is {Path(named[chosen].s2).name} of {days[chosen]}, the nearest to {day}."
    elif len(named) == 1:
        chosen, note = 0, f"The only scene, {Path(named[0].s2).name} of {days[0]}, is the target."
    else:
        shares = _clear_shares(opened, config, progress or Silent())
        chosen = min(range(len(named)), key=lambda place: (-shares[place], days[place], named[place].s2))
        note = f"The target is {Path(named[chosen].s2).name} of {days[chosen]}: {shares[chosen]:.1%} of its pixels are clear, more than of any other."
    others = tuple(one for place, one in enumerate(named) if place != chosen)
    return Series(target=named[chosen], others=others, day=days[chosen], note=note)


def composite(
    scenes: Sequence[str],
    out: str | Path,
    *,
    day: date | None = None,
    config: PredictConfig | None = None,
    progress: Progress | None = None,
    extras: Callable[[OutputPaths, str], Mapping[str, Path]] | None = None,
    overwrite: bool = False,
    scratch: str | Path | None = None,
    stac: bool = True,
    **settings: Any,  # noqa: ANN401 - those of predict_scene, passed on as they are
) -> PredictResult:
    """Make a clear composite of a series; the products are those of `predict_scene`.

    Args:
        scenes: `S2` or `S2,S1` each, at least one.
        out: Path or `s3://` URL of the result.
        day: The day that the composite is for; None takes the clearest date as target.
        config: Settings, without references and method of its own.
        progress: Told how it goes.
        extras: Writes further files, as of `predict_scene`; it is told the file of the target besides.
        overwrite: Replace existing outputs.
        scratch: As of `predict_scene`.
        stac: Also write a STAC item.
        settings: `threads` and others of `predict_scene`.

    Raises:
        GeocrError: As `choose_target` and `predict_scene`.
    """
    config, progress = config or PredictConfig(), progress or Silent()
    require_places(
        scenes, out, config, overwrite=overwrite, scratch=scratch, stac=stac
    )  # before the search for the clearest reads them all
    with rasterio.Env(**GDAL_OPTIONS):
        series = choose_target(scenes, config, day=day, progress=progress)
    progress.note(series.note)
    result = predict_scene(
        series.target.s1,
        series.target.s2,
        out,
        config=series.config(config),
        progress=progress,
        extras=None if extras is None else partial(_drawn, extras, series.target.s2),
        overwrite=overwrite,
        scratch=scratch,
        stac=stac,
        **settings,
    )
    result.summary["notes"].insert(0, series.note)
    result.summary["target"] = {"name": Path(series.target.s2).name, "day": series.day.isoformat()}
    return result


def plan_composite(
    scenes: Sequence[str],
    *,
    day: date | None = None,
    config: PredictConfig | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """What `composite` would do, as JSON-able facts.

    Raises:
        GeocrError: As `composite`.
    """
    config, progress = config or PredictConfig(), progress or Silent()
    with rasterio.Env(**GDAL_OPTIONS):
        series = choose_target(scenes, config, day=day, progress=progress)
    progress.note(series.note)
    plan = plan_run(series.target.s1, series.target.s2, config=series.config(config), threads=threads, progress=progress)
    return {**plan, "target": {"name": Path(series.target.s2).name, "day": series.day.isoformat()}}


def require_places(
    scenes: Sequence[str], out: str | Path, config: PredictConfig, *, overwrite: bool, scratch: str | Path | None = None, stac: bool = True
) -> None:
    """Raise unless a composite may be written there, whichever scene is its target.

    Raises:
        GeocrError: As `require_writable`.
    """
    paths = place_outputs(out, "", scratch=Path(scratch) if scratch is not None else None)
    named = [Reference.parse(text) for text in scenes]
    filled = config.model_copy(update={"references": tuple(scenes), "method": "temporal"} if len(named) > 1 else {})
    wanted = files_wanted(paths, filled, stac=stac)
    require_writable(paths, wanted=wanted, inputs=[path for date_ in named for path in date_.files], overwrite=overwrite)


def _drawn(extras: Callable[[OutputPaths, str], Mapping[str, Path]], target: str, paths: OutputPaths) -> Mapping[str, Path]:
    return extras(paths, target)


def _require_detector(config: PredictConfig) -> None:
    """A composite looks for clouds on every date; a file tells those of one."""
    files = mask_files(config.cloud_mask)
    if files:
        raise InputError(
            f"the cloud mask of a composite is found on each date, by auto or detectors joined by +, and a file is of one date; got {files[0]}; "
            f"name a detector, or give the mask to geocr predict-scene, which takes the other dates by --reference"
        )


def _day_of(scene: Scene, path: str) -> date:
    day = acquisition_date(scene)
    if day is None:
        raise InputError(
            f"a composite needs the day of each scene, and neither tags nor name tell that of {path}; name the file with it, as S2_20240510.tif"
        )
    return day


def _clear_shares(scenes: Sequence[Scene], config: PredictConfig, progress: Progress) -> list[float]:
    """Share of each scene's pixels that are observed and clear; nodata counts as hidden."""
    progress.stage("looking for the clearest date", len(scenes))
    shares = []
    for scene in scenes:
        mask = find_clouds(scene, config)
        clear = 0
        for window in row_windows(scene.grid.shape, strip_rows(scene)):
            observed = scene.scale.observed(scene.read_dn(window, scene.indexes[:1]))[0]
            clear += int(np.count_nonzero(observed & ~mask.read(window)))
        shares.append(clear / (scene.grid.shape[0] * scene.grid.shape[1]))
        progress.advance()
    return shares
