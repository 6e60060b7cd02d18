"""Which scheme belongs to which secret provider: ours, and those that other packages bring by entry point."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import cast

from spark_pd.model import SecretProvider, SecretReference, names
from spark_pd.model.errors import SecretError
from spark_pd.secrets import cerberus, databricks, env, file

logger = logging.getLogger("spark_pd.secrets")

GROUP = "spark_pd.secrets"
BUILT_IN: Mapping[str, SecretProvider] = MappingProxyType(
    {"env": env.provide, "file": file.provide, "databricks": databricks.provide, "cerberus": cerberus.provide}
)
# Two characters at least: `C:\keys` is a Windows path, and a reference is one line.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+._-]+")
_REFERENCE = re.compile(rf"(?P<scheme>{_SCHEME.pattern}):(?P<path>[^\r\n]*)")


def parse_reference(text: str) -> SecretReference | None:
    """The reference that `text` is, or None where it is none: no scheme, or one that nobody registered, as in a URL or a plain key.

    The scheme may be in any case; whitespace around the text and the path is dropped. It is `resolve` that judges the path.
    """
    match = _REFERENCE.fullmatch(text.strip())
    if match is None:
        return None
    scheme = match["scheme"].lower()
    # Ours first: only a foreign scheme is worth a look at the installed packages.
    if scheme not in BUILT_IN and scheme not in _plug_ins():
        return None
    return SecretReference(scheme, match["path"].strip())


def schemes() -> tuple[str, ...]:
    """The schemes that a reference can have: the built-in ones, then those of installed packages by alphabet. It loads none of them."""
    return (*BUILT_IN, *sorted(_plug_ins()))


def provider_for(scheme: str) -> SecretProvider:
    """The provider of a scheme, loaded now. Raises SecretError where there is none, two packages claim it, or it does not load."""
    if scheme in BUILT_IN:
        return BUILT_IN[scheme]
    found = _plug_ins().get(scheme, ())
    if not found:
        raise SecretError(f"no secret provider for the scheme {scheme!r}; use {names(schemes())}, or install the package that brings it")
    if len(found) > 1:
        raise SecretError(f"{names([_described(each) for each in found])} all provide it; uninstall all but one")
    return _loaded(found[0])


def _loaded(entry: EntryPoint) -> SecretProvider:
    # The error's text stays out: it is a stranger's, and may hold anything. What helps most is the missing module's name.
    missing = None
    try:
        provider = entry.load()
    except Exception as error:
        reason = type(error).__name__
        if isinstance(error, ImportError) and error.name:
            missing = error.name
    else:
        if callable(provider):
            return cast(SecretProvider, provider)
        reason = f"a {type(provider).__name__} is not callable"
    cause = f"{reason}, module {missing!r}" if missing else reason
    raise SecretError(f"{_described(entry)} could not be loaded ({cause}); repair or uninstall that package")


def _plug_ins() -> Mapping[str, tuple[EntryPoint, ...]]:
    """Scheme -> the entry points that claim it. Looked up each time, since a notebook may install a package while it runs."""
    try:
        found = tuple(entry_points(group=GROUP))
    except Exception as error:  # one broken package's metadata may not take the built-in schemes away
        logger.warning("the packages' metadata cannot be read (%s); only the built-in secret providers are known", type(error).__name__)
        return {}
    plug_ins: dict[str, tuple[EntryPoint, ...]] = {}
    for entry in found:
        scheme = entry.name.lower()
        if scheme in BUILT_IN:
            logger.warning("%s is ignored: the scheme %r is built in and cannot be replaced", _described(entry), scheme)
        elif _SCHEME.fullmatch(scheme) is None:
            logger.warning("%s is ignored: a scheme has a letter, then letters, digits, or any of + . _ -", _described(entry))
        elif entry.value not in {each.value for each in plug_ins.get(scheme, ())}:
            plug_ins[scheme] = (*plug_ins.get(scheme, ()), entry)
    return plug_ins


def _described(entry: EntryPoint) -> str:
    owner = entry.dist.name if entry.dist is not None else "an unknown package"
    return f"the secret provider {entry.name!r} of {owner} ({entry.value})"
