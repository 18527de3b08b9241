"""An exported model takes physical units and gives the checkpoint's own values, or there is no file."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from geocr.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from geocr.core.errors import CheckpointError, InputError, OutputExistsError
from geocr.data.datasets.synthetic import Synthetic
from geocr.data.sample import FusionSample
from geocr.evaluation import portable
from geocr.evaluation.network import NetworkPredictor, require_fit
from geocr.evaluation.portable import PortableModel, export_model, input_names, output_names, portable_input, require_exportable
from geocr.models import MODELS
from geocr.models.base import FusionModel
from geocr.models.unet import FusionUNet
from geocr.radiometry.normalize import Normalizer
from tests.contracts.small_models import build, card
from tests.evaluation.conftest import BANDS


@pytest.fixture
def net(nets: list[Path]) -> Checkpoint:
    return load_checkpoint(nets[0])


def with_gaps(sample: FusionSample) -> FusionSample:
    """Missing values, echoes beyond the clip and saturated clouds."""
    sample["cloudy"][0, 1, :5] = torch.nan
    sample["cloudy"][0, :, 6:9] = 1.7
    sample["sar"][0, 0, :, :7] = torch.nan
    sample["sar"][0, 1, 9] = 12.0
    return sample


@pytest.mark.parametrize(
    "normalizer",
    [Normalizer(), Normalizer(optical_scale=2, optical_offset=-1, optical_fill=-1, sar_range=(-1, 1), sar_fill=0.5, optical_clip=None)],
)
def test_normalisation_in_the_graph_is_that_of_the_checkpoint(normalizer: Normalizer, tmp_path: Path, sample: FusionSample) -> None:
    kwargs: dict[str, Any] = {"optical_bands": list(BANDS), "level": "L1C", "widths": [3, 4], "variance": True, "tile_px": 64}
    torch.manual_seed(1)
    save_checkpoint(tmp_path / "n.safetensors", FusionUNet(**kwargs, normalizer=normalizer), name="fusion_unet", kwargs=kwargs)
    checkpoint = load_checkpoint(tmp_path / "n.safetensors")
    broken = with_gaps(sample)
    expected = NetworkPredictor.of(checkpoint, name="n").predict([broken])[0]["n"]
    with torch.no_grad():
        mean, variance = PortableModel(checkpoint.model).eval()(*portable_input(checkpoint.header.spec, broken))
    assert expected.variance is not None
    torch.testing.assert_close(mean[0], expected.mean, atol=1e-6, rtol=0)
    torch.testing.assert_close(variance[0], expected.variance, atol=1e-6, rtol=0)


def test_a_torch_program(net: Checkpoint, patches: Synthetic, tmp_path: Path) -> None:
    target = tmp_path / "net.pt2"
    report = export_model(net, [patches[0], with_gaps(patches[1])], target, "torch-export")
    assert report.greatest_difference <= 1e-5
    assert report.patches == ["test-0", "test-1"]
    extra = {portable.METADATA_KEY: ""}
    program = torch.export.load(target, extra_files=extra)
    assert json.loads(extra[portable.METADATA_KEY])["optical_in"] == list(BANDS)
    answer = program.module()(*portable_input(net.header.spec, patches[2]))[0]
    expected = NetworkPredictor.of(net, name="n").predict([patches[2]])[0]["n"].mean
    torch.testing.assert_close(answer[0], expected, atol=1e-5, rtol=0)
    assert [path.name for path in tmp_path.iterdir()] == ["net.pt2"]


def test_onnx(net: Checkpoint, patches: Synthetic, tmp_path: Path) -> None:
    """Run by onnxruntime on a patch that the export did not see."""
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    target = tmp_path / "net.onnx"
    report = export_model(net, [patches[0]], target, "onnx")
    assert report.to_dict()["inputs"] == {"sar": [1, 1, 2, 64, 64], "cloudy": [1, 1, 4, 64, 64], "cloud_mask": [1, 1, 64, 64]}
    session = onnxruntime.InferenceSession(str(target), providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_inputs()] == list(input_names(net.header.spec))
    assert [one.name for one in session.get_outputs()] == ["predicted_mean", "predicted_variance"]
    broken = with_gaps(patches[2])
    given = dict(zip(input_names(net.header.spec), portable_input(net.header.spec, broken), strict=True))
    mean = session.run(["predicted_mean"], {name: tensor.numpy() for name, tensor in given.items()})[0]
    expected = NetworkPredictor.of(net, name="n").predict([broken])[0]["n"].mean.numpy()
    np.testing.assert_allclose(mean[0], expected, atol=1e-4)
    facts = {one.key: one.value for one in onnx.load(str(target)).metadata_props}
    assert json.loads(facts["geocr"])["checkpoint_sha256"] == net.sha256


def test_a_file_with_other_values_is_not_kept(
    net: Checkpoint, sample: FusionSample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = portable._TorchExport.run

    def wrong(self: Any, path: Path, batches: Any) -> Any:
        return [[answer + 0.01 for answer in answers] for answers in honest(self, path, batches)]

    monkeypatch.setattr(portable._TorchExport, "run", wrong)
    with pytest.raises(CheckpointError, match=r"must give what its checkpoint gives: `predicted_mean` of test-0 differs by 0.01"):
        export_model(net, [sample], tmp_path / "net.pt2", "torch-export")
    assert list(tmp_path.iterdir()) == []


def test_values_that_are_no_number_never_pass(
    net: Checkpoint, sample: FusionSample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portable._TorchExport, "run", lambda *_: [[np.full((1, 4, 64, 64), np.nan)] * 2])
    with pytest.raises(CheckpointError, match="differs by nan"):
        export_model(net, [sample], tmp_path / "net.pt2", "torch-export")


def test_refused_with_the_reason_of_the_card(net: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    card = SimpleNamespace(not_onnx="its attention has no operator", not_exportable="its graph depends on the data")
    monkeypatch.setattr(type(net.model), "card", card)
    with pytest.raises(CheckpointError, match="fusion_unet cannot be exported as onnx: its attention has no operator"):
        require_exportable(net, "onnx")
    with pytest.raises(CheckpointError, match="its graph depends on the data"):
        require_exportable(net, "torch-export")
    with pytest.raises(InputError, match="onnx, torch-export"):
        require_exportable(net, "tflite")  # type: ignore[arg-type]


def test_what_cannot_be_checked_is_not_exported(net: Checkpoint, patches: Synthetic, tmp_path: Path) -> None:
    target = tmp_path / "net.pt2"
    with pytest.raises(InputError, match="one patch or more"):
        export_model(net, [], target, "torch-export")
    larger = Synthetic(split="test", length=1, size_px=80, optical_bands=BANDS)[0]
    with pytest.raises(InputError, match="one shape"):
        export_model(net, [patches[0], larger], target, "torch-export")
    target.write_text("mine")
    with pytest.raises(OutputExistsError, match="--overwrite"):
        export_model(net, [patches[0]], target, "torch-export")
    assert target.read_text() == "mine"


def test_errors_of_exporters_become_ours(net: Checkpoint, sample: FusionSample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise KeyError("aten::unheard_of\nand a long listing")

    monkeypatch.setattr(portable._TorchExport, "write", fail)
    with pytest.raises(CheckpointError, match=r"fusion_unet could not be exported as torch-export.*KeyError: .*unheard_of") as caught:
        export_model(net, [sample], tmp_path / "net.pt2", "torch-export")
    assert "choose another format" in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_every_model_that_its_card_allows_exports_to_both_formats(name: str, tmp_path: Path) -> None:
    """Names of inputs and outputs included: a node of torch's must not bear one of ours."""
    model, sample = sample_for(name)
    save_checkpoint(tmp_path / "m.safetensors", model, name=name, kwargs=dict(card(name).small[0]))
    checkpoint = load_checkpoint(tmp_path / "m.safetensors")
    for kind, reason in (("onnx", model.card.not_onnx), ("torch-export", model.card.not_exportable)):
        target = tmp_path / f"m.{kind}"
        if reason is not None:
            with pytest.raises(CheckpointError, match="cannot be exported"):
                export_model(checkpoint, [sample], target, kind)  # type: ignore[arg-type]
            continue
        report = export_model(checkpoint, [sample], target, kind)  # type: ignore[arg-type]
        assert list(report.inputs) == list(input_names(model.spec))
        assert target.is_file()


