"""`geocr info`: all that a checkpoint says, for people and for scripts."""

from pathlib import Path

import pytest
import safetensors.torch
import torch

from geocr.checkpoint import describe_checkpoint, load_checkpoint, read_header, save_checkpoint
from geocr.models.dsen2cr import DSen2CR
from geocr.models.pix2pix import Pix2Pix
from geocr.models.uncrtaints import UnCRtainTS
from tests.cli.conftest import Command, make_checkpoint

SMALL = {"optical_bands": ["B02", "B03", "B04", "B08"], "level": "L2A", "blocks": 1, "width": 5}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "m.safetensors"
    save_checkpoint(
        path,
        DSen2CR(**SMALL),  # type: ignore[arg-type]
        name="dsen2cr",
        kwargs=SMALL,
        config={"epochs": 8, "lr": 7e-5},
        metrics={"psnr_db": 28.25, "mae": 0.029},
        licence="CC-BY-4.0",
    )
    return path


def test_json_holds_the_whole_header_and_facts_about_the_file(geocr: Command, checkpoint: Path) -> None:
    done = geocr("info", checkpoint, "--json")
    assert done.code == 0
    facts = done.json
    header, loaded = read_header(checkpoint), load_checkpoint(checkpoint)
    assert facts["model"] == "dsen2cr"
    assert facts["kwargs"] == SMALL
    assert facts["spec"]["normalizer"]["optical_scale"] == 5.0
    assert facts["spec"]["receptive_radius_px"] == header.spec.receptive_radius_px == 4
    assert facts["config"] == {"epochs": 8, "lr": 7e-5}
    assert facts["metrics"] == {"psnr_db": 28.25, "mae": 0.029}
    assert facts["licence"] == "CC-BY-4.0"
    assert facts["geocr_version"] == header.geocr_version
    assert facts["parameters"] == sum(parameter.numel() for parameter in loaded.model.parameters())
    assert facts["sha256"] == loaded.sha256
    assert facts["bytes"] == checkpoint.stat().st_size
    assert facts["problem"] is None


def test_the_list_for_people_says_the_same(geocr: Command, checkpoint: Path) -> None:
    done = geocr("info", checkpoint)
    assert done.code == 0
    for text in (
        "dsen2cr",
        "blocks=1, level=L2A",
        "width=5",
        f"{sum(parameter.numel() for parameter in load_checkpoint(checkpoint).model.parameters()):,}",
        "VV -25..0, VH -32.5..0 dB to 0..2",
        "B02, B03, B04, B08 (L2A reflectance, clipped to 0..1, x 5)",
        "one date, optical first",
        "4 px far",
        "256 px, of which a halo of 4 px; overlap 0 px; sides from 1 px",
        "training configuration with epochs, lr",
        "mae 0.029, psnr_db 28.25",
        "CC-BY-4.0",
        "loads       yes",
    ):
        assert text in done.out


def test_models_of_other_kinds_are_told(geocr: Command, tmp_path: Path) -> None:
    multi = {
        "encoder_widths": [8],
        "decoder_widths": [8],
        "multi_temporal": True,
        "covariance": "diag",
        "heads": 4,
        "d_model": 16,
        "sar_bands": [],
    }
    save_checkpoint(tmp_path / "multi", UnCRtainTS(**multi), name="uncrtaints", kwargs=multi)  # type: ignore[arg-type]
    text = geocr("info", tmp_path / "multi").out
    for part in (
        "several dates, the days of its dates",
        "mean and standard deviation",
        "its whole tile",
        "not stated",
        "none stored",
        "Sentinel-1  none",
    ):
        assert part in text
    picture = {"width": 2, "depth": 2, "tile_px": 64}
    save_checkpoint(tmp_path / "picture", Pix2Pix(**picture), name="pix2pix", kwargs=picture)  # type: ignore[arg-type]
    text = geocr("info", tmp_path / "picture").out
    assert "VV 0..255 of 8-bit pictures to -1..1" in text
    assert "none in, B04, B03, B02 out (L1C 8-bit pictures, clipped to 0..255, x 0.00784314 - 1)" in text
    masked = make_checkpoint(tmp_path / "masked")
    assert "a cloud mask" in geocr("info", masked).out


def test_what_cannot_be_loaded_is_described_all_the_same(geocr: Command, checkpoint: Path, tmp_path: Path) -> None:
    tensors = safetensors.torch.load_file(checkpoint)
    text = read_header(checkpoint).to_json()
    safetensors.torch.save_file({**tensors, "stranger": torch.zeros(1)}, tmp_path / "extra", {"geocr": text})
    safetensors.torch.save_file(tensors, tmp_path / "foreign", {"geocr": text.replace('"dsen2cr"', '"os.system"')})
    for name, problem in (("extra", "unknown: stranger"), ("foreign", "must be one of .*, got 'os.system'")):
        facts = describe_checkpoint(tmp_path / name)
        assert facts["parameters"] is None
        with pytest.raises(ValueError, match=problem):
            raise ValueError(facts["problem"])
        done = geocr("info", tmp_path / name)
        assert done.code == 0
        assert "loads       no: " in done.out


def test_files_that_are_no_checkpoint_end_with_a_sentence(geocr: Command, tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(1)}, tmp_path / "a.pt")
    done = geocr("info", tmp_path / "a.pt")
    assert (done.code, done.out) == (2, "")
    assert "most likely a PyTorch .pt file" in done.err
    assert geocr("info", tmp_path / "absent").code == 2
