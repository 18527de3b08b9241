"""Laws of records: a pattern and a number are a record, and no partner is lost uncounted."""

import pickle
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocr.data.datasets.record import PARTNERS, Records, SampleRecord, scan_of, scan_of_records

PATTERN = SampleRecord(id="a_p{n}", roi="a", split="train", sar=("s1/a_p{n}.tif",), cloudy=("c/a_p{n}.tif",), clear="s2/a_p{n}.tif")


def pattern_of(roi: str, split: str | None, kinds: frozenset[str]) -> SampleRecord:
    return SampleRecord(
        id=f"{roi}_p{{n}}",
        roi=roi,
        split=split,
        sar=("s1_{n}",) if "sar" in kinds else (),
        cloudy=("c_{n}",) if "cloudy" in kinds else (),
        clear="s2_{n}" if "clear" in kinds else None,
        masks=("m_{n}",) if "mask" in kinds else (),
    )


kinds_of = st.frozensets(st.sampled_from(PARTNERS))
scans = st.dictionaries(
    st.builds(pattern_of, st.sampled_from(["r1", "r2", "r10"]), st.sampled_from(["train", "val", "test", None]), kinds_of),
    st.sets(st.integers(0, 5000), max_size=6),
    max_size=8,
)


def test_a_number_fills_the_pattern_everywhere() -> None:
    record = PATTERN.numbered(12)
    assert record.id == "a_p12"
    assert record.paths == ("s1/a_p12.tif", "c/a_p12.tif", "s2/a_p12.tif")
    assert record.roi == "a"


@given(scans, st.sets(st.sampled_from(PARTNERS)))
def test_every_sample_is_kept_or_counted_for_each_partner_it_lacks(numbers: dict, required: set) -> None:
    scan = scan_of(numbers, tuple(required))
    complete = sum(len(found) for pattern, found in numbers.items() if not pattern.lacks(required))
    assert len(scan.samples) == complete
    for partner in required:
        assert len(scan.missing[partner]) == sum(len(found) for pattern, found in numbers.items() if partner in pattern.lacks(required))
    one_by_one = scan_of_records([pattern.numbered(n) for pattern, found in numbers.items() for n in sorted(found)], tuple(required))
    assert list(one_by_one.samples) == list(scan.samples)
    assert dict(one_by_one.missing) == dict(scan.missing)


@given(scans)
def test_splits_part_the_samples(numbers: dict) -> None:
    records = Records.patterned(numbers)
    parts = [records.of_split(split) for split in ("train", "val", "test")]
    assert sum(map(len, parts)) + records.count_splits().get(None, 0) == len(records)
    for part, split in zip(parts, ("train", "val", "test"), strict=True):
        assert all(record.split == split for record in part)
        assert len(part) == records.count_splits().get(split, 0)
    shared = {roi for roi, splits in records.splits_of_rois().items() if len(splits) > 1}
    seen: dict[str, set[str | None]] = {}
    for record in records:
        seen.setdefault(record.roi, set()).add(record.split)
    assert shared == {roi for roi, splits in seen.items() if len(splits) > 1}


@given(scans, st.data())
def test_taking_slicing_and_pickling_agree_with_lists(numbers: dict, data: st.DataObject) -> None:
    records = Records.patterned(numbers)
    plain = list(records)
    assert list(pickle.loads(pickle.dumps(records))) == plain  # noqa: S301 - our own
    assert list(records[::2]) == plain[::2]
    if plain:
        indexes = data.draw(st.lists(st.integers(0, len(plain) - 1)))
        assert list(records.take(np.array(indexes, int))) == [plain[index] for index in indexes]
        assert records[-1] == plain[-1]


def test_out_of_range_is_an_index_error() -> None:
    with pytest.raises(IndexError):
        Records.patterned({PATTERN: range(3)})[3]


def test_a_hundred_thousand_records_take_a_few_bytes_each() -> None:
    records = Records.patterned({PATTERN: range(100_000)})
    assert len(records) == 100_000
    assert len(pickle.dumps(records)) < 1_000_000  # two int32 each
    assert sys.getsizeof(records[5].id) < 100
