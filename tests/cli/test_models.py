"""`geocr models`: every model of the table, with what its own code says."""

import json

import pytest
from typer.testing import CliRunner

from geocr.cli.app import app
from geocr.models import MODELS
from geocr.models.base import FusionInput, FusionModel, FusionOutput
from geocr.models.listing import describe_model
from geocr.models.unet import FusionUNet


@pytest.fixture(scope="module")
def listed() -> dict[str, dict[str, object]]:
    content: dict[str, dict[str, object]] = json.loads(CliRunner().invoke(app, ["models", "--json"]).output)
    return content


def test_json_has_every_model_with_paper_size_and_licence(listed: dict[str, dict[str, object]]) -> None:
    assert set(listed) == set(MODELS)
    for name, facts in listed.items():
        kind: type[FusionModel] = MODELS.load(name)
        assert facts["parameters"] == kind.card.counts[0][1]
        assert facts["paper"] == kind.card.paper
        assert facts["original_licence"] == kind.card.original_licence
        assert facts["torch_export"] == (kind.card.not_exportable or "yes")


def test_options_are_the_arguments_with_their_defaults_and_choices(listed: dict[str, dict[str, object]]) -> None:
    options = listed["sscr"]["options"]
    assert isinstance(options, dict)
    assert options["backbone"] == {"default": "sscr", "choices": ["sscr", "uncrtaints", "utae", "unet"]}
    assert options["covariance"] == {"default": None, "choices": ["uni", "iso", "diag"]}
    assert options["sar_bands"] == {"default": ["VV", "VH"]}
    assert "normalizer" not in options


def test_the_list_for_people_names_the_same() -> None:
    result = CliRunner().invoke(app, ["models"])
    assert result.exit_code == 0
    blocks = {block.split("\n")[0]: block for block in result.output.strip().split("\n\n")}
    assert set(blocks) == set(MODELS)
    assert "518,541" in blocks["uncrtaints"]
    assert "several dates; the days of its dates" in blocks["utae"]
    assert "covariance=None (uni|iso|diag)" in blocks["uncrtaints"]
    assert "Sentinel-1     none" in blocks["mosaic"]


class Foreign(FusionModel):
    """A model of another package, without a card."""

    def __init__(self) -> None:
        super().__init__(FusionUNet().spec)

    def fuse(self, given: FusionInput) -> FusionOutput:
        return FusionOutput(given.cloudy[:, 0])


def test_a_model_without_a_card_is_listed_without_a_paper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS.__dict__, "_all", {"foreign": f"{__name__}:Foreign"})
    facts = describe_model("foreign")
    assert (facts["paper"], facts["original_licence"], facts["parameters"]) == (None, None, 0)
    assert CliRunner().invoke(app, ["models"]).exit_code == 0
