"""Many scenes: one bad scene never stops the rest, and a stopped batch goes on where it was."""

import json
import os
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import islice, takewhile
from pathlib import Path
from typing import Any, Literal, TypeAlias

from geocr.catalog.collection import COLLECTION_NAME, require_own, write_collection
from geocr.checkpoint import read_header
from geocr.config import PredictConfig
from geocr.core.errors import GeocrError, InputError
from geocr.inference.item import collection_id, item_place
from geocr.inference.methods import refuse_model_settings
from geocr.inference.outputs import as_place
from geocr.inference.pairs import ScenePair
from geocr.inference.run import predict_scene, usable_cores
from geocr.inference.schedule import ONE_GPU, cluster_client, gpus_here, offered_resources, require_scheduler
from geocr.io.failure import require_writable_folder
from geocr.io.remote import is_object, object_head, read_object, write_object

Outcome: TypeAlias = Literal["done", "kept", "failed"]
"""Made now, made by an earlier batch, or not made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneStatus:
    """What became of one scene; also written beside its output as `<out>.status.json`."""

    s2: str
    out: str
    outcome: Outcome
    seconds: float
    error: str | None = None
    """Why it failed, as the user should read it."""
    traceback: str | None = None
    """Where, for errors that nobody foresaw."""
    summary: dict[str, Any] | None = None
    """The run's own summary."""


def status_place(pair: ScenePair) -> Path | str:
    """Where a scene's status is written: beside its result, also in an object store."""
    return as_place(f"{pair.out}.status.json")


def run_batch(
    pairs: Sequence[ScenePair],
    config: PredictConfig,
    *,
    overwrite: bool = False,
    scheduler: str = "threads",
    workers: int | None = None,
    scratch: Path | None = None,
    stac: bool = True,
    on_scene: Callable[[SceneStatus], None] = lambda _: None,
) -> list[SceneStatus]:
    """Remove the clouds of many scenes, and collect what was made of them.

    With `threads` scenes follow each other, each on all cores; else each scene is a task on a Dask worker, with a bounded number of
    tasks waiting.

    Args:
        pairs: The scenes.
        config: Settings for all of them.
        overwrite: Make scenes again that an earlier batch has made.
        scheduler: `threads`, `processes`, or a Dask scheduler's address or .json file.
        workers: Processes to start with `processes`.
        scratch: Folder of each worker for unfinished work on results for an object store; in its temporary folder when None.
        stac: Also write a STAC item beside each result, and a collection of all that this batch and earlier ones into the same
            folder made.
        on_scene: Told of each scene as it ends.

    Returns:
        A status for each scene, in the order of `pairs`.

    Raises:
        CheckpointError: When the checkpoint cannot be read; on a cluster only its workers can tell.
        InputError: When settings are wrong for every scene alike.
        OutputExistsError: When a collection would replace a file that geocr did not write.
    """
    _require_method(config, scheduler)
    collection = collection_place([pair.out for pair in pairs]) if stac else None
    if isinstance(collection, Path) and not _may_be_made(collection.parent):
        collection = None  # results whose only common folder is somebody else's have no collection
    if collection is not None:
        require_own(collection, overwrite=overwrite)
    how = _How(config=config, overwrite=overwrite, scratch=scratch, stac=stac, collection=collection)
    statuses: dict[str, SceneStatus] = {}
    for status in _statuses(pairs, how, scheduler=scheduler, workers=workers):
        statuses[status.out] = status
        on_scene(status)
    items = [item_place(status.out) for status in statuses.values() if status.outcome != "failed"]
    if collection is not None and items:
        write_collection(collection, items, identity=collection_id(collection))
    return [statuses[str(pair.out)] for pair in pairs]


def _require_method(config: PredictConfig, scheduler: str) -> None:
    """What would fail scene after scene stops the batch before its first one, and leaves no status behind."""
    if config.checkpoint is None:
        refuse_model_settings(config)
    elif scheduler in ("threads", "processes"):
        read_header(config.checkpoint)


@dataclass(frozen=True, slots=True, kw_only=True)
class _How:
    """What all scenes of a batch share; picklable, it travels to workers."""

    config: PredictConfig
    overwrite: bool
    scratch: Path | None
    stac: bool
    collection: Path | str | None


def collection_place(outs: Sequence[Path | str]) -> Path | str | None:
    """Where the collection of results goes: the nearest folder that holds all of them, or None where results lie in several stores.

    Args:
        outs: Paths or `s3://` URLs of the results.
    """
    remote = [is_object(out) for out in outs]
    if all(remote) and len({str(out).split("/")[2] for out in outs}) == 1:
        folders = [str(out).rpartition("/")[0].split("/") for out in outs]
        shared = [parts[0] for parts in takewhile(lambda parts: len(set(parts)) == 1, zip(*folders, strict=False))]
        return "/".join([*shared, COLLECTION_NAME])
    if any(remote) or not outs:
        return None
    return Path(os.path.commonpath([Path(out).absolute().parent for out in outs])) / COLLECTION_NAME


def _may_be_made(folder: Path) -> bool:
    """Whether a folder is writable, or can be made where it is missing."""
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    return os.access(there, os.W_OK)


