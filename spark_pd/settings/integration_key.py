"""From what the integration key's setting holds to a secret or a reference to one. Nothing is looked up here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from marshmallow import ValidationError

from spark_pd.model import Secret, SecretReference
from spark_pd.secrets import parse_reference, schemes
from spark_pd.settings import user_config

REFERENCES = "env:NAME, file:path, databricks:scope/key or cerberus:path#key"

_LITERAL = re.compile(r"[A-Za-z0-9]{32}")  # Events API v2: "Length of 'routing_key' is incorrect (should be 32 characters)"
_LIKE_A_KEY = re.compile(r"(?=.*\d)[A-Za-z0-9]{28,}")  # a few characters may have been lost
_UNRESOLVED = re.compile(r"\{\{\s*secrets/(?P<path>[\w.@-]+/[\w.@-]+)\s*\}\}", re.ASCII)
# Of a Databricks secret (its API's limit), and of a key in a Cerberus secret.
_NAMES = {"databricks": re.compile(r"[\w.@-]{1,128}", re.ASCII), "cerberus": re.compile(r"[^\s:#]+")}


def key_or_reference(
    value: str | Secret | SecretReference, values: Mapping[str, Any], *, environ: Mapping[str, str]
) -> Secret | SecretReference | None:
    """The key that `value` is, or where it is kept; None where that depends on settings that are missing in `values`, being wrong.

    Raises ValidationError, which says what was expected and shows nothing of the value.
    """
    if isinstance(value, SecretReference):
        return value
    if isinstance(value, Secret):
        return _literal(revealed(value))
    reference = reference_in(value)
    if reference is not None:
        return reference
    if ":" in value:
        raise ValidationError(unknown_scheme(value))
    needed = ("secret_type", "databricks_secret_scope", "cerberus_url", "cerberus_sdb_path")
    if not all(name in values for name in needed):
        return None
    return _named(value, values, environ) if values["secret_type"] else _literal(value)


def reference_in(text: str) -> SecretReference | None:
    """The reference that `text` is; None where it is none. Raises ValidationError for one that leads nowhere."""
    unresolved = _UNRESOLVED.fullmatch(text)
    if unresolved:
        raise ValidationError(
            f"'databricks:{unresolved['path']}', or {{{{secrets/...}}}} in a cluster's own Spark configuration: "
            "Databricks resolves it only there and in a cluster's environment variables"
        )
    reference = parse_reference(text)
    if reference is not None and not reference.path:
        raise ValidationError(f"something behind '{reference.scheme}:', as in {REFERENCES}")
    return reference


def _literal(value: str) -> Secret:
    if _LITERAL.fullmatch(value) is None:
        raise ValidationError(f"a reference ({REFERENCES}) or the key itself: 32 letters and digits, and this has {len(value)} characters")
    return Secret(value)


def revealed(secret: Secret) -> str:
    """The secret's value. Raises ValidationError for one that came out of a pickle."""
    try:
        return secret.reveal()
    except ValueError as error:
        problem = str(error)
    raise ValidationError(f"a secret with a value; {problem}")


def unknown_scheme(text: str) -> str:
    """What was expected instead of the scheme before the text's colon."""
    known = schemes()
    nearest = get_close_matches(text.partition(":")[0].strip().lower(), known, n=1)
    hint = f"; did you mean {nearest[0]}:?" if nearest else ""
    return f"a reference with a scheme that is known here ({', '.join(known)}) before the colon{hint}"


def _named(name: str, values: Mapping[str, Any], environ: Mapping[str, str]) -> SecretReference:
    """The reference that `name` is under spark-expectations' `secret_type`."""
    kind = values["secret_type"]
    # As a name, a key would be shown wherever the reference is.
    if _LIKE_A_KEY.fullmatch(name):
        raise ValidationError(
            f"the key's name, since {user_config.secret_type} is {kind}, and this looks like the key itself; "
            f"keep the key in {kind} and give its name, or give a reference ({REFERENCES})"
        )
    if _NAMES[kind].fullmatch(name) is None:
        raise ValidationError(f"the name of a key in {kind}, since {user_config.secret_type} is {kind}, or a reference ({REFERENCES})")
    if kind == "databricks":
        return SecretReference(kind, f"{_needed(values, 'databricks_secret_scope', user_config.dbx_secret_scope, kind)}/{name}")
    path = _needed(values, "cerberus_sdb_path", user_config.cbs_sdb_path, kind).strip("/")
    if not environ.get("CERBERUS_URL"):  # Cerberus' own variable does as well, as in spark_pd.secrets
        _needed(values, "cerberus_url", user_config.cbs_url, kind)
    return SecretReference(kind, f"{path}#{name}")


def _needed(values: Mapping[str, Any], field: str, setting: str, kind: str) -> str:
    value = values[field]
    if not value:
        raise ValidationError(f"{setting} beside it, since {user_config.secret_type} is {kind}; set it, or give a reference ({REFERENCES})")
    return str(value)
