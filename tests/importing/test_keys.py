"""Tables of names: every name has its place or a reason, and nothing is lost in silence."""

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geocr.core.errors import CheckpointError
from geocr.importing import METHODS, acacrnet, attention_gan, glfcr, sar2optical, sscr, uncrtaints
from geocr.importing.keys import KeyTable, translate, without_prefixes
from geocr.importing.method import ImportMethod
from tests.importing.published_blocks import uncrtaints_shapes
from tests.importing.states import Shapes
from tests.importing.test_picture_networks import sar2optical_shapes, unet_shapes
from tests.importing.test_residual_networks import aca_shapes, glf_shapes
from tests.importing.test_sscr import sscr_shapes

TABLE = KeyTable(
    renames={r"a\.(\d)": r"own.\1", r"left": "joined#0", r"right": "joined#1", r"spare": "joined#1"},
    dropped={r"old\..*": "nothing reads it"},
    refused={r"alien.*": "another network"},
    filled={r"zero": (2.0, "it was never saved")},
)
EXPECTED = {"own.0": torch.zeros(2), "own.1": torch.zeros(3), "joined": torch.zeros(3, 4), "zero": torch.zeros(2, dtype=torch.int64)}
FOUND = {
    "a.0": torch.ones(2),
    "a.1": torch.ones(3, dtype=torch.float64),
    "left": torch.ones(1, 4),
    "right": torch.full((2, 4), 3.0),
    "old.x": torch.ones(9),
}


def test_names_are_translated_joined_dropped_and_filled() -> None:
    found = translate(FOUND, EXPECTED, TABLE, source="f")
    assert found.weights.keys() == EXPECTED.keys()
    assert all(tensor.shape == EXPECTED[name].shape and tensor.dtype == EXPECTED[name].dtype for name, tensor in found.weights.items())
    assert found.weights["joined"].tolist() == [[1.0] * 4, [3.0] * 4, [3.0] * 4]
    assert found.weights["zero"].tolist() == [2, 2]
    assert found.dropped == {"old.x": "nothing reads it"}
    assert found.filled == {"zero": "it was never saved"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"b.0": torch.ones(1)}, r"in f, unknown: b\.0; take the method"),
        ({"a.7": torch.ones(1)}, r"unknown: a\.7"),
        ({"a.0x": torch.ones(1)}, r"unknown: a\.0x"),
        ({"spare": torch.ones(2, 4)}, "unknown: spare"),
        ({"a.0": None}, r"missing, by geocr's names: own\.0"),
        ({"a.0": torch.ones(3)}, r"of another shape: a\.0 \(3,\) for \(2,\)"),
        ({"right": torch.ones(3, 4)}, r"of another shape: left and right \(4, 4\) for \(3, 4\)"),
        ({"right": torch.ones(2, 5)}, r"of another shape: left and right of shapes that do not join for \(3, 4\)"),
        ({"right": None}, r"of another shape: left \(1, 4\) for \(3, 4\)"),
        ({"alien.1": torch.ones(1)}, r"f holds alien\.1: another network"),
        ({"b": torch.ones(1), "a.0": None, "a.1": torch.ones(1)}, r"unknown: b; missing, by geocr's names: own\.0; of another shape: a\.1"),
    ],
)
def test_what_does_not_fit_is_listed(change: dict[str, torch.Tensor | None], message: str) -> None:
    found = {name: tensor for name, tensor in (FOUND | change).items() if tensor is not None}
    with pytest.raises(CheckpointError, match=message):
        translate(found, EXPECTED, TABLE, source="f")


@given(
    names=st.lists(st.text("abc.1", min_size=1), min_size=1, unique=True),
    wrappers=st.lists(st.sampled_from(["module.", "netG."]), max_size=3),
)
def test_prefixes_go_only_where_all_names_share_them(names: list[str], wrappers: list[str]) -> None:
    state = {"".join(wrappers) + name: torch.zeros(1) for name in names}
    assert set(without_prefixes(state, ("module.", "netG."))) == set(names)
    odd = {**state, "x": torch.zeros(1)}
    assert set(without_prefixes(odd, ("module.", "netG."))) == set(odd)


def test_every_method_says_what_it_expects() -> None:
    for name in METHODS:
        method: ImportMethod = METHODS.load(name)
        assert method.origin.startswith("https://github.com/")
        assert all((method.title, method.files, method.licence, method.units))
        assert method.sar_radiometry == ("sigma0" if name in ("uncrtaints", "utae", "unet", "dsen2cr", "glfcr") else "unknown")


@pytest.mark.parametrize(
    ("table", "names"),
    [
        (glfcr._TABLE, glf_shapes()),
        (sscr._TABLE, sscr_shapes()),
        (sar2optical._TABLE, sar2optical_shapes()),
        (
            KeyTable(renames=uncrtaints.BLOCKS | uncrtaints.ATTENTION | uncrtaints.HEAD),
            uncrtaints_shapes(outputs=26, separate=True, residual=True),
        ),
        (attention_gan._table(8), {f"A.{name}": shape for name, shape in unet_shapes(3, 1, width=2).items()}),
        (acacrnet._table(16), aca_shapes()),
    ],
)
def test_every_published_name_has_exactly_one_place(table: KeyTable, names: Shapes) -> None:
    for name in names:
        assert sum(re.fullmatch(pattern, name) is not None for pattern in (*table.renames, *table.dropped)) == 1, name
        assert not any(re.fullmatch(pattern, name) for pattern in table.refused)
