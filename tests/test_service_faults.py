"""The service when things go wrong: too many, too large, too slow, killed, restarted, out of disk."""

from __future__ import annotations

import mmap
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

httpx = pytest.importorskip("httpx")
pytest.importorskip("fastapi")
pytest.importorskip("fcntl", reason="the service is for POSIX systems")

import psutil  # noqa: E402

import vidstega  # noqa: E402
from vidstega import cli  # noqa: E402
from vidstega.lab.covers import make_cover  # noqa: E402
from vidstega.lab.users import NO_RATES, Load, Server, crowd, level, serving  # noqa: E402
from vidstega.service import child as children  # noqa: E402
from vidstega.service.child import Child, Limits, Outcome  # noqa: E402
from vidstega.service.limits import Client as Who  # noqa: E402
from vidstega.service.limits import RateLimits  # noqa: E402
from vidstega.service.settings import Settings  # noqa: E402

KEY = "correct horse"
MIB = 1 << 20


@pytest.fixture(scope="session")
def slow_cover(covers: Path) -> Path:
    """Takes a second or two with spread="all", so that there is time to do something to its job."""
    return make_cover(covers / "slow.mp4", width=960, height=540, frames=180, preset="ultrafast")


@contextmanager
def started(data: Path, *options: str) -> Iterator[tuple[Server, httpx.Client]]:
    with (
        serving(data, "--memory-budget", "2G", *options) as server,
        httpx.Client(base_url=server.url, timeout=60, trust_env=False) as client,
    ):
        yield server, client


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, httpx.Client, Path]]:
    """A server with a single worker and no rates, for tests that leave it as it was; and its jobs' folder."""
    data = tmp_path_factory.mktemp("plain") / "data"
    with started(data, *NO_RATES, "--workers", "1") as (server, client):
        yield server, client, data / "jobs"


def embed(client: httpx.Client, cover: Path, api_key: str = "", **fields: str) -> httpx.Response:
    headers = {"X-API-Key": api_key} if api_key else {}
    with cover.open("rb") as video:
        data = {"key": KEY, "message": "x"} | fields
        return client.post("/embed", data=data, files={"video": video}, headers=headers)


def finished(client: httpx.Client, id: str, seconds: float = 60) -> dict[str, Any]:
    return until(
        lambda: client.get(f"/jobs/{id}", params={"wait": 5}).json(),
        lambda job: job["state"] not in ("queued", "running"),
        seconds,
    )


def until(get: Callable[[], Any], holds: Callable[[Any], bool], seconds: float = 30) -> Any:
    deadline = time.monotonic() + seconds
    while not holds(got := get()):
        assert time.monotonic() < deadline, got
        time.sleep(0.02)
    return got


def running_pids(server: Server) -> list[int]:
    """The processes of jobs: the youngest below the server, in whose command the template is named."""
    found = []
    for process in psutil.Process(server.process.pid).children(recursive=True):
        try:
            parent = process.parent()
            if parent is not None and "forkserver" in " ".join(parent.cmdline()):
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


# -- rates ---------------------------------------------------------------------------------------------


def test_the_rates_of_the_study(tmp_path: Path, cover: Path) -> None:
    with started(tmp_path / "data") as (_, client):
        answers = [embed(client, cover, "one") for _ in range(6)]
        assert [answer.status_code for answer in answers] == [202] * 5 + [429]
        assert 0 < int(answers[5].headers["Retry-After"]) <= 60
        assert "too many requests" in answers[5].json()["error"]
        job = answers[0].json()
        assert finished(client, job["id"])["state"] == "done"
        for _ in range(30):  # reading is not work
            assert client.get(f"/jobs/{job['id']}").status_code == 200
        assert embed(client, cover, "two").status_code == 202
        assert embed(client, cover).status_code == 202
        with cover.open("rb") as video:
            files = {"video": video.read()}
        capacity = [
            client.post("/capacity", files=files, headers={"X-API-Key": "one"}).status_code for _ in range(16)
        ]
        assert capacity == [200] * 15 + [429]  # 20 a minute in all, 5 of them were embeddings
        forged = client.post("/capacity", files=files, headers={"X-Forwarded-For": "1.2.3.4"})
        assert forged.status_code == 200
        assert 'vidstega_rejections_total{limit="rate"} 2.0' in client.get("/metrics").text


