"""`geocr predict-batch`: what a dry run says of a list."""

from pathlib import Path

from tests.cli.conftest import Command


def test_a_dry_run_names_inputs_that_are_missing(geocr: Command, tmp_path: Path) -> None:
    for name in ("a_s1.tif", "a_s2.tif"):
        (tmp_path / name).touch()
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("s1,s2\na_s1.tif,a_s2.tif\n")
    whole = geocr("predict-batch", pairs, "--dry-run", "--json")
    assert (whole.code, whole.json["missing"]) == (0, [])
    pairs.write_text("s1,s2\na_s1.tif,a_s2.tif\na_s1.tif,none_s2.tif\n")
    done = geocr("predict-batch", pairs, "--dry-run")
    assert done.code == 2
    assert done.out.count("->") == 2
    assert f"there is nothing at {tmp_path}/none_s2.tif; mend the list" in done.err
    told = geocr("predict-batch", pairs, "--dry-run", "--json")
    assert told.code == 2
    assert told.json["missing"] == [f"{tmp_path}/none_s2.tif"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a_s1.tif", "a_s2.tif", "pairs.csv"]


def test_help_shows_the_argument_as_people_type_it(geocr: Command) -> None:
    for command in ("predict-batch", "fetch"):
        assert "PAIRS" in geocr(command, "--help").out.splitlines()[1]
