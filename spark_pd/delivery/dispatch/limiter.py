"""The limiter: one bucket for each integration key, shared by all processes of an outbox on a local disk."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from spark_pd.delivery.dispatch import token_bucket as bucket
from spark_pd.delivery.outbox.shared_json import Shared


class Limiter:
    """Gives out tokens, at most `rate` a minute for each key; 0: no limit. It belongs to one process.

    folder: where the buckets are, one small file each; None: in this process alone.
    clock: the wall clock in seconds. It may jump.
    """

    def __init__(self, rate: float, folder: Path | None = None, *, clock: Callable[[], float] = time.time) -> None:
        self.rate = rate
        self._folder = folder
        self._clock = clock
        self._lock = threading.Lock()
        self._shared: dict[str, Shared] = {}

    def take(self, key: str, *, urgent: bool) -> float:
        """0.0 with a token of `key` (a fingerprint, or another name for it), else the seconds after which there may be one."""
        if not self.rate:
            return 0.0
        with self._of(key).changing() as fields:
            after, wait = bucket.take(bucket.from_fields(fields), self.rate, self._clock(), urgent=urgent)
            fields.update(bucket.to_fields(after))
            return wait

    def close(self, key: str, asked: float) -> float:
        """PagerDuty answered 429: nobody gets a token of `key` for the seconds that are given back. `asked` is its Retry-After, or 0."""
        if not self.rate:
            return min(asked, bucket.LONGEST)
        with self._of(key).changing() as fields:
            after, seconds = bucket.close(bucket.from_fields(fields), self.rate, self._clock(), asked)
            fields.update(bucket.to_fields(after))
            return seconds

    def is_scarce(self, key: str) -> bool:
        """Whether tokens of `key` run short."""
        if not self.rate:
            return False
        with self._of(key).changing() as fields:
            return bucket.is_scarce(bucket.from_fields(fields), self.rate, self._clock())

    def _of(self, key: str) -> Shared:
        with self._lock:
            if key not in self._shared:
                self._shared[key] = Shared(None if self._folder is None else self._folder / f"rate-{key}.json")
            return self._shared[key]
