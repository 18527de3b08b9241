"""`validate_sample` accepts what keeps the contract and names what breaks it."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geocr.core.errors import SampleError
from geocr.data.collate import collate_samples
from geocr.data.sample import FusionSample, usable, validate_sample


def make(dates: int = 1, side: int = 8, sar_bands: tuple[str, ...] = ("VV", "VH"), bands: tuple[str, ...] = ("B04", "B03")) -> FusionSample:
    generator = torch.Generator().manual_seed(0)
    sar = -10 - 5 * torch.rand((dates, len(sar_bands), side, side), generator=generator)
    cloudy = torch.rand((dates, len(bands), side, side), generator=generator)
    clear = torch.rand((len(bands), side, side), generator=generator)
    return {
        "sar": sar,
        "cloudy": cloudy,
        "clear": clear,
        "cloud_mask": cloudy[:, 0] > 0.5,
        "valid_mask": usable(sar, cloudy, clear),
        "meta": {
            "dataset": "made", "id": "one", "roi": "r", "split": "train", "grid": None,
            "times": {"sar": (None,) * dates, "cloudy": (None,) * dates, "clear": None}, "days": (math.nan,) * dates,
            "sar_unit": "db", "optical_unit": "reflectance", "sar_bands": sar_bands, "optical_bands": bands,
            "paths": {"sar": (), "cloudy": (), "clear": None}, "skipped": (),
        },
    }  # fmt: skip


@given(st.integers(1, 4), st.integers(1, 9), st.sampled_from([(), ("VV",), ("VV", "VH")]))
def test_samples_of_any_size_pass(dates: int, side: int, sar_bands: tuple[str, ...]) -> None:
    sample = make(dates, side, sar_bands)
    assert validate_sample(sample) is sample


def test_keys_may_be_absent() -> None:
    for key in ("cloud_mask", "clear"):
        sample = make()
        del sample[key]
        validate_sample(sample)


BREAKS: dict[str, tuple[Callable[[FusionSample], object], str]] = {
    "a rank too low": (lambda s: s.update(sar=s["sar"][0]), r"\(T, Cs, H, W\)"),
    "another dtype": (lambda s: s.update(clear=s["clear"].double()), "clear.*float32"),
    "a mask of numbers": (lambda s: s.update(cloud_mask=s["cloud_mask"].float()), "cloud_mask.*bool"),
    "another size": (lambda s: s.update(clear=s["clear"][:, :4]), "clear"),
    "another number of dates": (lambda s: s.update(cloudy=s["cloudy"].repeat(2, 1, 1, 1)), "cloudy"),
    "fewer bands than named": (lambda s: s.update(clear=s["clear"][:1]), "clear"),
    "an unknown band": (lambda s: s["meta"].update(optical_bands=("B04", "B99")), "B99"),
    "a band twice": (lambda s: s["meta"].update(sar_bands=("VV", "VV")), "each once"),
    "an unknown unit": (lambda s: s["meta"].update(sar_unit="power"), "db or display"),
    "counts for reflectance": (lambda s: s.update(clear=s["clear"] * 10_000), "scale was not applied"),
    "linear power": (lambda s: s.update(sar=10 ** (s["sar"] / 10)), "10 log10"),
    "decibels out of all bounds": (lambda s: s["sar"].view(-1).__setitem__(0, -9999.0), "between -120 and 60"),
    "an infinity": (lambda s: s["sar"].view(-1).__setitem__(0, -torch.inf), "NaN, never infinite"),
    "a reversed mask": (lambda s: (s["clear"].view(-1).__setitem__(0, torch.nan), s.update(valid_mask=~usable(s["sar"], s["cloudy"], s["clear"]))), "polarity"),
    "a date too many": (lambda s: s["meta"].update(days=(1.0, 2.0)), "days"),
    "times of no date": (lambda s: s["meta"]["times"].update(cloudy=()), "cloudy"),
}  # fmt: skip


@pytest.mark.parametrize("name", BREAKS)
def test_what_breaks_the_contract_is_named(name: str) -> None:
    sample = make()
    BREAKS[name][0](sample)
    with pytest.raises(SampleError, match=BREAKS[name][1]) as caught:
        validate_sample(sample)
    assert "one" in str(caught.value) or name == "an unknown unit"


def test_display_values_are_0_to_255() -> None:
    sample = make()
    sample["meta"].update(sar_unit="display", optical_unit="display")
    with pytest.raises(SampleError, match="between 0 and 255"):
        validate_sample(sample)
    sample["sar"] = sample["sar"].abs()
    validate_sample(sample)
    sample["clear"] += 255
    with pytest.raises(SampleError, match="between 0 and 255"):
        validate_sample(sample)


@given(st.data())
def test_usable_is_observed_in_the_target_and_in_a_date_of_each(data: st.DataObject) -> None:
    sample = make(dates=3, side=3)
    sar, cloudy, clear = sample["sar"], sample["cloudy"], sample["clear"]
    for tensor in (sar, cloudy, clear):
        for index in data.draw(st.lists(st.integers(0, tensor.numel() - 1), max_size=20)):
            tensor.view(-1)[index] = torch.nan
    for row in range(3):
        for col in range(3):
            expected = (
                bool(torch.isfinite(clear[:, row, col]).all())
                and any(bool(torch.isfinite(sar[t, :, row, col]).all()) for t in range(3))
                and any(bool(torch.isfinite(cloudy[t, :, row, col]).all()) for t in range(3))
            )
            assert bool(usable(sar, cloudy, clear)[row, col]) == expected


def test_a_batch_stacks_tensors_and_keeps_meta() -> None:
    one, other = make(), make()
    other["meta"]["id"] = "two"
    batch = collate_samples([one, other])
    assert batch["cloudy"].shape == (2, 1, 2, 8, 8)
    assert batch["cloud_mask"].dtype == torch.bool
    assert [meta["id"] for meta in batch["meta"]] == ["one", "two"]
    assert torch.equal(batch["clear"][1], other["clear"])


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (make(side=9), "one size"),
        (make(dates=2), "number of dates"),
        (make(bands=("B03", "B04")), "optical_bands"),
        (make(sar_bands=("VH", "VV")), "sar_bands"),
    ],
)
def test_what_does_not_fit_into_a_batch_is_named(other: FusionSample, told: str) -> None:
    other["meta"]["id"] = "two"
    with pytest.raises(SampleError, match=f"(?s){told}.*|.*one and two.*{told}") as caught:
        collate_samples([make(), other])
    assert "one and two" in str(caught.value)


def test_other_keys_and_no_samples_are_refused() -> None:
    less = make()
    del less["cloud_mask"]
    with pytest.raises(SampleError, match="cloud_mask"):
        collate_samples([make(), less])
    with pytest.raises(SampleError, match="at least one"):
        collate_samples([])
