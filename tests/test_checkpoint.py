"""A checkpoint rebuilds its model, and everything else is refused with its reason."""

import hashlib
import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from geocr._version import __version__
from geocr.checkpoint import FORMAT_VERSION, CheckpointHeader, load_checkpoint, read_header, save_checkpoint
from geocr.core.errors import CheckpointError, OutputWriteError
from geocr.models.spec import TRAINING_FACTS
from geocr.models.unet import FusionUNet
from geocr.radiometry.normalize import Normalizer

KWARGS: dict[str, Any] = {"optical_bands": ["B02", "B04"], "widths": [3, 4], "batch_norm": True}
NORMALIZER = Normalizer(sar_clip=((-25.0, 0.0), (-25.0, 0.0)), optical_scale=5.0)


@pytest.fixture
def model() -> FusionUNet:
    torch.manual_seed(1)
    return FusionUNet(**KWARGS, normalizer=NORMALIZER)


@pytest.fixture
def saved(model: FusionUNet, tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_checkpoint(
        path,
        model,
        name="fusion_unet",
        kwargs=KWARGS,
        config={"epochs": 3, "lr": 1e-3},
        metrics={"psnr_cloudy_db": 28.5},
        licence="CC-BY-4.0",
    )
    return path


def rewritten(source: Path, target: Path, *, header: dict[str, Any] | None = None, weights: dict[str, torch.Tensor] | None = None) -> Path:
    """A copy with keys of its geocr header or tensors replaced (None removes a tensor)."""
    tensors = safetensors.torch.load_file(source) | (weights or {})
    stored = json.loads(read_header(source).to_json()) | (header or {})
    safetensors.torch.save_file({k: v for k, v in tensors.items() if v is not None}, target, {"geocr": json.dumps(stored)})
    return target


def test_the_model_comes_back_whole(model: FusionUNet, saved: Path) -> None:
    checkpoint = load_checkpoint(saved)
    assert not checkpoint.model.training
    assert checkpoint.model.spec == model.spec
    assert checkpoint.model.spec.normalizer == NORMALIZER
    assert checkpoint.path == str(saved.absolute())
    back = checkpoint.model.state_dict()
    assert back.keys() == model.state_dict().keys()
    assert all(torch.equal(tensor, back[key]) for key, tensor in model.state_dict().items())


def test_the_header_says_all_that_is_known(model: FusionUNet, saved: Path) -> None:
    header = read_header(saved)
    assert header == load_checkpoint(saved).header
    assert header == CheckpointHeader(
        format_version=FORMAT_VERSION,
        geocr_version=__version__,
        model="fusion_unet",
        kwargs=KWARGS,
        spec=model.spec,
        config={"epochs": 3, "lr": 1e-3},
        metrics={"psnr_cloudy_db": 28.5},
        licence="CC-BY-4.0",
    )


def test_it_shows_itself_in_notebooks(saved: Path) -> None:
    html = load_checkpoint(saved)._repr_html_()
    assert load_checkpoint(saved).sha256 in html
    assert "<script" not in html


def test_the_hash_is_that_of_the_file(saved: Path) -> None:
    assert load_checkpoint(saved).sha256 == hashlib.sha256(saved.read_bytes()).hexdigest()


def test_the_same_model_gives_the_same_bytes(model: FusionUNet, tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_checkpoint(tmp_path / name, model, name="fusion_unet", kwargs=KWARGS)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_loading_leaves_the_random_numbers_alone(saved: Path) -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    load_checkpoint(saved)
    assert torch.equal(torch.rand(3), expected)


def test_saving_does_not_change_mode_device_or_layout(model: FusionUNet, tmp_path: Path) -> None:
    model.to(memory_format=torch.channels_last).train()
    save_checkpoint(tmp_path / "m", model, name="fusion_unet", kwargs=KWARGS)
    assert model.training
    assert torch.equal(load_checkpoint(tmp_path / "m").model.head.weight, model.head.weight)  # type: ignore[arg-type]


def test_an_existing_file_is_replaced_and_nothing_else_remains(saved: Path, model: FusionUNet) -> None:
    torch.nn.init.zeros_(model.head.weight)
    save_checkpoint(saved, model, name="fusion_unet", kwargs=KWARGS)
    assert not load_checkpoint(saved).model.state_dict()["head.weight"].any()
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_a_failed_write_keeps_the_old_file(saved: Path, model: FusionUNet, monkeypatch: pytest.MonkeyPatch) -> None:
    before = saved.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputWriteError, match="No space left on device"):
        save_checkpoint(saved, model, name="fusion_unet", kwargs=KWARGS)
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kwargs": {**KWARGS, "widths": [3, 5]}}, r"of another shape: .*down\.1\.0\.weight \(4, 3, 3, 3\) for \(5, 3, 3, 3\)"),
        ({"kwargs": {**KWARGS, "level": "L2A"}}, "differs in level"),
        ({"kwargs": {**KWARGS, "dropout": 0.1}}, "cannot be built.*dropout"),
        ({"name": "unet9"}, "must be one of .*fusion_unet.*got 'unet9'"),
        ({"kwargs": {**KWARGS, "widths": {3, 4}}}, "finite JSON values"),
        ({"metrics": {"psnr": float("nan")}}, "finite JSON values"),
    ],
)
def test_what_would_not_come_back_is_not_saved(model: FusionUNet, tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        save_checkpoint(tmp_path / "m", model, **{"name": "fusion_unet", "kwargs": KWARGS, **arguments})
    assert list(tmp_path.iterdir()) == []


class FartherThanSaid(FusionUNet):
    """Declares less than it sees."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.spec = replace(self.spec, receptive_radius_px=2)


def test_a_model_that_sees_farther_than_it_declares_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"declares a radius of 2 px and sees at least \d+ px: correct receptive_radius_px"):
        save_checkpoint(tmp_path / "m", FartherThanSaid(**KWARGS), name="fusion_unet", kwargs=KWARGS)
    assert list(tmp_path.iterdir()) == []


def test_the_reach_is_measured_once_per_model(model: FusionUNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[int] = []

    def counted(found: FusionUNet, *, within_px: int) -> int:
        measured.append(id(found))
        return within_px

    monkeypatch.setattr("geocr.checkpoint.strip_reach_px", counted)
    other = FusionUNet(**KWARGS)
    for _ in range(3):
        for one in (model, other):
            save_checkpoint(tmp_path / "m", one, name="fusion_unet", kwargs=KWARGS)
    assert measured == [id(model), id(other)]


def test_weights_that_give_nan_hide_the_reach_and_are_saved_as_they_are(model: FusionUNet, tmp_path: Path) -> None:
    torch.nn.init.constant_(model.head.weight, torch.nan)
    save_checkpoint(tmp_path / "m", model, name="fusion_unet", kwargs=KWARGS)
    assert load_checkpoint(tmp_path / "m").model.state_dict()["head.weight"].isnan().all()
    torch.nn.init.ones_(model.head.weight)
    save_checkpoint(tmp_path / "m", model, name="fusion_unet", kwargs=KWARGS)


class Bomb:
    """Fails the test when unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return pytest.fail, ("a checkpoint was unpickled",)


def test_foreign_files_are_named_and_never_unpickled(tmp_path: Path) -> None:
    torch.save({"weight": Bomb()}, tmp_path / "zip.pt")
    (tmp_path / "pickle.pt").write_bytes(pickle.dumps(Bomb(), protocol=2))
    (tmp_path / "keras.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "text.txt").write_text("these are not weights")
    for name, what in (
        ("zip.pt", "zip archive"),
        ("pickle.pt", "pickle"),
        ("keras.h5", "HDF5"),
        ("empty", "is empty"),
        ("text.txt", "another kind"),
    ):
        for read in (load_checkpoint, read_header):
            with pytest.raises(CheckpointError, match=rf"must be a safetensors file; .*{what}.*never unpickles"):
                read(tmp_path / name)


def test_a_missing_file_or_a_folder_is_said_so(tmp_path: Path) -> None:
    for read in (load_checkpoint, read_header):
        with pytest.raises(CheckpointError, match="No such file"):
            read(tmp_path / "absent")
        with pytest.raises(CheckpointError, match="Is a directory"):
            read(tmp_path)


def test_a_cut_file_is_refused_at_any_length(saved: Path, tmp_path: Path) -> None:
    data = saved.read_bytes()
    header_end = 8 + int.from_bytes(data[:8], "little")
    for length in (3, 8, 9, header_end - 1, header_end, header_end + 1, len(data) - 1):
        (tmp_path / "cut").write_bytes(data[:length])
        for read in (load_checkpoint, read_header):
            with pytest.raises(CheckpointError, match="cut off" if length <= 8 else "must be whole"):
                read(tmp_path / "cut")
    (tmp_path / "long").write_bytes(data + b"\0")
    with pytest.raises(CheckpointError, match="must be whole"):
        load_checkpoint(tmp_path / "long")


def test_safetensors_of_others_are_told_from_ours(tmp_path: Path) -> None:
    safetensors.torch.save_file({"weight": torch.zeros(2)}, tmp_path / "other")
    with pytest.raises(CheckpointError, match="safetensors without one"):
        load_checkpoint(tmp_path / "other")


def test_a_checkpoint_of_format_2_is_read_as_one_that_tells_no_radiometry(saved: Path) -> None:
    stored = read_header(saved).spec.to_dict()
    old = {name: value for name, value in stored.items() if name not in TRAINING_FACTS}
    path = rewritten(saved, saved.parent / "old", header={"format_version": 2, "spec": old})
    loaded = load_checkpoint(path)
    assert (loaded.model.spec.sar_radiometry, loaded.model.spec.optical_offset) == ("unknown", "applied")
    assert loaded.header.spec == load_checkpoint(saved).header.spec


def test_facts_of_the_training_are_kept_and_are_no_argument_of_the_model(tmp_path: Path) -> None:
    model = FusionUNet(**KWARGS)
    model.spec = replace(model.spec, sar_radiometry="gamma0", optical_offset="left_in")
    save_checkpoint(tmp_path / "m.safetensors", model, name="fusion_unet", kwargs=KWARGS)
    assert load_checkpoint(tmp_path / "m.safetensors").model.spec == model.spec


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "os.system"}, "must be one of .*got 'os.system'"),
        ({"model": "geocr.models.unet:FusionUNet"}, "must be one of"),
        ({"format_version": 1}, "reads checkpoints of formats 2 and 3, got 1"),
        ({"surprise": 1}, "unknown: surprise"),
        ({"spec": {"level": "L1C"}}, "stored ModelSpec must have exactly"),
        ({"spec": None}, "stored ModelSpec must be a JSON object"),
        ({"kwargs": {"widths": [3, 4]}}, "differs in optical_in, optical_out"),
        ({"kwargs": {"widths": "wide"}}, "cannot be built"),
        ({"kwargs": {**KWARGS, "widths": [10**7, 10**7]}}, "of another shape"),
    ],
)
def test_headers_that_were_tampered_with_are_refused(saved: Path, change: dict[str, Any], message: str) -> None:
    path = rewritten(saved, saved.parent / "tampered", header=change)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(path)


