"""What every data set of the table must do, tested on a fake of each."""

import json
import pickle
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from torchgeo.datasets import NonGeoDataset
from typer.testing import CliRunner

from geocr.cli.app import app
from geocr.core.errors import BandError, InputError, MissingDataError
from geocr.data.collate import collate_samples
from geocr.data.datasets import DATASETS
from geocr.data.datasets.base import FusionDataset
from geocr.data.datasets.card import DatasetCard
from geocr.data.sample import FusionSample, OpticalUnit, SarUnit, validate_sample
from geocr.data.worker import prepare_worker
from tests.data.datasets.makers import FAKES

NAMES = sorted(FAKES)


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FusionDataset]:
    return {name: make(tmp_path_factory.mktemp(name)) for name, make in FAKES.items()}


def equal(one: FusionSample, other: FusionSample) -> bool:
    assert set(one) == set(other)
    return all(
        torch.equal(torch.nan_to_num(one[key].float(), -999.0), torch.nan_to_num(other[key].float(), -999.0))
        for key in one
        if key != "meta"
    )


def test_the_table_and_the_fakes_agree() -> None:
    assert set(DATASETS) - {"scenes"} == set(FAKES)  # scenes are drawn by samplers and tested by themselves


@pytest.mark.parametrize("name", NAMES)
def test_samples_keep_the_contract(name: str, sets: dict[str, FusionDataset]) -> None:
    dataset = sets[name]
    assert isinstance(dataset, NonGeoDataset)
    assert len(dataset) >= 2 or name == "allclear"
    sample = validate_sample(dataset[0])
    assert {*dataset.card.keys, "sar", "valid_mask", "meta"} == set(sample)
    assert sample["meta"]["dataset"] == name
    assert (sample["meta"]["sar_unit"], sample["meta"]["optical_unit"]) == (dataset.card.sar_unit, dataset.card.optical_unit)
    assert sample["sar"].shape[1] == len(dataset.card.sar_bands)
    assert sample["meta"]["id"] == dataset.identify(0) == dataset.samples[0].id
    assert sample["valid_mask"].float().mean() > 0.9


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_cards_say_everything(name: str) -> None:
    card = DATASETS.load(name).card
    assert isinstance(card, DatasetCard)
    assert card.name == name
    assert card.sar_unit in get_args(SarUnit)
    assert card.optical_unit in get_args(OpticalUnit)
    assert all(str(value).strip() for key, value in card.to_dict().items() if key not in ("sar_bands", "splits"))
    page = Path(__file__).parents[3] / "docs" / "datasets" / f"{name}.md"
    text = page.read_text()
    assert all(
        fact in text
        for fact in (card.layout, card.size, card.licence, card.citation, card.download, card.split_rule, card.nodata, card.mask)
    )
    assert (page.parent / "images" / f"{name}.png").stat().st_size < 60_000


@pytest.mark.parametrize("name", NAMES)
def test_same_index_same_sample_and_pickles(name: str, sets: dict[str, FusionDataset]) -> None:
    dataset = sets[name]
    assert equal(dataset[0], dataset[0])
    assert equal(dataset[0], dataset[-len(dataset)])
    assert equal(pickle.loads(pickle.dumps(dataset))[0], dataset[0])  # noqa: S301 - our own


@pytest.mark.parametrize("name", NAMES)
def test_bands_are_chosen_by_name(name: str, sets: dict[str, FusionDataset]) -> None:
    dataset = sets[name]
    everything = dataset[0]
    reverse = tuple(reversed(dataset.card.optical_bands))[:2]
    some = pickle.loads(pickle.dumps(dataset))  # noqa: S301 - our own
    some.optical_bands = reverse
    sample = some[0]
    assert sample["meta"]["optical_bands"] == reverse
    for key in {"cloudy", "clear"} & set(sample):
        picked = [dataset.card.optical_bands.index(band) for band in reverse]
        if name == "synthetic":
            assert sample[key].shape[-3] == 2  # noise is drawn band after band
        else:
            assert torch.equal(sample[key].nan_to_num(-9), everything[key][..., picked, :, :].nan_to_num(-9))
    options = {"cover": {}} if name == "sen12mscr_ts" else {}
    with pytest.raises(BandError, match="B99"):
        type(dataset)(dataset.root, optical_bands=("B99",), **options)
    if dataset.card.sar_bands:
        some.sar_bands = dataset.card.sar_bands[-1:]
        assert torch.equal(some[0]["sar"][:, 0].nan_to_num(-9), everything["sar"][:, -1].nan_to_num(-9))
        some.sar_bands = ()
        assert some[0]["sar"].shape[1] == 0
        assert validate_sample(some[0])["valid_mask"].any()


