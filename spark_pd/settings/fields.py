"""What a setting's value may be. Each kind is a marshmallow field that turns what a source gives, often text, into the value we use."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from numbers import Real
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from marshmallow import ValidationError, fields, validate

from spark_pd.model import Secret, SecretReference
from spark_pd.model.recurring_window import EXPECTED, parse_windows
from spark_pd.secrets.urls import is_loopback

if TYPE_CHECKING:
    Field = fields.Field[Any]
else:  # a generic class from marshmallow 4 on only
    Field = fields.Field

# ASCII and plain: float() alone would also take "1_000", "nan" and the digits of every script.
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?|[0-9a-f:.]*:[0-9a-f:.]*")  # a name, IPv4, or IPv6 without brackets


class Kind(Field):
    """A setting's kind. `expected` ends the sentence "expected ..." in a mistake.

    Where a setting may be unset (`optional`), None and the empty text, Spark's and the environment's only word for it, both say so.
    """

    def __init__(self, expected: str, *, optional: bool = False, check: validate.Validator | None = None) -> None:
        self.expected = expected
        # load_default stays missing, so allow_none is all that decides about None.
        super().__init__(allow_none=optional, validate=check, error_messages={"null": expected})

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, str):
            value = value.strip()
            if self.allow_none and not value:
                return None
        return self.read(value)

    def _validate(self, value: Any) -> None:
        if value is not None:
            super()._validate(value)

    def read(self, value: Any) -> Any:
        """The value we use. Raises ValidationError, which says what was expected."""
        raise self.unexpected()

    def unexpected(self) -> ValidationError:
        """The error for a value that is not of this kind."""
        return ValidationError(self.expected)


class Switch(Kind):
    """True or false: booleans, and these two words in any case, since Spark's configuration knows text only."""

    def __init__(self) -> None:
        super().__init__("true or false")

    def read(self, value: Any) -> bool:
        """The boolean."""
        word = value.lower() if isinstance(value, str) else value
        if word is True or word == "true":
            return True
        if word is False or word == "false":
            return False
        raise self.unexpected()


class Number(Kind):
    """A finite number from `least` to `most`, also as text; with `whole` without a fraction."""

    def __init__(self, least: float, most: float, what: str, *, whole: bool = False, optional: bool = False) -> None:
        expected = f"{what} from {least:g} to {most:g}, {'a whole number' if whole else 'such as 15.5'}"
        self.whole = whole
        super().__init__(expected, optional=optional, check=validate.Range(min=least, max=most, error=expected))

    def read(self, value: Any) -> float:
        """The number, as a float."""
        if isinstance(value, bool) or not isinstance(value, (Real, Decimal, str)):
            raise self.unexpected()
        if isinstance(value, str) and _NUMBER.fullmatch(value) is None:
            raise self.unexpected()
        try:
            number = float(value)
        except (ValueError, OverflowError):
            raise self.unexpected() from None
        if not math.isfinite(number):
            raise self.unexpected()
        if self.whole and not number.is_integer():
            raise self.unexpected()
        return number + 0.0  # -0.0 becomes 0.0


class Count(Number):
    """A whole number from `least` to `most`, also as text."""

    def __init__(self, least: int, most: int, what: str, *, optional: bool = False) -> None:
        super().__init__(least, most, what, optional=optional)
        self.expected = f"{what} from {least} to {most}, such as 3"
        self.validators = [validate.Range(min=least, max=most, error=self.expected)]

    def read(self, value: Any) -> int:
        """The number, without a fraction. Raises ValidationError for anything else."""
        number = super().read(value)
        if not number.is_integer():
            raise self.unexpected()
        return int(number)


class Choice(Kind):
    """One of a few words, in any case."""

    def __init__(self, words: Sequence[str], *, optional: bool = False) -> None:
        expected = f"{', '.join(words[:-1])} or {words[-1]}"
        super().__init__(expected, optional=optional, check=validate.OneOf(words, error=expected))

    def read(self, value: Any) -> str:
        """The word in lower case; that it is one of the known ones is checked after it."""
        if not isinstance(value, str):
            raise self.unexpected()
        return value.lower()


class Text(Kind):
    """Text, on one line unless `lines`; whitespace around it is dropped."""

    def __init__(self, expected: str = "text on one line; put a number in quotes", *, lines: bool = False) -> None:
        super().__init__(expected, optional=True)
        self.lines = lines

    def read(self, value: Any) -> str:
        """The text as it is."""
        if not isinstance(value, str) or not (self.lines or value.isprintable()):
            raise self.unexpected()
        return value


class File(Text):
    """A file as Python opens it; whether it is there is seen when it is used. A URL is none."""

    def __init__(self, example: str) -> None:
        super().__init__(f"the path of a file as Python opens it, such as {example}")

    def read(self, value: Any) -> str:
        """The file's path as text."""
        return _path(super().read(os.fspath(value) if isinstance(value, os.PathLike) else value), self)


class Params(Kind):
    """Values by name, for the names in braces inside expectations: a mapping, or one as JSON. Numbers become their text."""

    def __init__(self) -> None:
        super().__init__('a mapping of names to text or numbers, or one as JSON, such as {"env": "prod"}', optional=True)

    def read(self, value: Any) -> Mapping[str, str]:
        """Raises ValidationError for anything else; a name is one that may stand in braces."""
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                raise self.unexpected() from None
        if not isinstance(value, Mapping):
            raise self.unexpected()
        plain = all(isinstance(each, (str, int, float)) and not isinstance(each, bool) for each in value.values())
        if not plain or not all(isinstance(name, str) and name.isidentifier() for name in value):
            raise self.unexpected()
        return {name: str(each) for name, each in value.items()}


