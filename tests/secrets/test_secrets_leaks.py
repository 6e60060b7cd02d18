"""The one leak test, which every secret provider and every channel has to pass: whatever happens, no secret is found anywhere.

A new provider is a row of PROVIDERS, a new channel one of CHANNELS. Each goes through every fate of an alert, by way of settings, outbox,
a proxy with a password, and PagerDuty's REST API with a token; with all logging at DEBUG, http.client printing what it sends, and
warnings shown. Then logs, standard streams, files, reprs, exceptions with their chains and frames, and pickles are searched.
"""

from __future__ import annotations

import base64
import http.client
import json
import logging
import os
import pickle
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from spark_pd.delivery.dispatch import Dispatcher
from spark_pd.delivery.outbox import Outbox
from spark_pd.model import Alert, Channel, Delivery
from spark_pd.model.errors import DeliveryError
from spark_pd.runs.channels import channel_of
from spark_pd.sandbox import Sandbox
from spark_pd.secrets.log_suppression import TELLTALES
from spark_pd.settings import Settings, load_settings
from spark_pd.testing import STATE_HOME
from tests.pagerduty.proxy import proxy_to
from tests.pagerduty.test_pagerduty_channel import answering
from tests.secrets.conftest import SECRET_KEY, SESSION_TOKEN

KEY, TOKEN, PASSWORD = "K3yThatNobodyMayEverSeeAnywhere0", "T0kenThatNobodySees+", "Passw0rdOfTheProxy"
FAR = "pagerduty.invalid"
PLUG_IN = """
import os

def provide(path, *, context):
    value = os.environ["ACME_" + path.upper()]
    if "ACME_BROKEN" in os.environ:
        try:
            raise ValueError(value)
        except ValueError as error:
            raise KeyError(value) from error
    return value
"""
PROVIDERS = ("literal", "env", "file", "databricks", "cerberus", "cerberus with AWS login", "plug-in")
CHANNELS: dict[str, Callable[[Settings], Channel]] = {"pagerduty": channel_of}
FATES = ("sent", "disabled", "refused", "echoed", "500", "reset", "timeout", "untrusted", "redirected", "no proxy", "unresolved", "outbox")
# Each provider is sent once and each fate met twice, by different providers, in `make test`; all pairs are exhaustive.
PAIRS = [
    pytest.param(provider, fate, marks=[pytest.mark.exhaustive] * (fate != "sent" and (n + m) % len(PROVIDERS) not in (0, 3)))
    for n, provider in enumerate(PROVIDERS)
    for m, fate in enumerate(FATES)
]


@dataclass
class World:
    """One provider's references to key, token and proxy, and what may be broken of it."""

    references: dict[str, str]
    break_it: Callable[[], object]
    needles: list[str] = field(default_factory=list)


@pytest.fixture
def values() -> dict[str, str]:
    return {"key": KEY, "token": TOKEN, "proxy": ""}  # the proxy's URL is known once it runs


@pytest.fixture
def world(
    request: pytest.FixtureRequest, bare: pytest.MonkeyPatch, tmp_path: Path, cerberus: Any, workspace: Any, far_proxy: Any, values: Any
) -> World:
    values["proxy"] = far_proxy.url
    kind = request.param
    references = {name: f"env:SECRET_{name.upper()}" for name in values}
    if kind == "literal":
        return World(dict(values), lambda: None)
    if kind == "env":
        for name, value in values.items():
            bare.setenv(f"SECRET_{name.upper()}", value)
        return World(references, lambda: [bare.delenv(f"SECRET_{name.upper()}") for name in values])
    if kind == "file":
        folder = tmp_path / "given"
        folder.mkdir()
        for name, value in values.items():
            (folder / name).write_text(value)
        spoil = lambda: [(folder / name).write_bytes(value.encode() + b"\xff") for name, value in values.items()]  # noqa: E731
        return World({name: f"file:{folder / name}" for name in values}, spoil)
    if kind == "databricks":
        workspace.values.update({("team", name): value.encode() for name, value in values.items()})
        return World({name: f"databricks:team/{name}" for name in values}, lambda: broken(bare, workspace, values))
    if kind.startswith("cerberus"):
        cerberus.boxes["app/on-call"]["all"] = dict(values)
        needles = ["good-token"]
        if "AWS" in kind:
            for name, value in {"AUTH": "aws"}.items():
                bare.setenv(f"CERBERUS_{name}", value)
            bare.setenv("AWS_ACCESS_KEY_ID", "AKIASPARKPDSTANDIN00")
            bare.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
            bare.setenv("AWS_SESSION_TOKEN", SESSION_TOKEN)
            cerberus.session_token = SESSION_TOKEN
            needles = ["token-of-the-login", SECRET_KEY, SESSION_TOKEN]
        else:
            bare.setenv("CERBERUS_TOKEN", "good-token")
        return World({name: f"cerberus:app/on-call/all#{name}" for name in values}, lambda: broken(bare, cerberus, values), needles)
    install(tmp_path / "installed", bare)
    for name, value in values.items():
        bare.setenv(f"ACME_{name.upper()}", value)
    return World({name: f"acmeleak:{name}" for name in values}, lambda: bare.setenv("ACME_BROKEN", "1"))


