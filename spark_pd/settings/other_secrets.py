"""From what the settings of the REST token and the proxy hold to secrets or references. Nothing is looked up here."""

from __future__ import annotations

import re

from marshmallow import ValidationError

from spark_pd.model import Secret, SecretReference
from spark_pd.secrets.urls import has_user, proxy_problem
from spark_pd.settings.integration_key import REFERENCES, reference_in, revealed, unknown_scheme

# PagerDuty's tokens have 20 characters today; what a header cannot carry is none.
_TOKEN = re.compile(r"[A-Za-z0-9_+./=-]{16,512}")


def token_or_reference(value: str | Secret | SecretReference) -> Secret | SecretReference:
    """The REST token that `value` is, or where it is kept. Raises ValidationError, which shows nothing of the value."""
    text = _reference_or_text(value)
    if isinstance(text, SecretReference):
        return text
    if ":" in text:
        raise ValidationError(unknown_scheme(text))
    if _TOKEN.fullmatch(text) is None:
        raise ValidationError(f"a reference ({REFERENCES}) or a token of PagerDuty's REST API, and this has {len(text)} characters")
    return Secret(text)


def proxy_or_reference(value: str | Secret | SecretReference) -> Secret | SecretReference:
    """The proxy's URL that `value` is, or where it is kept. Raises ValidationError, which shows nothing of the value."""
    text = _reference_or_text(value)
    if isinstance(text, SecretReference):
        return text
    problem = proxy_problem(text)
    if problem is not None:
        raise ValidationError(f"a proxy's URL such as http://proxy.example.com:3128, or a reference to one ({REFERENCES}); this {problem}")
    return Secret(text)


def _reference_or_text(value: str | Secret | SecretReference) -> SecretReference | str:
    text = revealed(value) if isinstance(value, Secret) else value
    return text if isinstance(text, SecretReference) else reference_in(text) or text


def is_telling(field: str, secret: Secret) -> bool:
    """Whether the setting's text gives something away: a proxy's URL only does where a user is in it."""
    return field != "proxy" or has_user(secret.reveal())
