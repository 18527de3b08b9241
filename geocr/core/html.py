"""Facts as a small HTML table, for notebooks: escaped, no scripts, no styles beyond alignment."""

from collections.abc import Iterable, Sequence
from html import escape


def facts_table(title: str, rows: Iterable[Sequence[str]], *, head: Sequence[str] = (), notes: Sequence[str] = ()) -> str:
    """A table whose rows are a name and its values.

    Args:
        title: Above it.
        rows: A name and one value for each column.
        head: Titles of the columns; left out when empty.
        notes: Sentences below it, folded away.

    Returns:
        HTML; every text is escaped.
    """
    lines = [f"<caption style='text-align:left'><b>{escape(title)}</b></caption>"]
    if head:
        lines.append(f"<tr><th></th>{''.join(f'<th>{escape(text)}</th>' for text in head)}</tr>")
    for name, *values in rows:
        cells = "".join(f"<td style='text-align:left'>{escape(value)}</td>" for value in values)
        lines.append(f"<tr><th style='text-align:left'>{escape(name)}</th>{cells}</tr>")
    folded = "".join(f"<li>{escape(note)}</li>" for note in notes)
    below = f"<details><summary>{len(notes)} notes</summary><ul>{folded}</ul></details>" if notes else ""
    return f"<div><table>{''.join(lines)}</table>{below}</div>"
