"""A model's contract: what it refuses to be, what it stores, what tiles it asks for."""

import json
from dataclasses import replace

import numpy as np
import pytest

from geocr.core.bands import L1C_BANDS, L2A_BANDS
from geocr.core.errors import InputError
from geocr.grid.spec import TileSpec
from geocr.models.spec import ModelSpec
from geocr.radiometry.normalize import Normalizer

SPEC = ModelSpec(
    optical_in=L1C_BANDS,
    optical_out=("B02", "B04"),
    sar_bands=("VV", "VH"),
    level="L1C",
    sar_units="db",
    channel_order="sar_first",
    multi_temporal=False,
    needs_mask=True,
    has_std=False,
    size_multiple_px=8,
    min_size_px=16,
    tile_px=256,
    overlap_px=32,
    receptive_radius_px=20,
    normalizer=Normalizer(),
)


def test_json_round_trip() -> None:
    for spec in (SPEC, replace(SPEC, receptive_radius_px=None, sar_bands=(), normalizer=Normalizer(sar_clip=()))):
        assert ModelSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


def test_stored_keys_are_exactly_the_fields() -> None:
    stored = SPEC.to_dict()
    del stored["level"]
    with pytest.raises(InputError, match="missing: level; unknown: stage"):
        ModelSpec.from_dict({**stored, "stage": 1})


@pytest.mark.parametrize(("radius", "halo"), [(None, 0), (0, 0), (1, 8), (8, 8), (9, 16), (20, 24)])
def test_the_halo_is_the_radius_rounded_up_to_the_stride(radius: int | None, halo: int) -> None:
    assert replace(SPEC, receptive_radius_px=radius).halo_px == halo


@pytest.mark.parametrize(("side", "computed"), [(1, 16), (15, 16), (16, 16), (17, 24), (23, 24), (24, 24), (25, 32)])
def test_sides_grow_to_the_least_size_and_the_next_multiple(side: int, computed: int) -> None:
    assert SPEC.padded_px(side) == computed


def test_tiles_follow_the_spec_unless_overridden() -> None:
    assert SPEC.tile_spec() == TileSpec(size_px=256, overlap_px=32, halo_px=24, align_px=8)
    assert SPEC.tile_spec(size_px=128, overlap_px=16, halo_px=0) == TileSpec(size_px=128, overlap_px=16, halo_px=0, align_px=8)


@pytest.mark.parametrize("size", [8, 0, 100])
def test_tiles_the_model_cannot_compute_on_are_refused(size: int) -> None:
    with pytest.raises(InputError, match=rf"multiple of 8 and at least 16, got {size}"):
        SPEC.tile_spec(size_px=size)


def test_tiles_that_are_all_halo_are_refused() -> None:
    with pytest.raises(InputError, match="twice the overlap"):
        SPEC.tile_spec(size_px=48)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optical_in": ("B2",)}, "optical_in of a model must be among"),
        ({"optical_in": (), "sar_bands": (), "normalizer": Normalizer(sar_clip=())}, "at least one band"),
        ({"optical_out": ("B02", "B02")}, "each once"),
        ({"sar_bands": ("VV", "HV")}, "sar_bands of a model must be among VV, VH"),
        ({"sar_bands": ("VV",)}, "2 ranges, bands"),
        ({"level": "L3"}, "level of a model must be one of L1C, L2A"),
        ({"level": "L2A"}, "Level-2A has no B10"),
        ({"level": "L2A", "optical_in": L2A_BANDS, "optical_out": ("B10",)}, "Level-2A has no B10"),
        ({"sar_units": "power"}, "sar_units of a model must be one of db, display"),
        ({"optical_units": "dn"}, "optical_units of a model must be one of reflectance, display"),
        ({"channel_order": "mixed"}, "channel_order"),
        ({"min_size_px": 12}, "least size"),
        ({"min_size_px": 0}, "least size"),
        ({"size_multiple_px": 0}, "least size"),
        ({"tile_px": 100}, "recommended tile"),
        ({"tile_px": 8}, "recommended tile"),
        ({"receptive_radius_px": -1}, "receptive radius"),
    ],
)
def test_contracts_no_scene_could_meet_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(SPEC, **change)  # type: ignore[arg-type]


def test_an_offset_left_in_is_the_reflectance_normalisers_to_add() -> None:
    left = replace(SPEC, optical_offset="left_in")
    assert SPEC.reflectance_normalizer is SPEC.normalizer
    values = np.linspace(0, 0.5, 12, dtype=np.float32).reshape(1, 3, 4)
    np.testing.assert_allclose(
        left.reflectance_normalizer.optical_to_network(values), SPEC.normalizer.optical_to_network(values + np.float32(0.1)), atol=1e-6
    )
    with pytest.raises(InputError, match="pictures have no add-offset"):
        replace(left, optical_units="display")
    with pytest.raises(InputError, match="sar_radiometry of a model must be one of sigma0, gamma0, unknown"):
        replace(SPEC, sar_radiometry="beta0")
