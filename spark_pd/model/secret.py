"""A secret, where it is kept, and the protocol of who provides it."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Any, Protocol


class Secret:
    """A secret value that shows itself only to who asks for it by `reveal`. It does not travel: a pickle of it is empty."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value: str | None = value

    def reveal(self) -> str:
        """The value. Raises ValueError on a copy that came out of a pickle."""
        if self._value is None:
            raise ValueError("this secret came out of a pickle, which never carries its value")
        return self._value

    def fingerprint(self) -> str:
        """What tells this value from others without giving it away: HMAC-SHA256 under the value itself, as 64 hex digits.

        Raises ValueError on a copy that came out of a pickle.
        """
        return hmac.new(self.reveal().encode("utf-8", "surrogatepass"), b"spark_pd: fingerprint of a secret", hashlib.sha256).hexdigest()

    def __repr__(self) -> str:
        return "Secret(****)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> tuple[Any, ...]:
        return (_emptied, ())

    def __copy__(self) -> Secret:
        return self  # a copy stays in this process

    def __deepcopy__(self, memo: Any) -> Secret:
        return self


def _emptied() -> Secret:
    secret = Secret("")
    secret._value = None
    return secret


@dataclass(frozen=True, slots=True)
class SecretReference:
    """Where a secret is kept, such as `env:PAGERDUTY_KEY` or `databricks:pagerduty/integration-key`. It is no secret itself."""

    scheme: str
    path: str

    def __str__(self) -> str:
        return f"{self.scheme}:{self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretContext:
    """What a secret provider may need beside its path."""

    spark: Any = None
    """The SparkSession, where there is one."""
    databricks_workspace_url: str | None = None
    cerberus_url: str | None = None


class SecretProvider(Protocol):
    """A secret provider: one callable. Third parties register theirs in the entry point group `spark_pd.secrets`, named by its scheme."""

    def __call__(self, path: str, *, context: SecretContext) -> str:
        """The secret at `path`. Raises SecretError, which names the reference and what to do, never a value."""
