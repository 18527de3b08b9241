"""`sen12`: SEN1-2 picture pairs, in the layout by terrain or in its own, with every published split and an honest one."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal, TypeAlias, Unpack, get_args

from geocr.core.errors import InputError
from geocr.data.datasets.base import Options
from geocr.data.datasets.card import DatasetCard
from geocr.data.datasets.pictures import NODATA, PictureDataset
from geocr.data.datasets.published import published_split
from geocr.data.datasets.record import Records, SampleRecord, Scan, scan_of
from geocr.data.datasets.split_files import read_name_list, read_split_json
from geocr.data.datasets.splitting import Assignment, split_at_random, split_balanced, split_by_scene, warn_if_shared

SplitRule: TypeAlias = Literal["scene", "published", "random", "balanced"]
Subset: TypeAlias = Literal["all", "0.85k", "0.9k"]
_PATCH = re.compile(r"(ROIs\d+_[a-z]+)_s1_(\d+)_p(\d+)\.png")
_RATIOS = {"scene": (0.8, 0.1, 0.1), "random": (0.7, 0.15, 0.15)}
_SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where the pairs of one scene lie."""

    folder: str
    """Terrain (`agri`), season (`ROIs1158_spring`), or part of MDF-CR's arrangement (`train`)."""
    sar: str
    """Folder of the radar pictures, relative to the root."""
    clear: str
    """Folder of the optical pictures."""
    season: str
    """For example `ROIs1970_fall`."""
    scene: int
    """Number of the scene in its season."""

    @property
    def roi(self) -> str:
        """The scene, whatever folders its pairs lie in: a scene may belong to several terrains."""
        return f"{self.season}_{self.scene}"

    def key(self, number: int) -> str:
        """The pair as split files name it: `agri/s1/ROIs1868_summer_s1_59_p858.png`."""
        return f"{self.folder}/s1/{self.season}_s1_{self.scene}_p{number}.png"