@pytest.mark.parametrize("name", [name for name in NAMES if name != "synthetic"])
def test_a_missing_folder_says_what_how_and_where(name: str, tmp_path: Path) -> None:
    options = {"cover": {}} if name == "sen12mscr_ts" else {}
    with pytest.raises(MissingDataError) as caught:
        DATASETS.load(name)(tmp_path / "nowhere", **options)
    message = str(caught.value)
    card = DATASETS.load(name).card
    assert str(tmp_path / "nowhere") in message
    assert "found: " in message
    assert card.layout in message
    assert card.download in message
    assert isinstance(caught.value, FileNotFoundError)


@pytest.mark.parametrize("name", NAMES)
def test_wrong_settings_are_refused(name: str, sets: dict[str, FusionDataset]) -> None:
    kind, root = type(sets[name]), sets[name].root
    options = {"cover": {}} if name == "sen12mscr_ts" else {}
    if sets[name].card.splits:
        with pytest.raises(InputError, match="validation"):
            kind(root, split="validation", **options)
    with pytest.raises(InputError, match="on_error"):
        kind(root, on_error="ignore", **options)
    with pytest.raises((InputError, TypeError), match="band"):
        kind(root, band=3, **options)


def test_indexes_outside_are_refused(sets: dict[str, FusionDataset]) -> None:
    with pytest.raises(IndexError, match="2 samples, got index 2"):
        sets["sen12mscr"][2]
    assert len(list(sets["sen12mscr"])) == 2


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_gives_the_same_with_any_number_of_workers(workers: int, sets: dict[str, FusionDataset]) -> None:
    dataset = sets["sen12mscr"]
    loader = DataLoader(dataset, batch_size=2, num_workers=workers, collate_fn=collate_samples, worker_init_fn=prepare_worker)
    (batch,) = list(loader)
    assert batch["sar"].shape == (2, 1, 2, 32, 32)
    assert [meta["id"] for meta in batch["meta"]] == ["ROIs1158_spring_1_p1", "ROIs1158_spring_1_p2"]
    assert torch.equal(batch["clear"][1], dataset[1]["clear"])
    assert batch["meta"][0]["grid"] == dataset[0]["meta"]["grid"]


def test_filtered_keeps_what_is_wanted(sets: dict[str, FusionDataset]) -> None:
    dataset = sets["sen12mscr"]
    one = dataset.filtered(lambda record: record.id.endswith("p2"))
    assert [record.id for record in one.samples] == ["ROIs1158_spring_1_p2"]
    assert len(dataset) == 2
    assert equal(one[0], dataset[1])


def test_transforms_come_last_and_validation_sees_the_files(sets: dict[str, FusionDataset]) -> None:
    root = sets["sen12mscr"].root

    def halve(sample: FusionSample) -> FusionSample:
        sample["clear"] = sample["clear"][:, :16]
        return sample

    assert type(sets["sen12mscr"])(root, transforms=halve, validate=True)[0]["clear"].shape == (13, 16, 32)


def test_list_names_every_set() -> None:
    text = CliRunner().invoke(app, ["data", "list"]).output
    assert all(f"{name}\n" in text for name in DATASETS)
    facts = json.loads(CliRunner().invoke(app, ["data", "list", "--json"]).output)
    assert set(facts) == set(DATASETS)
    assert facts["sen12mscr"]["sar_unit"] == "db"
    assert facts["sen12"]["optical_unit"] == "display"
    assert facts["sen12mscr"]["optical_bands"][8] == "B8A"


def test_a_cloud_mask_can_be_made_on_the_fly(sets: dict[str, FusionDataset]) -> None:
    def bright(image: np.ndarray, bands: tuple[str, ...]) -> np.ndarray:
        assert bands[1] == "B02"
        return np.asarray(image[1] > 0.6)

    sample = type(sets["sen12mscr"])(sets["sen12mscr"].root, cloud_mask=bright)[0]
    assert torch.equal(validate_sample(sample)["cloud_mask"], sample["cloudy"][:, 1] > 0.6)
    assert 0.1 < sample["cloud_mask"].float().mean() < 0.9
