"""One standalone cluster for all of its tests: a master and two workers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cluster.daemon import Daemon, worker


@pytest.fixture(scope="session")
def cluster_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the cluster keeps its logs and its executors' files."""
    return tmp_path_factory.mktemp("cluster")


@pytest.fixture(scope="session")
def master(cluster_folder: Path) -> Iterator[str]:
    """The URL of a master with two workers, on two addresses, since nothing is speculated on the host of the slow task."""
    if not sys.platform.startswith("linux"):
        pytest.skip("a second loopback address, and finding executors in /proc, need Linux")
    with ExitStack() as stack:
        boss = stack.enter_context(Daemon(cluster_folder, "master", "127.0.0.1", "org.apache.spark.deploy.master.Master", "--port", 0))
        url = boss.says(r"spark://127\.0\.0\.1:\d+")
        workers = [stack.enter_context(worker(cluster_folder, url, number)) for number in (1, 2)]
        for each in workers:
            each.says("Successfully registered with master")
        yield url
