"""What the site has beside the pages in `docs/`: the project's own pages, the notebooks, and every option as Typer knows it.

A link is resolved where its page lies in the repository, so that the same page works there and on the site.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from geocr.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
PROJECT_PAGES = {name: f"project/{name.lower()}" for name in ("ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md")}
"""Pages at the root of the repository, and where the site has them."""
NOTEBOOKS = {name: name for name in sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("examples/*.ipynb"))}
"""The site has them where the repository has them: mkdocs-jupyter reads a page by the folder and the path of its file."""
OPTIONS_PAGE = "cli-options.md"
_HREF = re.compile(r'href="([^"#]+)(#[^"]*)?"')
_LINK = re.compile(r"(?<=\]\()([^)\s#]+)(#[^)\s]*)?(?=\))")


@event_priority(100)
def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from elsewhere, before the plugins look for notebooks."""
    for source, target in PROJECT_PAGES.items():
        files.append(File.generated(config, target, content=(ROOT / source).read_text()))
    for target in NOTEBOOKS.values():
        files.append(File(target, str(ROOT), config.site_dir, config.use_directory_urls))
    files.append(File.generated(config, OPTIONS_PAGE, content=options_page()))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Let links lead where their targets are on the site."""
    here = page.file.src_uri
    at_home = {target: source for source, target in (PROJECT_PAGES | NOTEBOOKS).items()}.get(here, f"docs/{here}")

    def moved(match: re.Match[str]) -> str:
        link, anchor = match.group(1), match.group(2) or ""
        if _leads_elsewhere(link):
            return match.group(0)
        return posixpath.relpath(_on_site(link, at_home), posixpath.dirname(here) or ".") + anchor

    return _LINK.sub(moved, markdown)


def on_page_content(html: str, page: Page, files: Files, **_: object) -> str:
    """The same for notebooks, which never are Markdown: their links are resolved here, and a broken one stops the build."""
    homes = {target: source for source, target in NOTEBOOKS.items()}
    if page.file.src_uri not in homes:
        return html

    def moved(match: re.Match[str]) -> str:
        link, anchor = match.group(1), match.group(2) or ""
        if _leads_elsewhere(link):
            return match.group(0)
        target = files.get_file_from_path(_on_site(link, homes[page.file.src_uri]))
        if target is None:
            raise PluginError(f"a notebook links to a page of the site; {page.file.src_uri} links to {link!r}, which is none")
        return f'href="{target.url_relative_to(page.file)}{anchor}"'

    return _HREF.sub(moved, html)


def _leads_elsewhere(link: str) -> bool:
    return "://" in link or link.startswith(("mailto:", "data:"))


def _on_site(link: str, at_home: str) -> str:
    """Where the site has what a page of the repository links to."""
    target = posixpath.normpath(posixpath.join(posixpath.dirname(at_home), link))
    return (PROJECT_PAGES | NOTEBOOKS).get(target, target.removeprefix("docs/"))


def options_page() -> str:
    """Every command with its arguments and options, read from Typer."""
    lines = ["# All options", "", "Made from the commands themselves when the site is built; [what they mean at length](cli.md).", ""]
    for name, command in _commands(typer.main.get_command(app), "geocr"):
        lines += [f"## {name}", "", _paragraphs(command.help), ""]
        context = command.make_context(name, [], resilient_parsing=True)
        usage = " ".join(command.collect_usage_pieces(context))
        lines += ["```", f"{name} {usage}", "```", "", "| option | meaning |", "|---|---|"]
        lines += [_row(option, context) for option in command.params if option.param_type_name == "option" and not option.hidden]
        lines.append("")
    return "\n".join(lines)


def _commands(command: Any, name: str) -> list[tuple[str, Any]]:
    """Commands by their full names. Typer may bring a click of its own, so that nothing here asks for click's classes."""
    if not hasattr(command, "commands"):
        return [(name, command)]
    return [found for child, inner in command.commands.items() for found in _commands(inner, f"{name} {child}")]


def _paragraphs(text: str | None) -> str:
    """Help as Markdown: its first paragraphs, without rich's markup and without the examples, which the long page has."""
    return re.sub(r"\[/?[a-z ]+\]", "", (text or "").split("Examples")[0]).replace("\b", "").replace("<", "&lt;").strip()


def _row(option: Any, context: Any) -> str:
    names, meaning = (text.replace("|", "\\|") for text in option.get_help_record(context))
    return f"| `{names}` | {meaning.replace('<', '&lt;')} |"
