"""Lists of scenes: from a CSV file, a pattern of file names, or a STAC item collection."""

import csv
import glob
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geocr.config import PredictConfig
from geocr.core.errors import InputError, OutputWriteError, RasterNotFoundError
from geocr.inference.outputs import as_place, default_output
from geocr.io.remote import is_object

_S1_ASSET = re.compile(r"s1(_\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenePair:
    """One scene to process."""

    s1: str | None
    """Sentinel-1 raster, or several separated by commas, or None to go on without."""
    s2: str
    """Sentinel-2 raster."""
    out: Path | str
    """Where the result goes: a path, or an `s3://` URL."""
    references: tuple[str, ...] = ()
    """Other dates of the place, `S2` or `S2,S1` each."""

    def settings(self, config: PredictConfig) -> PredictConfig:
        """Those of the batch, with this scene's other dates in place of the batch's if it has some."""
        return config.model_copy(update={"references": self.references}) if self.references else config


def read_pairs(source: str, *, folder: Path | str | None, no_s1: bool) -> tuple[ScenePair, ...]:
    """Scenes named by a list or a pattern, in a fixed order.

    Args:
        source: A .csv file with columns `s1` (several separated by commas), `s2` and, if wanted, `out` and
            `references` (other dates, `S2` or `S2,S1` each, separated by semicolons); a .json file with a STAC item
            collection whose items have assets `s1` (further ones `s1_2` and so on) and `s2`; `geocr search` writes both; or a pattern of
            Sentinel-2 files such as `scenes/*_s2.tif`, each with a partner whose name has `s1` for `s2`. Relative paths in a list are relative to the list; URLs are taken as they are.
        folder: Folder or `s3://bucket/prefix` for all results; beside each Sentinel-2 file when None.
        no_s1: Leave Sentinel-1 out.

    Raises:
        InputError: When the list is malformed, empty, or two scenes have the same output.
        OutputWriteError: When there is a file where the folder should be.
        RasterNotFoundError: When there is no such list, or a scene of a pattern has no partner.
    """
    if folder is not None and not is_object(folder) and Path(folder).exists() and not Path(folder).is_dir():
        raise OutputWriteError(f"results of a batch go into a folder, and {folder} is a file; choose another with -o")
    if source.endswith(".csv"):
        rows = _from_csv(Path(source))
    elif source.endswith(".json"):
        rows = _from_stac(Path(source))
    else:
        rows = _from_pattern(source, no_s1=no_s1)
    pairs = tuple(_pair(row, folder, no_s1=no_s1, source=source) for row in rows)
    if not pairs:
        raise InputError(f"a batch needs at least one scene, and {source} names none")
    _refuse_doubles(pairs)
    return pairs


def missing_inputs(pairs: Iterable[ScenePair]) -> tuple[str, ...]:
    """Local files and folders that pairs name and that are not there, each once; what GDAL or a server would have to answer for is left out."""
    named = (part for pair in pairs for part in (*(pair.s1 or "").split(","), pair.s2))
    local = (part for part in named if part and ":" not in part and not part.startswith(("/vsi", "<")))
    return tuple(dict.fromkeys(part for part in local if not Path(part).exists()))


def _pair(row: dict[str, str], folder: Path | str | None, *, no_s1: bool, source: str) -> ScenePair:
    if not row.get("s2") or not (no_s1 or row.get("s1")):
        raise InputError(f"each scene of a batch needs s1 and s2 (with --no-s1 only s2); {source} has {row!r}")
    out = as_place(row["out"]) if row.get("out") else default_output(row["s2"])
    if folder is not None:
        name = str(out).rsplit("/", 1)[-1]
        out = f"{str(folder).rstrip('/')}/{name}" if is_object(folder) else Path(folder) / name
    references = tuple(row["references"].split(";")) if row.get("references") else ()
    return ScenePair(s1=None if no_s1 else row["s1"], s2=row["s2"], out=out, references=references)


def _refuse_doubles(pairs: Iterable[ScenePair]) -> None:
    seen: dict[Path | str, str] = {}
    for pair in pairs:
        place = pair.out if isinstance(pair.out, str) else pair.out.absolute()
        if place in seen:
            raise InputError(
                f"each scene of a batch needs an output of its own; {seen[place]} and {pair.s2} both give {pair.out}; name another in the column `out`"
            )
        seen[place] = pair.s2


def _read_text(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        raise RasterNotFoundError(f"a batch is read from a list that exists; there is nothing at {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"a batch is read from a text file; {path} is not: {error}") from error


def _beside(path: Path, href: str) -> str:
    """An address seen from the list, or each of several separated by commas; a query's commas are no separators."""
    if "," in href and "?" not in href:
        return ",".join(_place(path, part.strip()) for part in href.split(",") if part.strip())
    return _place(path, href)


def _place(path: Path, href: str) -> str:
    return href if "://" in href or href.startswith("/") else str(path.absolute().parent / href)


def _from_csv(path: Path) -> list[dict[str, str]]:
    reader = csv.DictReader(_read_text(path).splitlines(), skipinitialspace=True)
    names = reader.fieldnames or []
    if "s2" not in names:
        raise InputError(
            f"a batch's CSV file has a first line with the columns s1,s2 and perhaps out,references; {path} begins with {','.join(names)!r}"
        )
    return [
        {name: _cell(path, name, text) for name in ("s1", "s2", "out", "references") if (text := (row.get(name) or "").strip())}
        for row in reader
    ]


def _cell(path: Path, name: str, text: str) -> str:
    if name == "references":
        return ";".join(_beside(path, part.strip()) for part in text.split(";") if part.strip())
    return _place(path, text) if name == "out" else _beside(path, text)


def _from_stac(path: Path) -> list[dict[str, str]]:
    try:
        content = json.loads(_read_text(path))
        features = content["features"]
        return [_from_item(item, path) for item in features]
    except KeyError as error:
        raise InputError(
            f"a batch's JSON file is a STAC item collection whose items have assets s1 and s2; {path} lacks {error}; geocr search writes such files"
        ) from error
    except (ValueError, TypeError) as error:
        raise InputError(
            f"a batch's JSON file is a STAC item collection whose items have assets s1 and s2; {path} is not: {error}"
        ) from error


def _from_item(item: dict[str, Any], path: Path) -> dict[str, str]:
    assets = item["assets"]
    s1 = sorted((name for name in assets if _S1_ASSET.fullmatch(name)), key=lambda name: int(name.partition("_")[2] or 1))
    row = {"s1": ",".join(_beside(path, assets[name]["href"]) for name in s1)} if s1 else {}
    row |= {"s2": _beside(path, assets["s2"]["href"])} if "s2" in assets else {}
    out = (item.get("properties") or {}).get("geocr:out")
    return row | ({"out": _place(path, out)} if out else {})


def _from_pattern(pattern: str, *, no_s1: bool) -> list[dict[str, str]]:
    found = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
    if not found:
        raise RasterNotFoundError(
            f"a pattern names Sentinel-2 files that exist; nothing matches {pattern} (quote it, so that the shell leaves it alone)"
        )
    folder = next((path for path in found if Path(path).is_dir() and not Path(path).name.upper().endswith(".SAFE")), None)
    if folder is not None:
        raise InputError(
            f"a pattern names Sentinel-2 files; {folder} is a folder; give for example '{Path(folder) / '*_s2.tif'}', quoted, or a CSV list"
        )
    if no_s1:
        return [{"s2": path} for path in found]
    rows = []
    for path in found:
        partner = re.sub(r"(?<![a-z0-9])(s)2(?![a-z0-9])", r"\g<1>1", Path(path).name, flags=re.IGNORECASE)
        beside = Path(path).with_name(partner)
        if partner == Path(path).name or not beside.exists():
            raise RasterNotFoundError(
                f"each Sentinel-2 file of a pattern needs its Sentinel-1 partner, the same name with s1 for s2; {path} has none; list the pairs in a CSV file, or give --no-s1"
            )
        rows.append({"s1": str(beside), "s2": path})
    return rows
