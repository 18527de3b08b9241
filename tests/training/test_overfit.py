"""Models learn real clouds away: on four real triplets the error under clouds falls far below that of the cloudy image."""

from pathlib import Path

import pytest

from geocr.data.datasets.sen12mscr_flat import Sen12mscrFlat
from geocr.data.masker import PatchMasker
from geocr.evaluation.measuring import values_of
from geocr.evaluation.run import plan_evaluation, run_plan
from geocr.evaluation.settings import EvaluateSettings
from geocr.training.config import TrainConfig
from geocr.training.overrides import apply_overrides
from geocr.training.recipe import read_recipe
from geocr.training.run import train

TRAINED = ("04065", "04287", "05254", "06317")
"""Between a third and three quarters under thick cloud."""
VALIDATED = "00316"
LEAST_GAIN_DB = 6.0
_TRUNK = ["model.args.encoder_widths=[16]", "model.args.decoder_widths=[16,16]"]
SMALL = {
    "sscr": [*_TRUNK, "model.args.structure_width=8", "run.max_steps=60"],
    "uncrtaints_mono": [*_TRUNK, "run.max_steps=220"],
    "dsen2cr": ["model.args.blocks=1", "model.args.width=24", "run.max_steps=60"],
}
"""Recipe to its size here; losses and units are the recipe's own."""
COMMON = (
    "data.dataset=sen12mscr_flat", "data.batch=4", "data.crop_px=64", "optimizer.lr=0.003", "metrics=geocr", "run.device=cpu", "run.epochs=1000",
    "run.validate_every=1000", "run.pictures=0", "run.tensorboard=false",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.parametrize("name", SMALL)
def test_four_real_triplets_are_learnt_by_heart(name: str, real_data: Path, tmp_path: Path) -> None:
    root, listed = real_data / "sen12mscr_triplets", tmp_path / "split.csv"
    rows = [*((1, one) for one in TRAINED), (2, VALIDATED)]
    listed.write_text("".join(f"{code},s1,s2_cloudfree,s2_cloudy,{one}.tif\n" for code, one in rows))
    places = [f"data.root={root}", f"data.options.split_file={listed}"]
    result = train(TrainConfig.from_dict(apply_overrides(read_recipe(name), [*COMMON, *SMALL[name], *places])), tmp_path / "run")
    seen = Sen12mscrFlat(root, split="train", split_file=listed)
    seen.cloud_mask = PatchMasker(method="rule")
    assert {seen.identify(number) for number in range(len(seen))} == set(TRAINED)
    plan = plan_evaluation(seen, [result.last], EvaluateSettings(baselines=("input",), device="cpu", gallery=False, resamples=100))
    measures = run_plan(plan).measures
    model, cloudy = (values_of(measures[method].whole)["psnr_db_cloudy"] for method in ("last", "input"))
    assert cloudy < 16  # the input is thick cloud, else the gain would mean little
    assert model >= cloudy + LEAST_GAIN_DB
