"""The one way from a reference to its secret. Whatever a provider does, nothing but SecretError comes out, and no value with it."""

from __future__ import annotations

import logging

from spark_pd.model import Secret, SecretContext, SecretReference
from spark_pd.model.errors import SecretError
from spark_pd.secrets.log_suppression import quiet
from spark_pd.secrets.registry import provider_for

logger = logging.getLogger("spark_pd.secrets")


def resolve(source: Secret | SecretReference, *, context: SecretContext) -> Secret:
    """The secret that `source` refers to, without the whitespace around it; a Secret passes through as it is.

    It is looked up anew on each call, within the provider's timeouts (each built-in one tells its own). Raises SecretError, and nothing
    else, where there is no such secret, it is empty, or its provider failed; the message names the reference and what to do.
    """
    if isinstance(source, Secret):
        return source
    if not isinstance(source, SecretReference):
        raise SecretError(f"a secret is given as a Secret or a SecretReference, not as {type(source).__name__}; use parse_reference")
    found = _look_up(source, context)
    if isinstance(found, Secret):
        logger.debug("resolved the secret %s", source)
        return found
    # Raised here, outside any `except`: a provider's exception, or a frame of it, may hold the value, and would hang on to this one.
    raise SecretError(f"the secret {str(source)!r} could not be had: {found}") from None


def _look_up(reference: SecretReference, context: SecretContext) -> Secret | str:
    """The secret, or what was wrong in words."""
    if not reference.path:
        return f"nothing follows {reference.scheme!r} and its colon; say where the secret is kept"
    try:
        provider = provider_for(reference.scheme)
        with quiet():
            value: object = provider(reference.path, context=context)
    except SecretError as error:
        return str(error)
    except Exception as error:
        return f"its provider failed with {type(error).__name__}; check the reference, or report it to the provider's authors"
    # A third party's provider may break its promise to give text.
    if not isinstance(value, str):
        return f"its provider gave {type(value).__name__}, not str; report it to the provider's authors"
    value = value.strip()
    return Secret(value) if value else "it is empty; store a value there"
