"""The same calls on a Dask cluster: a real scheduler and worker processes, over shared storage."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import joblib
import pytest

distributed = pytest.importorskip("distributed")

import vidstega  # noqa: E402
from vidstega.lab.covers import make_cover  # noqa: E402
from vidstega.results import EmbedResult  # noqa: E402
from vidstega.service.cluster import on_cluster  # noqa: E402

SALT = bytes(range(16))
PAYLOAD = os.urandom(30_000)
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def long_cover(covers: Path) -> Path:
    """Eight segments of a transcode."""
    return make_cover(covers / "long.mp4", width=480, height=270, frames=240, gop_s=1.0, preset="ultrafast")


@pytest.fixture(scope="module")
def local(long_cover: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What the local run makes of it."""
    stego = tmp_path_factory.mktemp("local") / "local.mp4"
    embed(long_cover, stego)
    return stego.read_bytes()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        yield cluster


@pytest.fixture
def client(cluster: Any) -> Iterator[Any]:
    with distributed.Client(cluster) as client:
        yield client


def embed(cover: Path, stego: Path, n_jobs: int = 1) -> EmbedResult:
    """With a fixed salt, so that bytes can be compared."""
    how: dict[str, Any] = {"method": "lsb", "spread": "all", "n_jobs": n_jobs, "progress": False}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vidstega.seal.new_salt", lambda: SALT)
        return vidstega.embed(cover, stego, PAYLOAD, key="key", **how)


def transitions(client: Any) -> int:
    count: int = client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.transition_counter)
    return count


def until(get: Callable[[], Any], holds: Callable[[Any], bool], seconds: float = 30) -> Any:
    deadline = time.monotonic() + seconds
    while not holds(got := get()):
        assert time.monotonic() < deadline, got
        time.sleep(0.01)
    return got


@pytest.mark.parametrize("n_jobs", [1, -1])
def test_bytes_equal_the_local_run(
    client: Any, long_cover: Path, local: bytes, tmp_path: Path, n_jobs: int
) -> None:
    """Work goes to the cluster whatever `n_jobs` says, as joblib's Dask backend has it."""
    before = transitions(client)
    with joblib.parallel_config(backend="dask"):
        embed(long_cover, tmp_path / "dask.mp4", n_jobs)
        assert vidstega.extract(tmp_path / "dask.mp4", key="key", n_jobs=n_jobs) == PAYLOAD
    assert transitions(client) - before >= 3 * 8
    assert (tmp_path / "dask.mp4").read_bytes() == local


def test_a_worker_killed_mid_run_costs_a_retry(
    client: Any, long_cover: Path, local: bytes, tmp_path: Path
) -> None:
    """The worker is killed while it writes: the half-written part must not stand in the way."""
    pids = client.run(os.getpid)
    killed = []

    def kill() -> None:
        until(lambda: list(tmp_path.glob(".vidstega-*/lsb-0/part-*")), bool)
        pid = next(iter(pids.values()))
        os.kill(pid, signal.SIGKILL)
        killed.append(pid)

    thread = threading.Thread(target=kill)
    thread.start()
    with joblib.parallel_config(backend="dask"):
        embed(long_cover, tmp_path / "dask.mp4")
    thread.join()
    assert killed and killed[0] not in client.run(os.getpid).values()
    assert (tmp_path / "dask.mp4").read_bytes() == local
    assert [path.name for path in tmp_path.iterdir()] == ["dask.mp4"]


def test_scales_from_nothing_and_back(long_cover: Path, tmp_path: Path) -> None:
    with (
        distributed.LocalCluster(
            n_workers=0, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        cluster.adapt(minimum=0, maximum=2, interval="100ms", wait_count=10, target_duration="100ms")
        assert not client.ncores()
        seen, stop = set(), threading.Event()

        def watch() -> None:
            while not stop.wait(0.02):
                seen.add(len(cluster.scheduler.workers))

        thread = threading.Thread(target=watch)
        thread.start()

        def user(n: int) -> None:
            with on_cluster(client):
                embed(long_cover, tmp_path / f"{n}.mp4", -1)

        with ThreadPoolExecutor(2) as users:
            list(users.map(user, range(2)))
        until(lambda: len(cluster.scheduler.workers), lambda workers: workers == 0)
        stop.set()
        thread.join()
        assert max(seen) == 2 and min(seen) == 0
    assert vidstega.extract(tmp_path / "1.mp4", key="key") == PAYLOAD


def test_the_service_runs_its_jobs_there(cluster: Any, client: Any, long_cover: Path, tmp_path: Path) -> None:
    httpx = pytest.importorskip("httpx")
    pytest.importorskip("fastapi")
    from vidstega.lab.users import serving

    def run(http: Any, url: str, video: Path, **data: str) -> Any:
        with video.open("rb") as file:
            job = http.post(url, data={"key": "k", **data}, files={"video": file}).json()
        return until(
            lambda: http.get(f"/jobs/{job['id']}", params={"wait": 5}).json(),
            lambda now: now["state"] not in ("queued", "running"),
            60,
        )

    options = ("--scheduler", cluster.scheduler_address, "--memory-budget", "2G")
    with (
        serving(tmp_path / "data", *options) as server,
        httpx.Client(base_url=server.url, timeout=60, trust_env=False) as http,
    ):
        before = transitions(client)
        job = run(http, "/embed", long_cover, message="over there", spread="all")
        assert job["state"] == "done", job
        assert transitions(client) - before >= 3 * 8
        stego = tmp_path / "stego.mp4"
        stego.write_bytes(http.get(job["result_url"]).content)
        job = run(http, "/extract", stego)
        assert http.get(job["result_url"]).content == b"over there"
        wrong = run(http, "/extract", long_cover)
        assert wrong["state"] == "failed" and "no payload can be read" in wrong["error"]


def test_a_cluster_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fastapi")
    from vidstega.service import worker

    monkeypatch.setattr(worker, "_CONNECT_S", 1)
    with pytest.raises(worker.ClusterError, match="cannot be reached"), worker._engine("tcp://127.0.0.1:9"):
        pass