def test_a_missing_package_is_named(net: Checkpoint, sample: FusionSample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(portable, "import_module", missing)
    with pytest.raises(InputError, match=r"pip install 'geocr\[onnx\]'"):
        export_model(net, [sample], tmp_path / "net.onnx", "onnx")


@pytest.mark.slow
@pytest.mark.real_data
def test_real_patches(real_data: Path, wide_net: Path, tmp_path: Path) -> None:
    from geocr.data.datasets.sen12mscr_flat import Sen12mscrFlat
    from geocr.data.masker import PatchMasker

    triplets = Sen12mscrFlat(real_data / "sen12mscr_triplets", split=None, cloud_mask=PatchMasker(method="rule"))
    for kind in ("onnx", "torch-export"):
        report = export_model(load_checkpoint(wide_net), [triplets[0], triplets[5]], tmp_path / f"net.{kind}", kind)  # type: ignore[arg-type]
        assert report.greatest_difference <= report.tolerance


def sample_for(name: str) -> tuple[FusionModel, FusionSample]:
    """A model of the table, small, and a sample in its bands, units and number of dates."""
    model = build(name, 0)
    spec = model.spec
    side = spec.padded_px(card(name).needs_px)
    dates = 2 if spec.multi_temporal else 1
    rng = np.random.default_rng(0)
    optical = 255.0 if spec.optical_units == "display" else 1.0
    sar = rng.uniform(0, 255, (dates, 2, side, side)) if spec.sar_units == "display" else rng.normal(-12, 4, (dates, 2, side, side))
    bands = tuple(dict.fromkeys((*spec.optical_in, *spec.optical_out)))
    cloudy = rng.uniform(0, optical, (dates, len(bands), side, side))
    meta = {
        "id": "made-up", "dataset": "made-up", "sar_bands": ("VV", "VH"), "optical_bands": bands, "sar_unit": spec.sar_units,
        "optical_unit": spec.optical_units, "days": (2100.0, 2137.0)[:dates],
    }  # fmt: skip
    sample = {
        "sar": torch.from_numpy(sar).float(),
        "cloudy": torch.from_numpy(cloudy).float(),
        "cloud_mask": torch.from_numpy(rng.random((dates, side, side)) < 0.3),
        "valid_mask": torch.ones(side, side, dtype=torch.bool),
        "meta": meta,
    }
    return model, with_gaps(sample) if len(bands) > 1 else sample  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize("name", MODELS)
def test_every_model_of_the_table_fits_between_its_normalisations(name: str) -> None:
    """SAR alone, optical alone, several dates, pictures: the portable model is the checkpoint under evaluation."""
    model, sample = sample_for(name)
    require_fit(model.spec, sample, name)
    expected = NetworkPredictor(name=name, model=model, device=torch.device("cpu")).predict([sample])[0][name]
    with torch.no_grad():
        answers = PortableModel(model).eval()(*portable_input(model.spec, sample))
    assert len(answers) == len(output_names(model.spec))
    white = 255.0 if model.spec.optical_units == "display" else 1.0
    size = max(white, float(expected.mean.abs().max()))
    torch.testing.assert_close(answers[0][0], expected.mean, atol=1e-5 * size, rtol=0)
    if expected.variance is not None:
        torch.testing.assert_close(answers[1][0], expected.variance, atol=1e-5 * size, rtol=0)
