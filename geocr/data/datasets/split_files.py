"""Reading split files of others as they were published: SAR2Optical's JSON and MDF-CR's FileNameList.txt."""

import json
import re
from pathlib import Path, PureWindowsPath
from typing import TypeAlias

from geocr.core.errors import InputError, MissingDataError

SplitLists: TypeAlias = dict[str, tuple[str, ...]]
"""`train`, `val` and `test` to names, in the file's order."""
NameList: TypeAlias = dict[str, dict[str, dict[str, tuple[str, ...]]]]
"""Data set to split to modality (`sar`, `rgb`) to names."""

_HEADING = re.compile(r"(.+):")


def read_split_json(path: str | Path) -> SplitLists:
    """A split file of SAR2Optical: `{"data": {"train": [...], "val": [...], "test": [...]}}`, whatever its extension.

    SAR2Optical read its `split.txt` as JSON too; the published one is empty, at every commit.

    Raises:
        MissingDataError: When there is no such file.
        InputError: When it is empty or of another form.
    """
    text = _text(path)
    try:
        lists = json.loads(text)["data"]
        found = {split: tuple(str(name) for name in lists[split]) for split in ("train", "val", "test")}
    except (ValueError, KeyError, TypeError) as error:
        state = "empty" if not text.strip() else f"not of this form ({type(error).__name__}: {error})"
        raise InputError(
            f'a split file holds {{"data": {{"train": [...], "val": [...], "test": [...]}}}} of s1 paths; {path} is {state}'
        ) from error
    return found


def read_name_list(path: str | Path) -> NameList:
    r"""MDF-CR's `FileNameList.txt`: headings `<data set>:`, `train:`, `sar:` and a name on each line below.

    Names of TGRS-SQ are absolute Windows paths (`E:\\DataSet\\...\\test_simu\\sar\\118.bmp`): of these the last three parts are kept,
    with forward slashes (`test_simu/sar/118.bmp`).

    Raises:
        MissingDataError: When there is no such file.
        InputError: When a name stands before its headings.
    """
    lists: dict[str, dict[str, dict[str, list[str]]]] = {}
    dataset = split = modality = ""
    for number, line in enumerate(_text(path).splitlines(), start=1):
        text = line.strip()
        if not text:
            continue
        heading = _HEADING.fullmatch(text)
        if heading is None:
            if not modality:
                raise InputError(
                    f"a list of names has the headings data set, split and modality before its names; line {number} of {path} is {text!r}"
                )
            lists[dataset][split][modality].append(_name(text))
        elif heading[1] in ("train", "val", "test"):
            split, modality = heading[1], ""
            lists.setdefault(dataset, {}).setdefault(split, {})
        elif heading[1] in ("sar", "rgb"):
            modality = heading[1]
            lists.setdefault(dataset, {}).setdefault(split, {}).setdefault(modality, [])
        else:
            dataset, split, modality = heading[1], "", ""
    return {
        name: {part: {kind: tuple(names) for kind, names in kinds.items()} for part, kinds in parts.items()}
        for name, parts in lists.items()
    }


def _name(text: str) -> str:
    parts = PureWindowsPath(text).parts
    return "/".join(parts[-3:]) if len(parts) > 1 else text


def _text(path: str | Path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise MissingDataError(f"a split file must be readable; {path} is not: {error}") from error
