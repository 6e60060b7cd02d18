"""Which part of an expectation is the value that was found: `avg(price)` of `avg(price) > 10`. For showing only; it decides nothing."""

from __future__ import annotations

import re

# Strings and quoted names with their doublings and escapes, comments, words, comparisons, then any one character.
_TOKEN = re.compile(
    r"""(?P<quoted>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`(?:[^`]|``)*`)
    |(?P<comment>--[^\n]*|/\*.*?\*/)
    |(?P<word>[A-Za-z_][A-Za-z_0-9]*)
    |(?P<comparison><=>|<>|!=|<=|>=|==|=|<|>)
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_DEEPER = {"(": 1, "[": 1, ")": -1, "]": -1}
_TRIED = {"sum": "try_sum", "avg": "try_avg", "mean": "try_avg"}
_WORDS = frozenset({"between", "in", "is", "like", "ilike", "rlike", "regexp"})


def observed_part(expectation: str) -> str | None:
    """The text in front of the only comparison at the expectation's top level; None where it is of another form."""
    text = _unwrapped(expectation.strip())
    depth, cases, ends, between, is_ = 0, 0, [], False, False
    for token in _TOKEN.finditer(text):
        kind, found = token.lastgroup, token.group().lower()
        depth += _DEEPER.get(found, 0) if kind == "other" else 0
        cases += {"case": 1, "end": -1}.get(found, 0) if kind == "word" else 0
        if depth or cases:
            continue
        if kind == "word" and found in ("or", "not", "and"):
            if found == "and" and between:
                between = False
            elif found != "not" or not (is_ or _then(text, token.end()) in _WORDS):
                return None
        elif kind == "comparison" or (kind == "word" and found in _WORDS):
            ends.append(token.start())
            between, is_ = found == "between", found == "is"
    if len(ends) != 1:
        return None
    part = re.sub(r"\bnot\s*$", "", text[: ends[0]], flags=re.IGNORECASE).strip()
    return part or None


def without_overflow(expectation: str) -> str:
    """The text with try_sum and try_avg for sum and avg: they give NULL where those raise an error."""

    def tried(token: re.Match[str]) -> str:
        """The token, or the name of the function to call instead."""
        other = _TRIED.get(token.group().lower()) if token.lastgroup == "word" else None
        return other if other and expectation[token.end() :].lstrip().startswith("(") else token.group()

    return _TOKEN.sub(tried, expectation)


def _then(text: str, start: int) -> str:
    """The word that follows."""
    match = re.match(r"\s*(\w+)", text[start:])
    return "" if match is None else match[1].lower()


def _unwrapped(text: str) -> str:
    """The text without parentheses that enclose all of it."""
    while text.startswith("("):
        depth = 0
        for token in _TOKEN.finditer(text):
            depth += _DEEPER.get(token.group(), 0) if token.lastgroup == "other" else 0
            if depth == 0:
                break
        if depth or token.end() != len(text):
            return text
        text = text[1:-1].strip()
    return text
