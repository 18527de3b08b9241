"""`geocr import-checkpoint`: the list of methods, and a published file on its way to a cloud-free scene."""

from pathlib import Path

import numpy as np
import rasterio
import torch

from geocr.core.bands import L1C_BANDS
from geocr.importing import METHODS
from tests.cli.conftest import Command, make_files
from tests.importing.states import random_state
from tests.importing.test_residual_networks import aca_shapes, dsen2, keras_layers, write_keras
from tests.importing.test_sscr import saved, sscr_shapes


def test_alone_it_lists_the_methods_with_files_origin_and_licence(geocr: Command) -> None:
    done = geocr("import-checkpoint")
    assert done.code == 0
    for name in METHODS:
        method = METHODS.load(name)
        block = done.out.split(f"{name}\n", 1)[1].split("\n\n")[0]
        assert all(text in block for text in (method.title, method.files, method.origin, method.licence, method.units))
    assert set(geocr("import-checkpoint", "--json").json) == set(METHODS)


def test_an_imported_checkpoint_fills_a_scene_as_its_network_computes(geocr: Command, tmp_path: Path) -> None:
    layers = {name: {leaf: values * 0.2 for leaf, values in leaves.items()} for name, leaves in keras_layers(blocks=1, width=4).items()}
    weights, checkpoint = write_keras(tmp_path / "model.hdf5", layers), tmp_path / "dsen2cr.safetensors"
    done = geocr("import-checkpoint", "dsen2cr", weights, "-o", checkpoint, "--licence", "GPL-3.0", "--json")
    assert done.code == 0, done.err
    assert done.json["model"] == "dsen2cr"
    assert done.json["kwargs"] == {"blocks": 1, "width": 4}
    assert done.json["notes"] == []
    files = make_files(tmp_path / "scene", bands=L1C_BANDS, scale=1e-4)
    run = geocr(*files.arguments("--checkpoint", checkpoint, "--quiet"))
    assert run.code == 0, run.err
    with rasterio.open(files.s1) as radar, rasterio.open(files.out) as result, rasterio.open(files.provenance) as provenance:
        sar, found, classes = radar.read(), result.read(), provenance.read(1)
    low = np.array([-25, -32.5]).reshape(2, 1, 1)
    sar = np.nan_to_num((np.clip(sar, low, 0) - low) / -low * 2, nan=0.0)
    valid = (files.dn != 0).all(axis=0)
    cloudy = np.where(files.dn != 0, files.dn * 1e-4 * 5, 0)
    expected = dsen2(layers, cloudy, np.concatenate((cloudy, sar))) / 5 / 1e-4
    filled = valid & np.isin(classes, (2, 3))
    assert filled.sum() > 500
    np.testing.assert_allclose(found[:, filled], np.clip(expected[:, filled], 1, 65535), atol=0.51)


def test_people_are_told_what_became_of_every_tensor(geocr: Command, tmp_path: Path) -> None:
    conf = {"model": "multisarv2", "use_sar": True, "pretrain": True, "scale_by": 10.0, "encoder_widths": [32], "decoder_widths": [32]}
    given = saved(tmp_path, random_state(sscr_shapes(width=32, decoder=1)), conf)
    command = ["import-checkpoint", "sscr", given["file"], "--config", given["config"], "-o", tmp_path / "m.safetensors"]
    done = geocr(*command)
    assert done.code == 0, done.err
    assert "4 of them dropped, 3 filled" in done.out
    assert "the released gate is the constant 0" in done.out
    assert "note: The released code differs from its figure" in done.err
    assert "note: No licence of the weights was given" in done.err
    assert (geocr(*command).code, geocr(*command, "--overwrite", "--quiet").out) == (2, "")
    assert "imported from model.pth.tar by `sscr`" in geocr("info", tmp_path / "m.safetensors").out


def test_mistakes_end_with_a_sentence(geocr: Command, tmp_path: Path) -> None:
    torch.save(random_state(aca_shapes(blocks=2, width=4)), tmp_path / "net.pth")
    for arguments, message in (
        (["glfcr", tmp_path / "net.pth", "-o", tmp_path / "m"], "unknown: net.0.bias"),
        (["nothing", tmp_path / "net.pth", "-o", tmp_path / "m"], "geocr.importing knows acacrnet"),
        (["nothing"], "geocr.importing knows acacrnet"),
        (["glfcr"], "geocr import-checkpoint glfcr FILE -o OUT.safetensors"),
        (["glfcr", tmp_path / "net.pth"], "needs the published file and where to write"),
        (["uncrtaint", tmp_path / "net.pth", "-o", tmp_path / "m"], "got 'uncrtaint'; did you mean 'uncrtaints'?"),
        (["uncrtaints", tmp_path / "none.pth", "-o", tmp_path / "m"], f"there is no file at {tmp_path}/none.pth"),
        (["uncrtaints", tmp_path, "-o", tmp_path / "m"], f"there is no file at {tmp_path}"),
    ):
        done = geocr("import-checkpoint", *arguments)
        assert (done.code, done.out) == (2, "")
        assert message in done.err
    assert not (tmp_path / "m").exists()