class Sen12(PictureDataset):
    """Radar picture (VV, grey) and optical picture (RGB) of one place, 256 x 256, 8 bits. No clouds: a synthesiser supplies them.

    Args:
        root: Folder of the pairs: `<terrain>/{s1,s2}` or a folder `v_2` that holds them; SEN1-2's own `ROIs<seed>_<season>/s1_<scene>`;
            or MDF-CR's `{train,val,test}/{sar,rgb}`.
        subset: `all` pairs, or MDF-CR's `0.85k` (scene 2 of spring, 850/70/70) or `0.9k` (scene 111 of spring, 900/103/103).
        rule: How `all` pairs are split. `scene` (default) puts whole scenes into one split. `published` is SAR2Optical's list
            (12,800/1,600/1,600), `random` its ratios, `balanced` its first rule. All but `scene` share scenes between splits, and
            warn about it. MDF-CR's subsets have their published lists only: each is one scene.
        split_file: SAR2Optical's `split.json` (rule `published`) or MDF-CR's `FileNameList.txt` (a subset) instead of the lists
            that come with geocr, which are the same.
        ratios: Of `scene` (.8/.1/.1) and `random` (.7/.15/.15).
        per_class: Of `balanced`: test pairs per terrain; as many validate.
        seed: Of `scene`, `random` and `balanced`.
        **options: As in `FusionDataset`.
    """

    card: ClassVar[DatasetCard] = DatasetCard(
        name="sen12",
        title="SEN1-2: Sentinel-1 VV and Sentinel-2 RGB as 8-bit pictures; by terrain, whole, or MDF-CR's subsets",
        sar_bands=("VV",),
        optical_bands=("B04", "B03", "B02"),
        sar_unit="display",
        optical_unit="display",
        keys=("clear",),
        nodata=NODATA,
        mask="none: the set is free of clouds",
        splits=_SPLITS,
        split_rule=(
            "by whole scenes (default); SAR2Optical's list of 12,800/1,600/1,600, its random ratios, its balanced rule of 250 and 250 per terrain, "
            "and MDF-CR's lists share scenes between splits and warn"
        ),
        size="282,384 pairs (SEN1-2), 16,000 (by terrain), 990 and 1,106 (MDF-CR), 256 x 256 pixels",
        licence="see mediaTUM 1436631 before you redistribute",
        citation="Schmitt, Hughes, Zhu: The SEN1-2 Dataset for Deep Learning in SAR-Optical Data Fusion, ISPRS Annals IV-1, 2018, doi:10.5194/isprs-annals-IV-1-141-2018",
        download="https://mediatum.ub.tum.de/1436631; by terrain: Kaggle, requiemonk/sentinel12-image-pairs-segregated-by-terrain",
        layout="[v_2/]<terrain>/{s1,s2}/ROIs<seed>_<season>_{s1,s2}_<scene>_p<n>.png, or ROIs<seed>_<season>/{s1,s2}_<scene>/..., or {train,val,test}/{sar,rgb}/...",
    )

    def __init__(
        self,
        root: str | Path,
        *,
        subset: Subset = "all",
        rule: SplitRule = "scene",
        split_file: str | Path | None = None,
        ratios: Sequence[float] | None = None,
        per_class: int = 250,
        seed: int = 42,
        **options: Unpack[Options],
    ) -> None:
        if subset not in get_args(Subset) or rule not in get_args(SplitRule):
            raise InputError(f"subset is {', '.join(get_args(Subset))} and rule {', '.join(get_args(SplitRule))}; got {subset!r}, {rule!r}")
        if split_file is not None and subset == "all" and rule != "published":
            raise InputError(f"a split file goes with rule='published' or a subset of MDF-CR; got rule={rule!r}")
        self.subset, self.rule, self.split_file = subset, rule, split_file
        self.ratios, self.per_class, self.seed = ratios, per_class, seed
        super().__init__(_with_terrains(Path(root)), **options)

    def _scan(self) -> Scan:
        found = dict(_places(self.root))
        if not found:
            raise self.missing_data("pictures <terrain>/s1/ROIs<seed>_<season>_s1_<scene>_p<n>.png and their like")
        if self.subset != "all":
            season, scene = published_split("mdfcr")[self.subset]["scene"]
            found = {place: kinds for place, kinds in found.items() if place.roi == f"{season}_{scene}"}
            if not found:
                raise self.missing_data(f"scene {scene} of {season}, of which subset {self.subset} is made")
        assignment = self._assignment({place: kinds["s1"] & kinds["s2"] for place, kinds in found.items()})
        patterns: dict[SampleRecord, list[int]] = {}
        for place, kinds in found.items():
            for number in sorted(kinds["s1"] | kinds["s2"]):
                have = tuple(kind for kind in ("s1", "s2") if number in kinds[kind])
                patterns.setdefault(_pattern(place, have, assignment.get(place.key(number))), []).append(number)
        scan = scan_of(patterns, self.require)
        if self.split is not None and isinstance(scan.samples, Records):
            warn_if_shared(self.card.name, scan.samples, f"subset={self.subset!r}" if self.subset != "all" else f"rule={self.rule!r}")
        return scan

    def _assignment(self, pairs: dict[_Place, set[int]]) -> Assignment:
        """Key of each complete pair to its split."""
        if self.split is None:
            return {}
        keys = {place: [place.key(number) for number in numbers] for place, numbers in pairs.items() if numbers}
        if not keys:
            return {}
        if self.subset != "all":
            return self._mdfcr(pairs)
        if self.rule == "published":
            return self._sar2optical(keys)
        if self.rule == "balanced":
            classes: dict[str, list[str]] = {}
            for place, of in keys.items():
                classes.setdefault(place.folder, []).extend(of)
            return split_balanced(classes, per_class=self.per_class, seed=self.seed)
        ratios = self.ratios if self.ratios is not None else _RATIOS[self.rule]
        if self.rule == "random":
            return split_at_random([key for of in keys.values() for key in of], ratios=ratios, seed=self.seed)
        sizes: dict[str, dict[str, int]] = {}
        for place, of in keys.items():
            counts = sizes.setdefault(place.roi, {})
            counts[place.folder] = counts.get(place.folder, 0) + len(of)
        scenes = split_by_scene(sizes, ratios=ratios, seed=self.seed)
        return {key: scenes[place.roi] for place, of in keys.items() for key in of}

    def _sar2optical(self, keys: dict[_Place, list[str]]) -> Assignment:
        if self.split_file is not None:
            lists = read_split_json(self.split_file)
            return {name: split for split, names in lists.items() for name in names}
        held: dict[str, str] = {}
        for split in ("val", "test"):
            for group, numbers in published_split("sar2optical")[split].items():
                folder, _, scene = group.partition("/")
                season, _, number = scene.rpartition("_")
                held |= {f"{folder}/s1/{season}_s1_{number}_p{n}.png": split for n in numbers}
        return {key: held.get(key, "train") for of in keys.values() for key in of}

    def _mdfcr(self, pairs: dict[_Place, set[int]]) -> Assignment:
        lists = published_split("mdfcr")[self.subset]
        numbers = {split: set(lists[split]) for split in _SPLITS}
        if self.split_file is not None:
            named = read_name_list(self.split_file)
            title = f"SEN1-2-{self.subset}"
            if title not in named:
                raise InputError(f"{self.split_file} must have the heading {title}:; it has {', '.join(named) or 'none'}")
            numbers = {
                split: {int(match[3]) for name in named[title][split]["sar"] if (match := _PATCH.fullmatch(name))} for split in _SPLITS
            }
        return {
            place.key(number): next((split for split in _SPLITS if number in numbers[split]), None)
            for place, found in pairs.items()
            for number in found
        }