def install(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """A real distribution with a secret provider, as pip leaves it."""
    info = folder / "acme_leak-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme_leak\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[spark_pd.secrets]\nacmeleak = acme_leak:provide\n")
    (folder / "acme_leak.py").write_text(PLUG_IN)
    patch.syspath_prepend(str(folder))
    patch.delitem(sys.modules, "acme_leak", raising=False)


def broken(patch: pytest.MonkeyPatch, stand: Any, values: dict[str, str]) -> None:
    """The store answers with JSON that is cut off: the error of who reads it quotes all of it."""
    patch.setattr(stand, "answer", lambda *_: (200, json.dumps({"data": values, "value": KEY})[:-2].encode()))


@pytest.fixture
def far() -> Iterator[Sandbox]:
    with Sandbox(key=KEY, rest_token=TOKEN, tls=True, tls_hosts=[FAR]) as sandbox:
        yield sandbox


@pytest.fixture
def far_proxy(far: Sandbox) -> Iterator[Any]:
    with proxy_to(far.url, login=f"bob:{PASSWORD}") as proxy:
        yield proxy


@pytest.fixture
def everything_shown(caplog: pytest.LogCaptureFixture, bare: pytest.MonkeyPatch) -> list[str]:
    """All that says too much does so: loggers, http.client, the Databricks SDK. The list takes what threads die of."""
    bare.setenv("DATABRICKS_DEBUG_HEADERS", "true")
    bare.setenv("DATABRICKS_DEBUG_TRUNCATE_BYTES", "100000")
    for name in ("", "spark_pd", "urllib3", "requests", *TELLTALES):
        caplog.set_level(logging.DEBUG, name)
    bare.setattr(http.client.HTTPConnection, "debuglevel", 1)
    died: list[str] = []
    bare.setattr(threading, "excepthook", lambda args: died.append("".join(traceback.format_exception(args.exc_value))))
    bare.setattr(sys, "unraisablehook", lambda args: died.append(f"{args.err_msg} {args.exc_value!r} {args.object!r}"))
    return died


def an_alert() -> Alert:
    return Alert(
        trigger="failure",
        state="firing",
        severity="critical",
        summary="sales.orders failed",
        details={"rows": 3},
        dedup_key="spark_pd/prod/sales/sales.orders/failure",
        source="nightly",
        component="sales.orders",
        at=datetime.now(timezone.utc),
    )