def _statuses(pairs: Sequence[ScenePair], how: _How, *, scheduler: str, workers: int | None) -> Iterator[SceneStatus]:
    config = how.config
    require_scheduler(scheduler, device=config.device)
    if scheduler == "threads":
        for pair in pairs:
            yield process_pair(pair, how, threads=None)
        return
    from distributed import KilledWorker, as_completed  # noqa: PLC0415 - half a second that a batch on this machine need not wait for

    gpus = 0 if config.checkpoint is None else gpus_here(config.device)
    with cluster_client(scheduler, workers or usable_cores(), gpus=gpus) as client:
        on_gpu = config.checkpoint is not None and config.device != "cpu" and bool(set(ONE_GPU) & offered_resources(client))
        left = iter(pairs)
        at_work: dict[Any, ScenePair] = {}

        def submit(pair: ScenePair) -> Any:  # noqa: ANN401 - a distributed Future has no annotations
            future = client.submit(
                process_pair,
                pair,
                how,
                threads=1,
                pure=False,
                resources=dict(ONE_GPU) if on_gpu else None,
            )
            at_work[future] = pair
            return future

        window = max(1, 2 * sum(client.nthreads().values()))
        pool = as_completed([submit(pair) for pair in islice(left, window)])
        for future in pool:
            pair = at_work.pop(future)
            try:
                yield future.result()
            except KilledWorker as error:
                yield _killed(pair, config, times=error.allowed_failures + 1)
            following = next(left, None)
            if following is not None:
                pool.add(submit(following))


def process_pair(pair: ScenePair, how: _How, *, threads: int | None) -> SceneStatus:
    """One scene of a batch; never raises for what is wrong with the scene."""
    config = pair.settings(how.config)
    if not how.overwrite and _is_done(pair, config):
        return SceneStatus(s2=pair.s2, out=str(pair.out), outcome="kept", seconds=0.0)
    if not how.overwrite and (stands := _made_otherwise(pair, config)):
        return SceneStatus(s2=pair.s2, out=str(pair.out), outcome="failed", seconds=0.0, error=stands)
    began = time.monotonic()
    try:
        if isinstance(pair.out, Path):
            require_writable_folder(pair.out.parent)
            pair.out.parent.mkdir(parents=True, exist_ok=True)
        result = predict_scene(
            pair.s1,
            pair.s2,
            pair.out,
            config=config,
            overwrite=how.overwrite,
            threads=threads,
            scratch=how.scratch,
            stac=how.stac,
            collection=how.collection,
        )
        status = SceneStatus(s2=pair.s2, out=str(pair.out), outcome="done", seconds=_since(began), summary=result.summary)
    except GeocrError as error:
        status = SceneStatus(s2=pair.s2, out=str(pair.out), outcome="failed", seconds=_since(began), error=str(error))
    except Exception as error:  # noqa: BLE001 - one bad scene never stops the rest; what nobody foresaw is kept with its traceback
        status = SceneStatus(
            s2=pair.s2, out=str(pair.out), outcome="failed", seconds=_since(began), error=repr(error), traceback=traceback.format_exc()
        )
    _write_status(pair, status, config)
    return status


def _killed(pair: ScenePair, config: PredictConfig, *, times: int) -> SceneStatus:
    """What is said of a scene that its workers did not survive, in their place."""
    error = f"a worker must survive a scene, and {times} died one after the other with this one; mostly memory is short: give workers more"
    status = SceneStatus(s2=pair.s2, out=str(pair.out), outcome="failed", seconds=0.0, error=error)
    _write_status(pair, status, pair.settings(config))
    return status


def _settings(config: PredictConfig) -> dict[str, Any]:
    """What decides a scene's pixels: not the memory that it may take."""
    return config.model_dump(mode="json", exclude={"max_memory"})


def _since(began: float) -> float:
    return round(time.monotonic() - began, 2)


def _is_done(pair: ScenePair, config: PredictConfig) -> bool:
    """Whether an earlier batch made this scene with the same settings."""
    return _made_with(pair) == _settings(config)


def _made_otherwise(pair: ScenePair, config: PredictConfig) -> str | None:
    """Why a scene that an earlier batch made with other settings is left alone, its status too: that batch goes on from it."""
    made = _made_with(pair)
    if made is None:
        return None
    wanted = _settings(config)
    other = [name for name in wanted if name not in made or made[name] != wanted[name]]
    return (
        f"outputs are never overwritten unasked, and an earlier batch made {pair.out} with other settings ({', '.join(other) or 'of another version'});"
        " add --overwrite to make it again, or choose another folder with -o"
    )


def _made_with(pair: ScenePair) -> dict[str, Any] | None:
    """Settings with which an earlier batch made this scene; None where none did, or its result is gone."""
    place = status_place(pair)
    try:
        if isinstance(place, str):
            text = read_object(place)
            there = text is not None and object_head(str(pair.out)) is not None
        else:
            text, there = place.read_bytes(), Path(pair.out).exists()
        status = json.loads(text or b"")
        config = status["config"]
        return config if there and status["outcome"] in ("done", "kept") and isinstance(config, dict) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_status(pair: ScenePair, status: SceneStatus, config: PredictConfig) -> None:
    place = status_place(pair)
    text = json.dumps({**asdict(status), "config": _settings(config)}, indent=2)
    with suppress(OSError, InputError):  # a place that cannot be written is why the scene failed; the status that is returned says so
        if isinstance(place, str):
            write_object(place, text.encode())
            return
        temporary = place.with_name(place.name + ".partial")
        temporary.write_text(text)
        temporary.replace(place)
