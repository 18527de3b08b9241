"""The words keep up with the code: links lead somewhere, every option and every module is named."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from geocr.cli.app import app

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
COMMANDS = (
    "predict-scene",
    "predict-batch",
    "search",
    "fetch",
    "composite",
    "demo",
    "doctor",
    "models",
    "info",
    "import-checkpoint",
    "report",
    "view",
    "data list",
    "data index",
    "data check",
    "data show",
    "synthesize-clouds",
    "train",
    "evaluate",
    "export",
)


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("command", COMMANDS)
def test_the_reference_names_every_option_and_no_other(command: str) -> None:
    text = CliRunner().invoke(app, [*command.split(), "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"}).output
    options = set(re.findall(r"^\W+(--[a-z0-9-]+)", text, re.MULTILINE)) - {"--help"}
    section = (ROOT / "docs" / "cli.md").read_text().split(f"\n## geocr {command}\n")[1].split("\n## ")[0]
    assert set(re.findall(r"`(--[a-z0-9-]+)`", section)) == options


def test_the_site_names_every_page() -> None:
    named = (ROOT / "mkdocs.yml").read_text()
    pages = [path.relative_to(ROOT / "docs") for path in ROOT.glob("docs/**/*.md")]
    lists = {Path("decisions"), Path("datasets")}  # whose README lists them
    assert [str(page) for page in pages if page.parent not in lists and f"{page}\n" not in named] == []


def test_the_architecture_names_every_module() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    modules = [path for path in ROOT.glob("geocr/**/*.py") if path.name not in ("__init__.py", "_version.py")]
    assert [str(path.relative_to(ROOT)) for path in modules if f"`{path.name}`" not in text and f"**{path.name}**" not in text] == []
