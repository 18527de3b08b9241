"""A whole HTML page in one string: style and script inside it, and a policy that lets nothing else in or out."""

import base64
import hashlib
from html import escape
from importlib.resources import files


def page_file(name: str) -> str:
    """The text of a file that lies beside this module: a style or a script."""
    return files("geocr.report").joinpath(name).read_text(encoding="utf-8")


def self_contained_page(title: str, body: str) -> str:
    """A page that needs no network and may use none.

    The Content-Security-Policy names style and script by their hashes and pictures as `data:` alone: whatever else a file name or a tag might
    smuggle into the page, no browser runs or fetches it.

    Args:
        title: Plain text.
        body: HTML; whatever comes from files must be escaped in it.
    """
    style, script = page_file("report.css"), page_file("report.js")
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_source_hash(style)}'; script-src '{_source_hash(script)}'; "
        f"base-uri 'none'; form-action 'none'"
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="referrer" content="no-referrer">\n'
        f'<title>{escape(title)}</title>\n<link rel="icon" href="data:,">\n<style>{style}</style>\n</head>\n'
        f"<body>\n{body}\n<script>{script}</script>\n</body>\n</html>\n"
    )


def _source_hash(text: str) -> str:
    """How a policy names an inline style or script (W3C Content Security Policy Level 3, 2.3.1)."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def definitions(facts: list[tuple[str, str]]) -> str:
    """A list of names and values, both plain text."""
    return "<dl>" + "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts) + "</dl>"


def table(heads: list[str], rows: list[list[str]], caption: str) -> str:
    """A table of plain text that scrolls by itself where the screen is narrow."""
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(text)}</td>" for text in row) + "</tr>" for row in rows)
    return (
        f'<div class="scrolls" tabindex="0" role="region" aria-label="{escape(caption)}"><table><caption class="soft">{escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
