"""A self-contained HTML page: headings, tables and pictures, no script, nothing to fetch."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1c1f23;max-width:1080px;margin:2rem auto;
padding:0 1rem}
h1{font-size:1.6rem;margin:0 0 .2rem}h2{font-size:1.15rem;margin:2rem 0 .5rem}
table{border-collapse:collapse;margin:.3rem 0}
td,th{padding:.25rem .8rem .25rem 0;text-align:left;border-bottom:1px solid #e3e6ea;
vertical-align:top}.wide{overflow-x:auto}td.s{white-space:nowrap}td.t{min-width:16rem;
overflow-wrap:anywhere}th.n{text-align:right}
td.n{text-align:right;font-variant-numeric:tabular-nums}img{max-width:100%;height:auto}
p.lead{color:#4a5058}.yes{color:#0a7f5a}.no{color:#c2412d}
.cards{display:flex;flex-wrap:wrap;gap:1rem}.card{border:1px solid #e3e6ea;border-radius:6px;
padding:.6rem 1rem;min-width:8rem}.card b{display:block;font-size:1.3rem}
"""
_SHORT = 24
"""Longest text of a cell that is not broken into lines, characters."""
_LEAST_FIXED = 0.00005
"""Of four decimals nothing is left of what is less."""


class Page:
    """Collects parts in reading order and writes them as one file.

    Parameters
    ----------
    title
        Heading and window title.
    lead
        One sentence under it.
    """

    def __init__(self, title: str, lead: str) -> None:
        self._title = title
        self._parts = [f"<h1>{escape(title)}</h1><p class='lead'>{escape(lead)}</p>"]

    def heading(self, text: str) -> None:
        """Add a section heading."""
        self._parts.append(f"<h2>{escape(text)}</h2>")

    def paragraph(self, text: str) -> None:
        """Add a paragraph of plain text."""
        self._parts.append(f"<p>{escape(text)}</p>")

    def cards(self, figures: Mapping[str, object]) -> None:
        """Add a row of headline figures."""
        cards = "".join(
            f"<div class='card'><b>{escape(show(value))}</b>{escape(name)}</div>"
            for name, value in figures.items()
        )
        self._parts.append(f"<div class='cards'>{cards}</div>")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Add a table; numbers are set to the right, booleans become yes and no."""
        head = "".join(
            f"<th{_over(row[place] for row in rows)}>{escape(column)}</th>"
            for place, column in enumerate(columns)
        )
        body = "".join(f"<tr>{''.join(_cell(value) for value in row)}</tr>" for row in rows)
        self._parts.append(f"<div class='wide'><table><tr>{head}</tr>{body}</table></div>")

    def picture(self, png: bytes, description: str) -> None:
        """Add a picture; `description` is read where it cannot be seen."""
        data = base64.b64encode(png).decode()
        self._parts.append(
            f"<p><img alt='{escape(description, quote=True)}' "
            f"src='data:image/png;base64,{data}'></p>"
        )

    def write(self, path: Path) -> None:
        """Write the page whole, or not at all."""
        text = (
            f"<!doctype html><html lang='en'><meta charset='utf-8'>"
            f"<title>{escape(self._title)}</title><style>{_STYLE}</style>"
            f"<body>{''.join(self._parts)}</body></html>"
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)


def show(value: object) -> str:
    """Return a value as people read it: thousands apart, no false precision."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if not math.isfinite(value):
            return "n/a"
        if 0.0 < abs(value) < _LEAST_FIXED:
            return f"{value:.1e}"
        return f"{value:,.2f}" if abs(value) >= 1.0 else f"{value:.4f}"
    return str(value)


def _over(values: Iterable[object]) -> str:
    """Return the class of the head over a column's values: numbers have theirs to the right."""
    are_numbers = [isinstance(v, (int, float)) and not isinstance(v, bool) for v in values]
    return " class='n'" if are_numbers and all(are_numbers) else ""


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return f"<td class='{show(value)}'>{show(value)}</td>"
    told = show(value)
    text = "s" if len(told) <= _SHORT else "t"
    kind = "n" if isinstance(value, (int, float)) else text
    return f"<td class='{kind}'>{escape(told)}</td>"