def live(
    fate: str, world: World, far: Sandbox, make: Callable[[Settings], Channel], folder: Path
) -> tuple[list[Any], tuple[Delivery, ...]]:
    """Have an alert meet its fate. All objects that somebody might print, and the deliveries."""
    config: dict[str, Any] = {
        "spark.expectations.notifications.pagerduty.enabled": True,
        "spark.pd.secret.integration.key": world.references["key"],
        "spark.pd.rest.token": world.references["token"],
        "spark.pd.secret.proxy": world.references["proxy"],
        "spark.pd.ca_bundle": far.ca_file,
        "spark.pd.outbox.path": folder,
        "spark.expectations.notifications.pagerduty.webhook.url": f"https://{FAR}",
        "spark.pd.rest.url": f"https://{FAR}",
    }
    seconds = 60.0 if fate in ("sent", "disabled", "refused", "echoed") else 3.0  # the others are tried until it is over
    with ExitStack() as stack:
        if fate == "disabled":
            far.disable()
        elif fate == "refused":
            far.keys.clear()
            far._account._by_key.clear()  # the sandbox knows no such key any more
        elif fate == "echoed":
            echo = stack.enter_context(
                answering(400, lambda body: json.dumps({"message": body.decode(), "errors": [body.decode()]}).encode())
            )
            config["spark.expectations.notifications.pagerduty.webhook.url"] = echo
        elif fate in ("500", "reset", "timeout"):
            far.fault("hang" if fate == "timeout" else fate, on=["enqueue", "rest"])
            seconds = 0.6
        elif fate == "untrusted":
            del config["spark.pd.ca_bundle"]
        elif fate == "redirected":
            far.fault("redirect", on=["enqueue", "rest"])
        elif fate == "no proxy":
            far.stop()
            seconds = 0.6
        elif fate == "unresolved":
            world.break_it()
        elif fate == "outbox":
            seconds = 0.0
        settings = load_settings(config)
        channel = make(settings)
        dispatcher = Dispatcher([channel], outbox=Outbox(folder))
        submission = dispatcher.submit([an_alert()], seconds=seconds)
        deliveries = submission.wait()
        found = channel.confirm(an_alert(), until=time.monotonic() + 2)  # type: ignore[attr-defined]
        dispatcher.flush(10)
    return [settings, settings.describe(), channel, vars(channel), dispatcher, vars(dispatcher), submission, found, world], deliveries


def written(folder: Path) -> list[Path]:
    """Every file below the test's folder and the user's state, but for those that the secrets were given in."""
    roots = [each for each in folder.iterdir() if each.name not in ("given", "installed")] + [Path(os.environ[STATE_HOME])]
    return [path for root in roots for path in root.rglob("*") if path.is_file()]


def of_exceptions(deliveries: tuple[Delivery, ...]) -> str:
    """What a strict run raises, and all that hangs on to it."""
    try:
        raise DeliveryError(deliveries[0].reason, deliveries)
    except DeliveryError as error:
        shown = traceback.TracebackException.from_exception(error, capture_locals=True)
        return f"{error} {error!r} {''.join(shown.format())} {pickle.dumps(error)!r}"


@pytest.mark.spark_pd_network
@pytest.mark.filterwarnings("always")
@pytest.mark.parametrize(("world", "fate"), PAIRS, indirect=["world"])
@pytest.mark.parametrize("make", CHANNELS.values(), ids=CHANNELS)
def test_no_secret_is_found_anywhere(
    make: Callable[[Settings], Channel],
    world: World,
    fate: str,
    far: Sandbox,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    everything_shown: list[str],
) -> None:
    folder = tmp_path / "outbox"
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        objects, deliveries = live(fate, world, far, make, folder)
    expected = {"sent": "sent", "disabled": "sent", "refused": "dead", "echoed": "dead"}
    if fate == "unresolved" and world.references["key"] != KEY:
        assert deliveries[0].reason.startswith("no integration key"), deliveries
    elif fate != "unresolved":
        assert deliveries[0].status == expected.get(fate, "queued"), deliveries
    printed = capfd.readouterr()
    records = [record for record in caplog.records if not record.name.startswith("spark_pd.sandbox")]
    formatter = logging.Formatter("%(name)s %(message)s")
    places = {
        "logs": "\n".join(formatter.format(record) + repr(vars(record)) for record in records),
        "stdout": printed.out,
        "stderr": printed.err,
        "files": "\n".join(f"{path} {path.read_bytes()!r}" for path in written(tmp_path)),
        "objects": "\n".join(f"{each} {each!r}" for each in [*objects[:-1], *deliveries]),
        "exceptions": of_exceptions(deliveries),
        "pickles": repr([pickle.dumps(each) for each in (objects[0], objects[2], deliveries)]),
        "warnings": "\n".join(str(each.message) for each in warned),
        "threads": "\n".join(everything_shown),
    }
    basic = base64.b64encode(f"bob:{PASSWORD}".encode()).decode()
    for needle in (KEY, TOKEN, PASSWORD, basic, *world.needles):
        for place, text in places.items():
            assert needle not in text, f"{place}: {text[max(0, text.index(needle) - 300) : text.index(needle) + 60]}"
