"""`geocr train`: where settings come from, dry runs, and what is refused."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from geocr.cli.app import app
from geocr.cli.train import _duration
from geocr.core.errors import GeocrError, InputError
from geocr.data.datasets.synthetic import Synthetic
from geocr.data.sample import FusionSample
from geocr.training.build import build_model
from geocr.training.config import TrainConfig
from geocr.training.estimate import weigh
from geocr.training.material import Material
from geocr.training.order import SetSource
from geocr.training.recipe import read_recipe
from tests.data_makers.sen12mscr import make_sen12mscr
from tests.training.runs import settings
from tests.training.small import SMALL, TRAIN_AND_VAL, options


def geocr(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["train", *arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sen12mscr(tmp_path_factory.mktemp("cli"), TRAIN_AND_VAL, patches=(1, 2, 3, 4))


def test_a_dry_run_trains_nothing_and_tells_sizes(data: Path, tmp_path: Path) -> None:
    small = options([*SMALL["dsen2cr"], "data.batch=2", "run.device=cpu", "run.epochs=3"])
    shown = geocr("--recipe", "dsen2cr", "--data", f"sen12mscr={data}", "-o", str(tmp_path / "run"), "--dry-run", "--json", *small).output
    told = json.loads(shown)
    # 3 x 3 convolutions with bias: 15 to 4, twice 4 to 4, 4 to 13
    parameters = (15 * 9 + 1) * 4 + 2 * (4 * 9 + 1) * 4 + (4 * 9 + 1) * 13
    assert told["estimate"]["parameters"] == told["estimate"]["trained"] == parameters
    assert told["estimate"]["train_samples"] == told["estimate"]["val_samples"] == 4
    assert told["estimate"]["steps"] == 3 * 2
    assert told["estimate"]["forward_gflop"] == pytest.approx(2 * 9 * (15 * 4 + 2 * 4 * 4 + 4 * 13) * 16 * 16 / 1e9)
    assert told["estimate"]["hours"] > 0
    assert told["config"]["optimizer"]["lr"] == 7e-5
    assert not (tmp_path / "run").exists()
    text = geocr("--recipe", "dsen2cr", "--data", f"sen12mscr={data}", "--dry-run", *small).output
    assert "optimizer:\n  name: nadam\n  lr: 7.0e-05" in text
    assert f"{parameters:,}, of which {parameters:,} are trained" in text


@pytest.mark.parametrize(("recipe", "published_gmac"), [("dsen2cr", 1241.0), ("glfcr", 249.7)])
def test_counted_work_is_the_published_one(recipe: str, published_gmac: float) -> None:
    """Figures of tables that compare these models at 256 pixels, in multiplications: two operations each."""
    config = TrainConfig.from_dict(read_recipe(recipe))
    model = build_model(config.model, seed=0, device="meta")
    material = Material(SetSource(OneSample(256), seed=0), OneSample(256), (), (0,))
    _, _, flop, kept = weigh(model, material, config)
    assert flop / 2e9 == pytest.approx(published_gmac, rel=0.002)
    assert kept > 256 * 256 * 13 * 4


class OneSample:
    """A sample of 13 bands and a mask, any size."""

    def __init__(self, side: int) -> None:
        self.data = Synthetic(".", length=1, size_px=side)

    def __len__(self) -> int:
        return 1

    def set_epoch(self, epoch: int) -> None: ...

    def __getitem__(self, index: int) -> FusionSample:
        return self.data[index]


def test_settings_from_a_file_with_single_ones_changed(tmp_path: Path) -> None:
    config = settings(tmp_path / "data")
    (tmp_path / "mine.yaml").write_text(config.to_yaml())
    run = geocr(str(tmp_path / "mine.yaml"), "-o", str(tmp_path / "run"), "--json", "--set", "run.max_steps=1")
    told = json.loads(run.stdout)
    assert (told["steps"], told["finished"], told["folder"]) == (1, True, str(tmp_path / "run"))
    assert Path(told["best"]).exists()
    more = json.loads(geocr("--resume", str(tmp_path / "run"), "--set", "run.max_steps=3", "--json").stdout)
    assert (more["steps"], more["finished"]) == (3, True)
    assert "val_psnr_db" in more


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--recipe", "sscr", "--resume", "x"], "settings come from one place; got --recipe and --resume"),
        (["--recipe", "sscr", "--data", "sen12mscr"], "--data takes NAME=PATH"),
        (["--data", "sen12mscr=x"], "--data needs to know what to train"),
        (["--s1", "a"], "scenes are given by both --s1 and --s2"),
        (["--recipe", "sscr", "--data", "a=b", "--s1", "a", "--s2", "b"], "on a data set .* or on scenes .* got both"),
        (["--recipe", "sscr", "--set", "optimizer.lr"], "--set takes PATH=VALUE"),
        (["--recipe", "sscr", "--set", "optimizer.speed=1"], "optimizer.speed is no setting; optimizer has name, lr, args"),
        (["--recipe", "sscr"], "give --data sen12mscr=PATH"),
        (["missing.yaml"], "a configuration must be a readable YAML file; there is nothing at missing.yaml"),
        (["--recipe", "sscr", "--set", "optimizer.lrr=1"], "did you mean 'lr'?"),
        (["--recipe", "sscr", "--set", "optimiser.lr=1"], "a configuration has about, model"),
        (["--recipe", "sscr", "--set", "loss.l1.wieght=1"], "loss.l1 has loss, weight, args, of; did you mean 'weight'?"),
        (["--recipe", "pix2pix", "--set", "adversarial.optimizer.lrr=1"], "adversarial.optimizer has name, lr, args; did you mean 'lr'?"),
        (["--recipe", "scr"], "got 'scr'; did you mean 'sscr'?"),
        (["--resume", "no_run"], "there is no run in no_run"),
    ],
)
def test_wrong_options_are_refused_in_words(arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GeocrError, match=said):
        geocr(*arguments)
    assert not (tmp_path / "runs").exists()


def test_settings_of_a_dry_run_are_a_file_to_train_from(data: Path, tmp_path: Path) -> None:
    small = options([*SMALL["dsen2cr"], "data.batch=2", "run.device=cpu", "run.epochs=3"])
    shown = geocr("--recipe", "dsen2cr", "--data", f"sen12mscr={data}", "--dry-run", *small)
    (tmp_path / "settings.yaml").write_text(shown.stdout)
    assert "sizes" in shown.stderr
    again = geocr(str(tmp_path / "settings.yaml"), "--dry-run")
    assert again.stdout == shown.stdout
    assert again.exit_code == 0


def test_a_gpu_that_is_not_there_is_told_before_training(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    asked = ["--recipe", "dsen2cr", "--data", f"sen12mscr={data}", "--set", "run.device=cuda", "--set", "run.devices=2"]
    with pytest.raises(InputError, match=r"asks for as many GPUs; this machine has 1; use run\.device=cpu or fewer"):
        geocr(*asked, "--dry-run")


@pytest.mark.parametrize(("hours", "told"), [(0.0001, "0.4 s"), (0.2, "12 min"), (3.46, "3.5 h"), (1200, "1,200.0 h")])
def test_a_time_is_told_in_a_unit_that_fits(hours: float, told: str) -> None:
    assert _duration(hours) == told


def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(InputError, match="settings are a YAML mapping with keys such as model and data"):
        geocr(str(tmp_path / "list.yaml"))


def test_ctrl_c_before_the_first_step_ends_at_once_in_words(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("geocr.training.run.open_material", interrupted)
    stopped = geocr("--recipe", "dsen2cr", "--data", f"sen12mscr={data}", "-o", str(tmp_path / "run"), *options(SMALL["dsen2cr"]))
    assert stopped.exit_code == 130
    assert "stopped at once; geocr train --resume" in stopped.stderr
