"""Pieces of HTML for notebooks: everything escaped, no scripts, colours for light and dark, and a word beside every colour."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

STYLE = (
    "<style>"
    ".spark-pd{font-family:inherit;line-height:1.45;max-width:60rem;overflow-x:auto;--good:#1a7f37;--bad:#c62828;--none:#6e7781;--line:#d0d7de;--fill:#eaeef2}"
    "@media (prefers-color-scheme:dark){.spark-pd{--good:#4cc26c;--bad:#ff7b72;--none:#9aa4ae;--line:#444c56;--fill:#30363d}}"
    ".spark-pd h4{margin:.2rem 0 .4rem}.spark-pd table{border-collapse:collapse;margin:.4rem 0;width:auto}"
    ".spark-pd caption{text-align:left;font-weight:600;padding:.2rem 0}"
    ".spark-pd th,.spark-pd td{text-align:left;padding:.2rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}"
    ".spark-pd td{overflow-wrap:break-word;max-width:34rem}.spark-pd .n{white-space:nowrap}"
    ".spark-pd .n{text-align:right;font-variant-numeric:tabular-nums}"
    ".spark-pd .good{color:var(--good)}.spark-pd .bad{color:var(--bad)}.spark-pd .none{color:var(--none)}"
    ".spark-pd .bar{display:inline-block;width:8rem;height:.6rem;background:var(--fill);vertical-align:middle}"
    ".spark-pd .bar>span{display:block;height:100%;background:var(--bad)}"
    "@media (max-width:480px){.spark-pd .bar{width:3rem}.spark-pd th,.spark-pd td{padding:.2rem .35rem}}"
    "</style>"
)
_CLASSES = frozenset({"good", "bad", "none", "n"})


def text(value: object) -> str:
    """A value, escaped; None as `unknown`."""
    if value is None:
        return '<span class="none">unknown</span>'
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return escape(str(value), quote=True)


def marked(value: object, kind: str) -> str:
    """A value in the colour of its kind: good, bad or none."""
    return f'<span class="{kind if kind in _CLASSES else "none"}">{text(value)}</span>'


def bar(percent: float | None) -> str:
    """A bar of 0 to 100 %, with the number beside it; nothing but the word where it is unknown."""
    if percent is None:
        return text(None)
    width = min(100.0, max(0.0, percent))
    return f'<span class="bar" role="img" aria-label="{percent:g} percent"><span style="width:{width:.1f}%"></span></span> {percent:g} %'


def table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]], numbers: frozenset[int] = frozenset()) -> str:
    """A table. The cells are HTML already; the caption and the heads are texts. numbers: the columns that are numbers."""
    head = "".join(f'<th scope="col"{_kind(n, numbers)}>{text(each)}</th>' for n, each in enumerate(heads))
    body = "".join("<tr>" + "".join(f"<td{_kind(n, numbers)}>{cell}</td>" for n, cell in enumerate(row)) + "</tr>" for row in rows)
    return f"<table><caption>{text(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>" if body else ""


def _kind(column: int, numbers: frozenset[int]) -> str:
    return ' class="n"' if column in numbers else ""


def link(href: str, shown: str) -> str:
    """A link where it is one that a browser may follow; else the text alone."""
    if not href.startswith(("https://", "http://")):
        return text(shown)
    return f'<a href="{escape(href, quote=True)}" rel="noopener noreferrer" target="_blank">{text(shown)}</a>'


def page(title: str, *parts: str) -> str:
    """All of it: the title is HTML already."""
    return f'{STYLE}<section class="spark-pd"><h4>{title}</h4>{"".join(parts)}</section>'