def test_weights_must_be_exactly_the_models(saved: Path) -> None:
    wrong: dict[str, Any] = {"head.bias": None, "stranger": torch.zeros(1), "head.weight": torch.zeros(2, 3, 3, 3)}
    path = rewritten(saved, saved.parent / "wrong", weights=wrong)
    with pytest.raises(
        CheckpointError, match=r"missing: head\.bias; unknown: stranger; of another shape: head\.weight \(2, 3, 3, 3\) for \(3, 3, 1, 1\)"
    ):
        load_checkpoint(path)


def test_long_lists_of_keys_are_shortened(saved: Path) -> None:
    path = rewritten(saved, saved.parent / "wrong", weights={f"stranger{n:02d}": torch.zeros(1) for n in range(11)})
    with pytest.raises(CheckpointError, match=r"stranger07 and 3 more$"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    "body", [b"{}", b'{"a": 1}', b'{"__metadata__": 3}', b"{" * 100_000, b'{"a": {"shape": [1], "data_offsets": [0]}}']
)
def test_damaged_lists_of_tensors_are_refused(tmp_path: Path, body: bytes) -> None:
    (tmp_path / "bad").write_bytes(len(body).to_bytes(8, "little") + body)
    with pytest.raises(CheckpointError):
        load_checkpoint(tmp_path / "bad")


@pytest.mark.parametrize("text", ["", "[]", "{}", "3", '{"format_version": 2}'])
def test_damaged_geocr_headers_are_refused(tmp_path: Path, text: str) -> None:
    safetensors.torch.save_file({"weight": torch.zeros(2)}, tmp_path / "bad", {"geocr": text})
    with pytest.raises(CheckpointError, match="geocr header"):
        load_checkpoint(tmp_path / "bad")