def test_addresses_behind_a_proxy_count_only_if_it_is_trusted(tmp_path: Path, cover: Path) -> None:
    codes = {}
    proxies = ((), ("--trust-proxy", "127.0.0.1"), ("--trust-proxy", "192.0.2.9", "--workers", "1"))
    for trust in proxies:
        with started(tmp_path / f"data{len(trust)}", "--rate-work", "1 per minute", *trust) as (_, client):
            files = {"video": cover.read_bytes()}
            codes[len(trust)] = [
                client.post("/capacity", files=files, headers={"X-Forwarded-For": ip}).status_code
                for ip in ("192.0.2.1", "192.0.2.2", "192.0.2.2")
            ]
    assert codes == {0: [200, 429, 429], 2: [200, 200, 429], 4: [200, 429, 429]}


def test_only_known_api_keys_where_they_are_listed(tmp_path: Path, cover: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("# ours\nalpha\nbeta\n")
    with started(tmp_path / "data", "--api-keys", str(keys)) as (_, client):
        assert embed(client, cover, "alpha").status_code == 202
        assert embed(client, cover, "gamma").status_code == 401


async def _count(rates: RateLimits, who: Who, times: int) -> list[bool]:
    return [await rates.retry_after(who, "embed") is None for _ in range(times)]


@pytest.mark.parametrize("known", [True, False])
def test_inventing_api_keys_gains_little(tmp_path: Path, known: bool) -> None:
    import asyncio

    keys = frozenset({"a"}) if known else None
    settings = Settings(data=tmp_path, memory_budget=2 << 30, api_keys=keys, rate_address="7 per minute")
    rates = RateLimits(settings)
    passed = [asyncio.run(_count(rates, Who.of("192.0.2.1", f"key {n}"), 1))[0] for n in range(9)]
    assert sum(passed) == (9 if known else 7)


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A Redis of our own on loopback, which keeps nothing."""
    pytest.importorskip("redis", reason="the redis package is not installed: pip install 'limits[redis]'")
    if (program := shutil.which("redis-server")) is None:
        pytest.skip("no redis-server is installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    options = ("--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path))
    with subprocess.Popen([program, *options], stdout=subprocess.DEVNULL) as process:
        until(lambda: _listens(int(port)), bool)
        yield f"redis://127.0.0.1:{port}/0", process
        process.kill()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_servers_share_their_counters_in_redis(
    tmp_path: Path, cover: Path, redis_server: tuple[str, subprocess.Popen[bytes]]
) -> None:
    url, process = redis_server
    options = ("--rate-storage", url, "--rate-work", "3 per minute")
    files = {"video": cover.read_bytes()}
    with started(tmp_path / "a", *options) as (_, a), started(tmp_path / "b", *options) as (_, b):
        answers = [client.post("/capacity", files=files) for client in (a, b, a, b, a)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
        assert 0 < int(answers[3].headers["Retry-After"]) <= 60
        other = b.post("/capacity", files=files, headers={"X-API-Key": "another"})
        assert other.status_code == 200
        process.kill()
        process.wait()
        answer = a.post("/capacity", files=files)
        assert answer.status_code == 503 and int(answer.headers["Retry-After"]) > 0
        assert "rate limits cannot be counted" in answer.json()["error"]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis://me:secret@127.0.0.1:9/0", "redis://127.0.0.1:9/0, does not answer"),
        ("nonsense://me:secret@x", "'nonsense://x', cannot be used: unknown storage scheme"),
        ("nonsense", "'nonsense', cannot be used"),
        ("", "'', cannot be used"),
        ("async+memory://", "asynchronous"),
    ],
)
def test_a_storage_that_is_none_is_one_clear_line(
    tmp_path: Path, url: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if url.startswith("redis"):
        pytest.importorskip("redis")
    assert cli.main(["serve", "--port", "0", "--data", str(tmp_path), "--rate-storage", url]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line and "secret" not in line


def test_an_ipv6_network_is_one_client() -> None:
    assert Who.of("2001:db8::1", None) == Who.of("2001:db8::ffff:2", None) != Who.of("2001:db8:0:1::1", None)
    assert Who.of("::ffff:192.0.2.1", None) == Who.of("192.0.2.1", None)
    assert "secret" not in repr(Who.of("192.0.2.1", "secret"))


# -- queue and budget ----------------------------------------------------------------------------------


def test_the_queue_is_bounded_and_first_come_first_served(
    tmp_path: Path, slow_cover: Path, cover: Path
) -> None:
    with started(tmp_path / "data", *NO_RATES, "--workers", "1", "--queue", "2") as (_, client):
        answers = [embed(client, slow_cover, spread="all"), *(embed(client, cover) for _ in range(3))]
        assert [answer.status_code for answer in answers] == [202, 202, 202, 503]
        assert int(answers[3].headers["Retry-After"]) >= 1 and "try again" in answers[3].json()["error"]
        jobs = [answer.json() for answer in answers[:3]]
        assert [job["place"] for job in jobs] == [None, 1, 2]
        early = client.get(f"/jobs/{jobs[2]['id']}/result")
        assert early.status_code == 409 and "queued" in early.json()["error"]
        assert client.delete(f"/jobs/{jobs[1]['id']}").status_code == 204
        assert client.get(f"/jobs/{jobs[2]['id']}").json()["place"] == 1
        seen = until(lambda: client.get(f"/jobs/{jobs[0]['id']}").json(), lambda job: 0 < job["progress"] < 1)
        assert seen["stage"] in ("embed", "verify")
        assert finished(client, jobs[2]["id"])["state"] == "done"


def test_a_job_that_can_never_fit_is_told_the_numbers(tmp_path: Path) -> None:
    large = make_cover(tmp_path / "large.mp4", width=2560, height=1440, frames=2, preset="ultrafast")
    with (
        serving(tmp_path / "data", "--memory-budget", "360M", "--workers", "1", *NO_RATES) as server,
        httpx.Client(base_url=server.url, timeout=60, trust_env=False) as client,
    ):
        answer = embed(client, large)
        assert answer.status_code == 413
        assert "MiB of memory, jobs here may take 136 MiB" in answer.json()["error"]
        assert 'vidstega_rejections_total{limit="memory"} 1.0' in client.get("/metrics").text


def test_the_budget_holds_jobs_back(tmp_path: Path, slow_cover: Path) -> None:
    """Two cores are free, but memory is there for one at a time."""
    with (
        serving(tmp_path / "data", "--memory-budget", "500M", "--workers", "2", *NO_RATES) as server,
        httpx.Client(base_url=server.url, timeout=60, trust_env=False) as client,
    ):
        jobs = [embed(client, slow_cover, spread="all", method="lsb").json() for _ in range(2)]
        most = 0
        while client.get("/health").json()["running"]:
            most = max(most, client.get("/health").json()["running"])
        assert most == 1
        assert all(finished(client, job["id"])["state"] == "done" for job in jobs)


def test_a_hundred_users_at_once(tmp_path: Path) -> None:
    """Past capacity the server degrades: a result or an honest refusal for each, nothing lost."""
    cover = make_cover(tmp_path / "cover.mp4", frames=10, preset="ultrafast")
    budget = 700 * MIB
    options = ("--memory-budget", "700M", "--workers", "2", "--queue", "24")
    with serving(tmp_path / "data", *options) as server:
        kept = tmp_path / "kept"
        kept.mkdir()
        one = level(server, Load(cover, seconds=120, keep=kept), 100)
        assert set(one.outcomes) == {"done", "refused"}, one
        assert sum(one.outcomes.values()) == 100 and one.outcomes["done"] >= 24
        assert one.read_back == one.outcomes["done"]
        assert 100 * MIB < one.peak_bytes <= budget
        assert server.process.poll() is None
        health = httpx.get(f"{server.url}/health", trust_env=False).json()
        assert (health["queued"], health["running"], health["uploading"]) == (0, 0, 0)
        assert not list((tmp_path / "data" / "jobs").iterdir())


# -- kills and restarts --------------------------------------------------------------------------------


def test_jobs_survive_a_killed_server(tmp_path: Path, slow_cover: Path, cover: Path) -> None:
    data = tmp_path / "data"
    options = (*NO_RATES, "--workers", "1")
    with started(data, *options) as (_, client):
        done = embed(client, cover).json()["id"]
        assert finished(client, done)["state"] == "done"
    with started(data, *options) as (server, client):
        jobs = [embed(client, slow_cover, spread="all").json()["id"], embed(client, cover).json()["id"]]
        until(running_pids_of(server), bool)
        below = psutil.Process(server.process.pid).children(recursive=True)
        (data / "jobs" / ("x" * 32)).mkdir()  # an upload that was cut off
        server.process.kill()
        server.process.wait()
        _, alive = psutil.wait_procs(below, timeout=10)
        assert not alive
    for id in jobs:
        key = data / "jobs" / id / "key"
        assert key.stat().st_mode & 0o777 == 0o600 and key.read_text() == KEY
    with started(data, *options) as (_, client):
        assert not (data / "jobs" / ("x" * 32)).exists()
        for id in jobs:
            assert finished(client, id)["state"] == "done"
            stego = tmp_path / f"{id}.mp4"
            stego.write_bytes(client.get(f"/jobs/{id}/result").content)
            assert vidstega.extract(stego, key=KEY) == b"x"
        assert client.get(f"/jobs/{done}/result").status_code == 200
        assert not list(data.rglob("key"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_in_good_order(
    tmp_path: Path, slow_cover: Path, cover: Path, number: signal.Signals
) -> None:
    """After one job and while another runs: exit code 0, no process left, no word of leaked semaphores."""
    with started(tmp_path / "data", *NO_RATES, "--workers", "1") as (server, client):
        assert finished(client, embed(client, cover).json()["id"])["state"] == "done"
        assert embed(client, slow_cover, spread="all").status_code == 202
        until(running_pids_of(server), bool)
        below = psutil.Process(server.process.pid).children(recursive=True)
        server.process.send_signal(number)
        assert server.process.wait(20) == 0
        assert not psutil.wait_procs(below, timeout=10)[1]
    log = server.log.read_text()
    assert all(" INFO " in line for line in log.splitlines()), log


def running_pids_of(server: Server) -> Callable[[], list[int]]:
    return lambda: running_pids(server)


def kill_in_the_middle(server: Server, state: Callable[[], dict[str, Any]]) -> None:
    """Kill the one running job, which is stopped first, so that it does not end before it is looked at."""
    (pid,) = until(running_pids_of(server), bool)
    until(state, lambda now: now["progress"] > 0)
    os.kill(pid, signal.SIGSTOP)
    now = state()
    os.kill(pid, signal.SIGKILL)
    assert now["state"] == "running", now


def test_a_killed_worker_costs_a_try(plain: tuple[Server, httpx.Client, Path], slow_cover: Path) -> None:
    server, client, jobs = plain
    job = embed(client, slow_cover, spread="all").json()
    kill_in_the_middle(server, lambda: client.get(f"/jobs/{job['id']}").json())
    job = finished(client, job["id"])
    assert job["state"] == "done"
    assert [path.name for path in (jobs / job["id"]).iterdir()] == ["stego-2.mp4"]

    def kill_all() -> dict[str, Any]:
        for pid in running_pids(server):
            os.kill(pid, signal.SIGKILL)
        return dict(client.get(f"/jobs/{again['id']}").json())

    again = embed(client, slow_cover, spread="all").json()
    again = until(kill_all, lambda now: now["state"] == "failed")
    assert "killed 3 times" in again["error"]
    assert client.get(f"/jobs/{again['id']}/result").status_code == 500
    last = embed(client, slow_cover)
    assert last.status_code == 202
    for id in (job["id"], again["id"], last.json()["id"]):
        assert client.delete(f"/jobs/{id}").status_code == 204


def test_deleting_ends_a_running_job(plain: tuple[Server, httpx.Client, Path], slow_cover: Path) -> None:
    server, client, jobs = plain
    job = embed(client, slow_cover, spread="all").json()
    until(running_pids_of(server), bool)
    assert client.delete(f"/jobs/{job['id']}").status_code == 204
    until(running_pids_of(server), lambda pids: not pids, 10)
    until(lambda: (jobs / job["id"]).exists(), lambda there: not there, 10)


def test_too_slow_a_job_is_ended(tmp_path: Path, slow_cover: Path) -> None:
    with started(tmp_path / "data", *NO_RATES, "--job-timeout", "0.5") as (_, client):
        job = finished(client, embed(client, slow_cover, spread="all").json()["id"])
        assert job["state"] == "failed" and "ended after" in job["error"]
        assert client.get(f"/jobs/{job['id']}/result").status_code == 422


def test_results_expire(tmp_path: Path, cover: Path) -> None:
    with started(tmp_path / "data", *NO_RATES, "--keep", "1") as (_, client):
        job = finished(client, embed(client, cover).json()["id"])
        until(lambda: client.get(f"/jobs/{job['id']}").status_code, lambda code: code == 404, 10)
        assert client.get(f"/jobs/{job['id']}/result").status_code == 404
        assert not list((tmp_path / "data" / "jobs").iterdir())


def test_an_upload_that_is_broken_off_leaves_nothing(plain: tuple[Server, httpx.Client, Path]) -> None:
    server, client, jobs = plain
    before = set(jobs.iterdir())
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as raw:
        raw.sendall(
            b"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n"
            b'--x\r\nContent-Disposition: form-data; name="video"; filename="v"\r\n\r\n' + bytes(300_000)
        )
        until(lambda: client.get("/health").json()["uploading"], lambda n: n == 1)
        assert set(jobs.iterdir()) != before
    until(lambda: client.get("/health").json()["uploading"], lambda n: n == 0)
    assert set(jobs.iterdir()) <= before


# -- disk ----------------------------------------------------------------------------------------------


def test_the_disk_quota(tmp_path: Path, cover: Path) -> None:
    """Each result takes its place until it expires; who comes when there is none waits."""
    with started(tmp_path / "data", *NO_RATES, "--disk-quota", "2M") as (_, client):
        codes = []
        for _ in range(12):
            answer = embed(client, cover, method="lsb")
            codes.append(answer.status_code)
            if answer.status_code != 202:
                break
            finished(client, answer.json()["id"])
        assert len(codes) > 3 and codes[-1] == 503 and int(answer.headers["Retry-After"]) >= 60
        assert "disk is full" in answer.json()["error"]
        used = sum(p.stat().st_size for p in (tmp_path / "data" / "jobs").rglob("*") if p.is_file())
        assert used <= 2 * MIB
    with started(tmp_path / "small", *NO_RATES, "--disk-quota", "100K") as (_, client):
        assert embed(client, cover).status_code == 413


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    where = tmp_path / "disk"
    where.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=80m", "none", str(where)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small disk cannot be mounted here")
    yield where
    subprocess.run(["umount", "-l", str(where)], check=True)


def test_a_full_disk(small_disk: Path, cover: Path) -> None:
    """Not even the job store can be written; the server says so, stays, and goes on when there is room."""
    with started(small_disk / "data", *NO_RATES) as (server, client):
        assert finished(client, embed(client, cover).json()["id"])["state"] == "done"
        ballast = small_disk / "ballast"
        with ballast.open("wb", buffering=0) as file:
            with pytest.raises(OSError, match="No space"):
                while True:
                    file.write(bytes(1 << 20))
            with pytest.raises(OSError, match="No space"):
                while True:
                    file.write(bytes(512))
        answer = embed(client, cover)
        assert answer.status_code == 503 and "disk is full" in answer.json()["error"]
        assert client.get("/health").status_code == 200
        ballast.unlink()
        assert finished(client, embed(client, cover).json()["id"])["state"] == "done"
        assert server.process.poll() is None


def test_a_disk_that_fills_while_a_job_runs(small_disk: Path, slow_cover: Path, cover: Path) -> None:
    with started(small_disk / "data", *NO_RATES, "--workers", "1") as (_, client):
        answer = embed(client, slow_cover)
        assert answer.status_code == 202
        ballast = small_disk / "ballast"
        with ballast.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
            while True:
                file.write(bytes(1 << 16))
        job = finished(client, answer.json()["id"])
        if job["state"] == "failed":  # else it was faster than the disk was full
            assert "disk" in job["error"]
            assert client.get(f"/jobs/{job['id']}/result").status_code == 507
        ballast.unlink()
        assert finished(client, embed(client, cover).json()["id"])["state"] == "done"
        assert not list((small_disk / "data").rglob("key"))


# -- the guarded child ---------------------------------------------------------------------------------


def _memory(task: dict[str, Any], send: Any) -> dict[str, Any]:
    return {"bytes": len(bytearray(task["bytes"]))}


def _map(task: dict[str, Any], send: Any) -> dict[str, Any]:
    """Address space that is never written to."""
    with mmap.mmap(-1, task["bytes"], flags=mmap.MAP_SHARED | mmap.MAP_ANONYMOUS, prot=mmap.PROT_READ):
        return {}


def _nap(task: dict[str, Any], send: Any) -> dict[str, Any]:
    send({"pid": os.getpid()})
    time.sleep(60)
    return {}


def _spin(task: dict[str, Any], send: Any) -> dict[str, Any]:
    while True:
        pass


def _write(task: dict[str, Any], send: Any) -> dict[str, Any]:
    return {"written": Path(task["path"]).write_bytes(bytes(task["bytes"]))}


def _crash(task: dict[str, Any], send: Any) -> dict[str, Any]:
    os.kill(os.getpid(), signal.SIGSEGV)
    return {}


def _leak(task: dict[str, Any], send: Any) -> dict[str, Any]:
    raise ValueError(task["key"])


def _say(task: dict[str, Any], send: Any) -> dict[str, Any]:
    for n in range(100):
        send({"n": n})
    print("to nobody")
    return {"nice": os.nice(0)}


LIMITS = Limits(64 * MIB, 30, 10 * MIB)


def run(function: children.Function, limits: Limits = LIMITS, **task: Any) -> Outcome:
    return Child(function, task, limits).run()


def test_a_child_within_its_limits() -> None:
    said: list[int] = []
    outcome = Child(_say, {}, LIMITS).run(lambda message: said.append(message["n"]))
    assert (outcome.kind, said) == ("ok", list(range(100)))
    assert outcome.value["nice"] >= 5 and outcome.peak_bytes > MIB


def test_a_child_past_its_limits(tmp_path: Path) -> None:
    assert run(_memory, bytes=64 * MIB).kind == "ok"
    assert run(_memory, bytes=LIMITS.data).kind == "memory"
    assert run(_map, bytes=LIMITS.address_space).kind == "error"
    assert run(_spin, Limits(MIB, 0.3, MIB)).kind == "time"
    assert run(_crash).kind == "crash"
    outcome = run(_write, path=str(tmp_path / "f"), bytes=11 * MIB)
    assert outcome.kind == "error" and "OSError" in outcome.detail
    assert (tmp_path / "f").stat().st_size <= 10 * MIB


def test_what_a_fault_says_holds_no_key() -> None:
    outcome = run(_leak, key="secret")
    assert outcome.kind == "error" and outcome.detail.startswith("ValueError at ")
    assert "secret" not in repr(outcome)


def test_a_child_can_be_killed_before_and_while_it_runs() -> None:
    child = Child(_spin, {}, LIMITS)
    threading.Timer(0.5, child.kill).start()
    assert child.run().kind == "killed"
    child = Child(_spin, {}, LIMITS)
    child.kill()
    assert child.run().kind == "killed"


def test_a_child_dies_with_its_server() -> None:
    """Not by a broken pipe when it next reports, but at once."""
    script = (
        "from test_service_faults import Child, LIMITS, _nap\n"
        "Child(_nap, {}, LIMITS).run(lambda message: print(message['pid'], flush=True))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=Path(__file__).parent, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        assert child.is_running()
        parent.kill()
    child.wait(10)


def test_crowds_are_told_apart_by_their_outcomes(tmp_path: Path, cover: Path) -> None:
    """The driver itself: a limit shows as refused, a broken cover as lost, never as done."""
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    with serving(tmp_path / "data", "--memory-budget", "2G", "--queue", "50") as server:
        assert {visit.outcome for visit in crowd(server.url, Load(broken), 2)} == {"lost"}
        visits = crowd(server.url, Load(cover, rounds=6), 1)
        assert [visit.outcome for visit in visits] == ["done"] * 5 + ["refused"]
