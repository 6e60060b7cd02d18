"""The token bucket: how many events may go out, when the next one may, and who goes first. Pure, with the time passed in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

MINUTE = 60.0  # seconds
_MOST = 115.0  # events that any 60 seconds may see: PagerDuty takes about 120, and answers' delays press events together
_BURST = 0.15  # the part of a rate that may go at once at the least, also of one that is too high for that
_RESERVE = 3  # resolves leave a third of the burst to firing alerts, so that these need not wait behind them
_FIRST_STRIKE = 1.0  # seconds that a 429 without Retry-After closes the bucket for, doubled with each that follows
LONGEST = 60.0  # seconds that the bucket is closed at most: PagerDuty counts over a minute


@dataclass(frozen=True, slots=True)
class Bucket:
    """The tokens as they stood `at` (seconds of the wall clock), and until when none is given out, since PagerDuty said 429."""

    tokens: float
    at: float
    closed_until: float = 0.0
    strikes: int = 0
    """How many 429 came one after the other."""


def burst(rate: float) -> float:
    """How many events may go at once, of `rate` a minute: what a minute of PagerDuty's leaves, so that a few runs never wait."""
    return max(1.0, rate * _BURST, min(rate, _MOST - rate))


def take(bucket: Bucket | None, rate: float, now: float, *, urgent: bool) -> tuple[Bucket, float]:
    """Take a token. Gives 0.0 with it, else the seconds after which there may be one. An urgent one may take the last."""
    full = burst(rate)
    bucket = filled(bucket, rate, now)
    closed = bucket.closed_until - now
    if closed > 0:
        return bucket, closed
    needed = 1.0 if urgent else 1.0 + math.floor((full - 1.0) / _RESERVE)
    # Tokens are sums of small parts: the last digit may not keep anybody waiting.
    if bucket.tokens >= needed - 1e-6:
        return replace(bucket, tokens=max(0.0, bucket.tokens - 1.0)), 0.0
    return bucket, (needed - bucket.tokens) * MINUTE / rate


def filled(bucket: Bucket | None, rate: float, now: float) -> Bucket:
    """The bucket with what has come in since. A clock that jumped back brings nothing, and keeps nobody waiting for longer."""
    full = burst(rate)
    if bucket is None:
        return Bucket(full, now, now)
    # No less than what a closing of the longest kind takes off: it may be a process with another rate that wrote it.
    known = max(bucket.tokens, 1.0 - LONGEST * rate / MINUTE)
    tokens = min(full, known + max(0.0, now - bucket.at) * rate / MINUTE)
    return replace(bucket, tokens=tokens, at=now, closed_until=min(bucket.closed_until, now + LONGEST))


def close(bucket: Bucket | None, rate: float, now: float, asked: float) -> tuple[Bucket, float]:
    """Give out nothing for as long as a 429 asked for, or longer with each that follows. Gives those seconds too.

    The first one afterwards is alone: it shows whether PagerDuty takes events again.
    """
    bucket = filled(bucket, rate, now)
    again = now - bucket.closed_until < MINUTE and bucket.strikes > 0
    strikes = bucket.strikes + 1 if again else 1
    seconds = min(LONGEST, max(asked, _FIRST_STRIKE) if asked > 0 else _FIRST_STRIKE * 2.0 ** min(strikes - 1, 10))
    until = max(bucket.closed_until, now + seconds)
    # What comes in until then is taken off beforehand.
    return Bucket(1.0 - (until - now) * rate / MINUTE, now, until, strikes), until - now


def is_scarce(bucket: Bucket | None, rate: float, now: float) -> bool:
    """Whether less than half of the burst is left."""
    bucket = filled(bucket, rate, now)
    return bucket.closed_until > now or bucket.tokens < burst(rate) / 2


def to_fields(bucket: Bucket) -> dict[str, float]:
    """The bucket as JSON holds it."""
    return {"tokens": bucket.tokens, "at": bucket.at, "closed_until": bucket.closed_until, "strikes": bucket.strikes}


def from_fields(fields: Mapping[str, Any]) -> Bucket | None:
    """The bucket that `to_fields` gave; None where they are no bucket's."""
    try:
        bucket = Bucket(float(fields["tokens"]), float(fields["at"]), float(fields["closed_until"]), int(fields["strikes"]))
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return bucket if all(map(math.isfinite, (bucket.tokens, bucket.at, bucket.closed_until))) else None