def _pattern(place: _Place, kinds: tuple[str, ...], split: str | None) -> SampleRecord:
    record = SampleRecord(id=f"{place.folder}/{place.roi}_p{{n}}", roi=place.roi, split=split)
    if "s1" in kinds:
        record = replace(record, sar=(f"{place.sar}/{place.season}_s1_{place.scene}_p{{n}}.png",))
    if "s2" in kinds:
        record = replace(record, clear=f"{place.clear}/{place.season}_s2_{place.scene}_p{{n}}.png")
    return record


def _with_terrains(root: Path) -> Path:
    """The folder itself, or the `v_2` inside it."""
    return root / "v_2" if (root / "v_2").is_dir() else root


def _places(root: Path) -> Iterator[tuple[_Place, dict[str, set[int]]]]:
    """Every scene of every folder, with the patch numbers of `s1` and `s2`, in any of the three layouts."""
    if not root.is_dir():
        return
    for entry in sorted(os.scandir(root), key=lambda entry: entry.name):
        if not entry.is_dir():
            continue
        for sar, clear in _pairs_of_folders(Path(entry.path)):
            found: dict[tuple[str, int], dict[str, set[int]]] = {}
            for kind, folder in (("s1", sar), ("s2", clear)):
                for season, scene, number in _patches(Path(entry.path) / folder, kind):
                    found.setdefault((season, scene), {"s1": set(), "s2": set()})[kind].add(number)
            for (season, scene), kinds in sorted(found.items()):
                yield (
                    _Place(folder=entry.name, sar=f"{entry.name}/{sar}", clear=f"{entry.name}/{clear}", season=season, scene=scene),
                    kinds,
                )


def _pairs_of_folders(folder: Path) -> list[tuple[str, str]]:
    """Names of the radar and optical folders inside one: by terrain, by MDF-CR, or one pair for each scene."""
    names = {entry.name for entry in os.scandir(folder) if entry.is_dir()}
    pairs = [pair for pair in (("s1", "s2"), ("sar", "rgb")) if names & set(pair)]
    scenes = {name[3:] for name in names if re.fullmatch(r"s[12]_\d+", name)}
    return pairs + [(f"s1_{scene}", f"s2_{scene}") for scene in sorted(scenes, key=int)]


def _patches(folder: Path, kind: str) -> Iterator[tuple[str, int, int]]:
    if not folder.is_dir():
        return
    for name in os.listdir(folder):  # noqa: PTH208 - names alone: hundreds of thousands of them
        match = _PATCH.fullmatch(name.replace("_s2_", "_s1_", 1) if kind == "s2" else name)
        if match:
            yield match[1], int(match[2]), int(match[3])
