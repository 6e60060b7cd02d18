"""Makes an exception's message fit to leave the cluster: what went wrong stays, the values that it went wrong with do not.

Where a text can be read in two ways, it is read in the way that hides more. This module imports nothing of the package.
"""

from __future__ import annotations

import re
from typing import Literal

LIMIT = 500  # characters of a scrubbed message: it is one detail of an alert, not its body
FULL_LIMIT = 4_000  # characters of a message that the user asked to send as it is
MARK = "***"
_READ = 4_096  # characters that are looked at: a Spark plan in a message can be megabytes
_CUT = "..."

# A JVM or Python stack frame, a plan or the SQL text: everything from there on is for a log, not for a page.
_TRACE = re.compile(
    r"""\s*(?: at\s[\w.$<>/]+\( | \.\.\.\s\d+\s(?:more|common) | Caused\ by: | (?:JVM|Driver)\ stack\s?trace:
        | Traceback\ \(most\ recent | File\ ".*",\ line | ==\ \w+.*\ ==$ | [+:]-\s )""",
    re.VERBOSE,
)
# Lines that come before the message itself: py4j's and the Python worker's wrappers, and the frames of a Python traceback.
_PREAMBLE = re.compile(
    r"\s*(?:An error occurred while calling |An exception was thrown from (?:the )?Python worker|Traceback \(most recent|File \")|\s{2,}"
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

# Nothing after one of these names and a `=`, `:`, `->` or `,` of a printed pair leaves, to the text's end: a password may hold anything.
_AFTER_NAME = re.compile(
    r"""( (?: (?:password|passwd|passphrase|pwd|token|signature|sig|key|secret|credentials?|authorization) (?:[_.\-][\w.\-]{0,60})?
            [\\"'`\])]{0,4} \s* (?: [=:]>? | -> | %3[ad] )
          | \([^\s(),]{0,60}(?:password|passwd|pwd|token|key|secret),
          | --?[\w\-]{0,60}(?:password|passwd|pwd|token|secret)\s
          | \bbearer\b )
        [\s=:>]* )(.+)""",
    re.VERBOSE | re.IGNORECASE,
)

# Read from left to right; what opens first counts, so a quote inside a quoted value is no border.
_VALUE = re.compile(
    r"""
      (?P<user> (?<![^\s'"`@]) (?:[^\s'"`@]*@)+ )                           # user:password@, in a URL or before a host
    | //(?P<odd> [^\s'"`]*['"`]\S*@.* )                                      # the same with a quote inside: all of the rest
    | //(?P<place> [^\s?\#'"`]* ) [?\#][^\s'"`]*                             # a URL's query and fragment
    | (?P<apostrophe> (?: (?<=[A-Za-z]{2}) | (?<=\bI) ) '(?:t|s|re|ve|ll|d|m)(?![\w']) )   # can't, table's
    | (?P<single> '(?:[^'\\]|\\.?|'(?=\w))*'? )
    | (?P<double> "(?:[^"\\]|\\.?|"(?=\w))*"? )
    | (?P<curly> \u201c[^\u201d]*\u201d? | \u2018[^\u2019]*\u2019? )
    | (?P<backtick> `[^`]*`? )
    | (?P<equals> =[=>~]?\s* ) (?P<assigned> [^\s'"`\u201c\u2018]+ )
    """,
    re.VERBOSE,
)
_CURLY = {"\u201c": "\u201d", "\u2018": "\u2019"}
_CLOSERS = ")]},.;:"  # may end the sentence rather than the value
_NAME = re.compile(r"[^\W\d][\w .$-]{0,127}\Z")
# A card, phone or account number; a token that mixes digits and letters at length.
_LIKE_A_VALUE = re.compile(r"\d{9}|\d{3}-\d{2}-\d{4}|(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{20}|[A-Za-z0-9]{32}")


def one_line(text: str, limit: int) -> str:
    """The text on one line of at most `limit` characters (`...` where it was cut), without control characters and lone surrogates."""
    valid = text.encode("utf-8", "replace").decode("utf-8")
    line = " ".join(_CONTROL.sub(" ", valid).split())
    return line if len(line) <= limit else line[: max(0, limit - len(_CUT))].rstrip() + _CUT[:limit]


def scrub(text: str) -> str:
    """The message without values: nothing quoted or assigned, no URL user info or query, nothing after `password=` and its like.

    One line of at most 500 characters; a stack trace is cut to the message before it. Scrubbing again changes nothing.
    """
    text = _until_blank(text)
    before = None
    # Hiding one value can show another (a URL without its user still has its query): again, until nothing changes. Every round but the
    # last makes the text shorter or turns characters of it into marks, so it ends.
    while text != before:
        before = text
        text = one_line(_without_values(one_line(_message(text), _READ)), LIMIT)
    return text


def describe(exception: BaseException, mode: Literal["class", "scrubbed", "full"]) -> str:
    """The exception for an alert: its class alone, with its scrubbed message, or with its message as it is. Never raises."""
    kind = _class_name(exception)
    if mode == "class":
        return kind
    try:
        message = str(exception)
        if mode == "full":
            valid = message.strip().encode("utf-8", "replace").decode("utf-8")
            shown = valid if len(valid) <= FULL_LIMIT else valid[: FULL_LIMIT - len(_CUT)] + _CUT
        else:
            # Below the first line of Spark's messages come the plan and the SQL text, which are made of values.
            shown = scrub(_first_line(message) if kind.startswith(("pyspark.", "py4j.")) else message)
    except Exception:
        shown = "(its message could not be read)"
    return f"{kind}: {shown}" if shown else kind


def _class_name(exception: BaseException) -> str:
    kind = type(exception)
    module = str(kind.__module__)
    return kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"


def _until_blank(text: str) -> str:
    """What is looked at of a long text. It ends between two words: half a URL would not show where its password is."""
    if len(text) <= _READ:
        return text
    return re.sub(r"\S*\Z", "", text[:_READ])


def _message(text: str) -> str:
    """The lines of the message itself, without the wrappers before it and the stack trace after it."""
    lines = [line for line in text.splitlines() if line.strip()]
    start = next((n for n, line in enumerate(lines) if not _PREAMBLE.match(line)), 0)
    kept: list[str] = []
    for line in lines[start:]:
        if kept and _TRACE.match(line):
            break
        # py4j puts ": " in front of the JVM's own text.
        kept.append(line.removeprefix(": ") if not kept else line)
    return "\n".join(kept)


def _first_line(text: str) -> str:
    return _message(_until_blank(text)).partition("\n")[0]


def _without_values(line: str) -> str:
    return _VALUE.sub(_hidden, _AFTER_NAME.sub(lambda found: found[1] + _mark(found[2]), line))


def _mark(value: str) -> str:
    # Never longer than what it stands for: a text does not grow by being scrubbed.
    return MARK[: len(value)]


def _hidden(found: re.Match[str]) -> str:
    text = found[0]
    kind = found.lastgroup
    if kind == "apostrophe":
        return text
    if kind == "user":
        return _without_user(text)
    if kind == "odd":
        return "//" + _mark(found["odd"])
    if kind == "place":
        return "//" + found["place"]
    if kind == "backtick":
        return text if _is_name(text) else _quoted(text, "`")
    if kind == "assigned":
        value = found["assigned"].rstrip(_CLOSERS) or found["assigned"]
        return found["equals"] + _mark(value) + found["assigned"][len(value) :]
    return _quoted(text, _CURLY.get(text[0], text[0]))


def _quoted(text: str, closer: str) -> str:
    end = closer if len(text) > 1 and text.endswith(closer) else ""
    return text[0] + _mark(text[1 : len(text) - len(end)]) + end


def _is_name(text: str) -> bool:
    name = text[1:-1]
    return text.endswith("`") and bool(_NAME.match(name)) and not _LIKE_A_VALUE.search(name)


def _without_user(text: str) -> str:
    if ":" not in text and "/" not in text:
        return text  # java.lang.Object@1a2b3c
    scheme, slashes, _user = text.partition("//")
    return scheme + slashes if slashes else _mark(text[:-1]) + "@"