class LocalPath(Text):
    """A folder or file as Python opens it. A URL is none: whoever writes dbfs:/alerts means /dbfs/alerts."""

    def __init__(self, what: str, name: str) -> None:
        super().__init__(f"{what} as Python opens it, such as /var/lib/{name}, /Volumes/catalog/schema/{name} or /dbfs/{name}")

    def read(self, value: Any) -> str:
        """The folder's path as text."""
        return _path(super().read(os.fspath(value) if isinstance(value, os.PathLike) else value), self)


class Hosts(Kind):
    """Host names, as text with commas between them or as a list; in lower case, each once."""

    def __init__(self) -> None:
        super().__init__("host names such as events.pagerduty.com, separated by commas, without scheme, port or path", optional=True)

    def read(self, value: Any) -> tuple[str, ...]:
        """The names in their order."""
        listed = value.split(",") if isinstance(value, str) else value
        if not isinstance(listed, Sequence) or not all(isinstance(name, str) for name in listed):
            raise self.unexpected()
        names = tuple(dict.fromkeys(name.strip().rstrip(".").lower() for name in listed))
        if not names or not all(_HOST.fullmatch(name) for name in names):
            raise self.unexpected()
        return names


class Columns(Kind):
    """Names of columns, as text with commas between them or as a list; each once, in their order."""

    def __init__(self) -> None:
        super().__init__("names of columns such as order_id, country, or * for all")

    def read(self, value: Any) -> tuple[str, ...]:
        """The names; none where there are none."""
        listed = value.split(",") if isinstance(value, str) else value
        if not isinstance(listed, Sequence) or not all(isinstance(name, str) for name in listed):
            raise self.unexpected()
        return tuple(dict.fromkeys(name.strip() for name in listed if name.strip()))


class Names(Columns):
    """Names or patterns, as text with commas between them or as a list."""

    def __init__(self, what: str, example: str) -> None:
        super().__init__()
        self.expected = what
        self.example = example


class FileOrUrl(Text):
    """The path of a file on this machine, or a URL that `Url` takes."""

    def __init__(self) -> None:
        super().__init__()
        self.expected = "the path of a file, or a URL such as https://events.example/in"

    def read(self, value: Any) -> str:
        """The path or URL, as it is."""
        text = super().read(value)
        if "://" in str(text):
            return Url("https://events.example/in").read(text)
        return str(text)


class TableName(Text):
    """A table's name or path that is made from another's, which stands in it as {table}."""

    def __init__(self) -> None:
        super().__init__(
            "a name or path with {table} in it and something beside, such as {table}_error, quality.{table}_error or /data/errors/{table}"
        )

    def read(self, value: Any) -> str:
        """The pattern as it is."""
        text = super().read(value)
        beside = text.replace("{table}", "")
        if beside in (text, "", "``") or "{" in beside or "}" in beside:  # {table} alone is the target
            raise self.unexpected()
        return text


class Windows(Text):
    """Mute windows, as text; `mutes.parse_windows` reads it."""

    def __init__(self) -> None:
        super().__init__(EXPECTED)

    def read(self, value: Any) -> str:
        """The text as it was given. Raises ValidationError where it is no list of windows."""
        text = super().read(value)
        try:
            parse_windows(text)
        except ValueError as error:
            raise ValidationError(f"{self.expected} ({error})") from None
        return text


class Url(Kind):
    """A URL that alerts or secrets may travel to: https, or http to this machine; no user, query or fragment."""

    def __init__(self, example: str) -> None:
        super().__init__(f"a URL such as {example}", optional=True)

    def read(self, value: Any) -> str:
        """The URL as it is."""
        if not isinstance(value, str) or not value.isprintable() or re.search(r"[\s\\]", value):
            raise self.unexpected()
        try:
            parts = urlsplit(value)
            host, _port = parts.hostname, parts.port  # the port is checked when it is read
        except ValueError:
            raise self.unexpected() from None
        if parts.scheme not in ("https", "http") or not host:
            raise self.unexpected()
        if "@" in parts.netloc:
            raise ValidationError(f"{self.expected}, without a user or password in it")
        if "?" in value or "#" in value:
            raise ValidationError(f"{self.expected}, without a query or fragment")
        if parts.scheme == "http" and not is_loopback(host):
            raise ValidationError(f"{self.expected}: https, since http is for this machine only (localhost, 127.0.0.1)")
        return value


class Key(Kind):
    """A secret or a reference to one. What it means is for `integration_key` and `other_secrets` to say."""

    def __init__(self, expected: str = "a reference or a key as text; in a YAML file put a key in quotes") -> None:
        super().__init__(expected, optional=True)

    def read(self, value: Any) -> str | Secret | SecretReference:
        """What was given, as it is."""
        if not isinstance(value, (str, Secret, SecretReference)):
            raise self.unexpected()
        return value


def _path(text: str, kind: Kind) -> str:
    """The text, unless it is a URL: whoever writes dbfs:/alerts means /dbfs/alerts."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", text):
        raise kind.unexpected()
    return text


def shown(value: object) -> str:
    """A value for a mistake: short, on one line, and without anything that could be a key or a URL's password."""
    if isinstance(value, (Secret, SecretReference)):
        return "****"
    text = value if isinstance(value, str) else repr(value)
    # Before it is cut: half a password has no "@" behind it any more.
    text = re.sub(r"//[^/]*@", "//****@", text)
    text = re.sub(r"[?#].*", "?****", text, flags=re.DOTALL) if "://" in text else text
    text = re.sub(r"[A-Za-z0-9]{20,}", "****", text)
    text = text if len(text) <= 60 else f"{text[:57]}..."
    return repr(text) if isinstance(value, str) else text
