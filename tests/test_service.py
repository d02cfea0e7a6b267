"""The service over HTTP: a real server process, a real client."""

from __future__ import annotations

import os
import re
import sqlite3
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

httpx = pytest.importorskip("httpx")
pytest.importorskip("fastapi")
pytest.importorskip("fcntl", reason="the service is for POSIX systems")

import psutil  # noqa: E402

import vidstega  # noqa: E402
from vidstega.lab.covers import make_cover  # noqa: E402
from vidstega.lab.users import NO_RATES, Server, serving  # noqa: E402
from vidstega.service.intake import methods  # noqa: E402

KEY = "a very secret passphrase äöü"
Client = httpx.Client
Answer = httpx.Response


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("service") / "data"
    options = ("--memory-budget", "2G", "--max-upload", "8M", "--max-payload", "2M")
    with serving(data, *options, *NO_RATES) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Client]:
    with Client(base_url=server.url, timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture(scope="module")
def stego(client: Client, cover: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video that came out of the service and carries b"meet at noon"."""
    job = finished(client, post(client, "/embed", cover, {"key": KEY, "message": "meet at noon"}))
    path = tmp_path_factory.mktemp("stego") / "stego.mp4"
    path.write_bytes(client.get(job["result_url"]).content)
    return path


def post(
    client: Client, url: str, video: Path | bytes, data: dict[str, str] | None = None, **more: Any
) -> Answer:
    content = video.read_bytes() if isinstance(video, Path) else video
    files = {"video": ("../../etc/passwd", content), **more.pop("files", {})}
    return client.post(url, data=data or {}, files=files, **more)


def finished(client: Client, answer: Answer) -> dict[str, Any]:
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    deadline = time.monotonic() + 60
    while job["state"] in ("queued", "running"):
        assert time.monotonic() < deadline
        job = client.get(f"/jobs/{job['id']}", params={"wait": 10}).json()
    return job


def sentence(answer: Answer) -> str:
    """The one sentence of an error; never a traceback, a path or more than a line."""
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert list(body) == ["error"]
    text: str = body["error"]
    assert text and "\n" not in text and "Traceback" not in text and "/jobs/" not in text
    return text


# -- the way of a message ------------------------------------------------------------------------------


def test_hides_and_recovers(client: Client, stego: Path, tmp_path: Path) -> None:
    assert vidstega.extract(stego, key=KEY) == b"meet at noon"
    job = finished(client, post(client, "/extract", stego, {"key": KEY}))
    assert job["state"] == "done" and job["progress"] == 1 and job["result"]["text"] is True
    result = client.get(job["result_url"])
    assert result.content == b"meet at noon"
    assert result.headers["content-disposition"] == 'attachment; filename="message.txt"'
    assert result.headers["x-content-type-options"] == "nosniff"


def test_a_file_comes_back_exactly(client: Client, cover_vp9: Path) -> None:
    payload = os.urandom(5000)
    files = {"payload": ("secret.zip", payload)}
    job = finished(client, post(client, "/embed", cover_vp9, {"key": KEY, "spread": "all"}, files=files))
    assert job["state"] == "done" and job["result"]["mode"] == "transcode"
    video = client.get(job["result_url"]).content
    job = finished(client, post(client, "/extract", video, {"key": KEY}))
    assert job["result"]["text"] is False and client.get(job["result_url"]).content == payload


@pytest.mark.parametrize("order", [("key", "message", "video"), ("video", "message", "key")])
def test_order_of_the_fields_does_not_matter(client: Client, cover: Path, order: tuple[str, ...]) -> None:
    fields = {"key": (None, KEY), "message": (None, "x"), "video": ("v", cover.read_bytes())}
    answer = client.post("/embed", files=[(name, fields[name]) for name in order])
    assert finished(client, answer)["state"] == "done"


def test_a_chunked_upload_without_a_length(client: Client, cover: Path) -> None:
    request = client.build_request(
        "POST", "/embed", data={"key": KEY, "message": "x"}, files={"video": cover.read_bytes()}
    )
    body = request.read()
    pieces = (body[at : at + 10_000] for at in range(0, len(body), 10_000))
    answer = client.post("/embed", content=pieces, headers={"Content-Type": request.headers["content-type"]})
    assert finished(client, answer)["state"] == "done"


@pytest.mark.parametrize("method", [None, *methods()])
def test_the_result_says_which_method_and_why(client: Client, cover: Path, method: str | None) -> None:
    named = {} if method is None else {"method": method}
    data = {"key": KEY, "message": "noon"} | named
    if method == "robust":
        cover = make_cover(cover.with_name("long.mp4"), width=320, height=240, frames=125, fps=25)
        data["survive"] = "crf23"
    job = finished(client, post(client, "/embed", cover, data))
    result = job["result"]
    assert result["reason"] and result["method"] in methods()[1:]
    assert method in (None, "auto", result["method"])
    stego = client.get(job["result_url"]).content
    job = finished(client, post(client, "/extract", stego, {"key": KEY} | named))
    assert client.get(job["result_url"]).content == b"noon"


def test_what_to_survive_goes_with_robust(client: Client, cover: Path) -> None:
    for sent, told in (({}, "goes with"), ({"method": "robust", "survive": "telegram"}, "none of crf23")):
        data = {"key": KEY, "message": "x", "survive": "480p"} | sent
        answer = post(client, "/embed", cover, data)
        assert answer.status_code == 422 and told in answer.json()["error"]


def test_an_empty_file_is_a_payload_and_a_key_file_loses_its_newline(client: Client, cover: Path) -> None:
    files = {"payload": ("empty", b""), "key": ("key.txt", KEY.encode() + b"\n")}
    job = finished(client, post(client, "/embed", cover, files=files))
    video = client.get(job["result_url"]).content
    job = finished(client, post(client, "/extract", video, {"key": KEY}))
    assert job["state"] == "done" and client.get(job["result_url"]).content == b""


def test_capacity(client: Client, cover: Path) -> None:
    answer = post(client, "/capacity", cover)
    assert answer.status_code == 200
    assert answer.json()["payload_bytes"] == vidstega.capacity(cover).payload_bytes
    assert answer.json()["splice"] is True


def test_result_can_be_fetched_in_ranges(client: Client, cover: Path) -> None:
    job = finished(client, post(client, "/embed", cover, {"key": KEY, "message": "x"}))
    whole = client.get(job["result_url"]).content
    part = client.get(job["result_url"], headers={"Range": "bytes=100-199"})
    assert part.status_code == 206 and part.content == whole[100:200]


# -- what is refused, and how --------------------------------------------------------------------------


def test_wrong_key_and_clean_video_give_one_and_the_same_sentence(
    client: Client, cover: Path, stego: Path
) -> None:
    texts = []
    for video, key in ((stego, "wrong"), (cover, KEY)):
        job = finished(client, post(client, "/extract", video, {"key": key}))
        assert job["state"] == "failed"
        answer = client.get(f"/jobs/{job['id']}/result")
        assert answer.status_code == 422
        texts.append(sentence(answer))
        assert job["error"] == texts[-1]
    assert texts[0] == texts[1] and "no payload can be read with this key" in texts[0]


def test_detect(client: Client, cover: Path, tmp_path: Path) -> None:
    assert post(client, "/detect", cover).json()["found"] is False
    stego = tmp_path / "s.mp4"
    vidstega.embed(cover, stego, b"hello", key="k", method="lsb", progress=False)
    answer = post(client, "/detect", stego)
    assert answer.status_code == 200 and "raw picture" in answer.json()["by"]
    assert str(tmp_path) not in answer.text


@pytest.mark.parametrize("url", ["/embed", "/extract", "/capacity", "/detect"])
def test_an_empty_video_is_told_from_none(client: Client, url: str) -> None:
    data = {"embed": {"key": KEY, "message": "x"}, "extract": {"key": KEY}}.get(url[1:], {})
    empty = post(client, url, b"", data)
    assert (empty.status_code, "the video is empty, 0 bytes" in sentence(empty)) == (422, True)
    for nothing in ({"video": ("", b"")}, {"video": (None, b"")}):  # no file chosen; an empty text field
        answer = client.post(url, data=data, files=nothing)
        assert (answer.status_code, "no video was sent" in sentence(answer)) == (422, True)


@pytest.mark.parametrize("cut", [0, 100, -3000, "noise", "text"])
def test_broken_uploads(client: Client, cover: Path, cut: int | str) -> None:
    whole = cover.read_bytes()
    video = {"noise": os.urandom(5000), "text": b"hello"}.get(str(cut)) or whole[: int(cut)]  # type: ignore[arg-type]
    answer = post(client, "/embed", video, {"key": KEY, "message": "x"})
    if answer.status_code == 202:  # its packets are there, its frames may not be
        job = finished(client, answer)
        answer = client.get(f"/jobs/{job['id']}/result")
    assert answer.status_code == 422
    assert "video" in sentence(answer)


@pytest.mark.parametrize(
    ("url", "data", "files", "status", "words"),
    [
        ("/embed", {"message": "x"}, {}, 422, "no key"),
        ("/embed", {"key": "", "message": "x"}, {}, 422, "no key"),
        ("/embed", {"key": "k"}, {}, 422, "either a 'message' or a 'payload'"),
        ("/embed", {"key": "k", "message": "x"}, {"payload": ("p", b"y")}, 422, "either"),
        ("/embed", {"key": "k", "message": "x", "spread": "2"}, {}, 422, "spread='2'"),
        ("/embed", {"key": "k", "message": "x", "spread": "nan"}, {}, 422, "spread='nan'"),
        (
            "/embed",
            {"key": "k", "message": "x", "method": "Best"},
            {},
            422,
            "method='Best' is none of auto, ",
        ),
        ("/extract", {"key": "k", "spread": "all"}, {}, 422, "no field 'spread'"),
        ("/embed", {"key": "k" * 5000, "message": "x"}, {}, 413, "'key' is too large"),
        ("/embed", {"key": "k", "message": "x" * (2 << 20) + "y"}, {}, 413, "'message' is too large"),
        ("/embed", {"key": "k", "message": "x", "colour": "red"}, {}, 422, "'colour'"),
        ("/embed", {"key": ["k", "l"], "message": "x"}, {}, 422, "'key' came twice"),
        ("/embed", {"message": "x"}, {"key": ("k", b"\xff\xfe")}, 422, "not UTF-8"),
        ("/extract", {"key": "k", "message": "x"}, {}, 422, "'message'"),
    ],
)
def test_wrong_forms(
    client: Client,
    cover: Path,
    url: str,
    data: dict[str, Any],
    files: dict[str, Any],
    status: int,
    words: str,
) -> None:
    answer = post(client, url, cover, data, files=files)
    assert (answer.status_code, words in sentence(answer)) == (status, True), answer.text


def test_no_form_at_all(client: Client) -> None:
    assert client.post("/embed", json={"key": "k"}).status_code == 415
    cut = client.post(
        "/embed", content=b"--x\r\n", headers={"Content-Type": "multipart/form-data; boundary=x"}
    )
    assert cut.status_code == 400 and "form" in sentence(cut)
    none = client.post("/embed", content=b"", headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert none.status_code == 400
    assert client.get("/nowhere").status_code == 404 and sentence(client.get("/nowhere"))
    assert client.get("/embed").status_code == 405


def test_a_body_without_end_is_cut_off(client: Client) -> None:
    """Bytes before, after and between the fields count too, and so do heads that never end."""
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    field = b'--x\r\nContent-Disposition: form-data; name="key"\r\n\r\nk'
    for start, status in ((b"noise", 413), (field + b"\r\n--x--", 413), (b"--x\r\nX-Long: ", 400)):

        def endless(start: bytes = start) -> Iterator[bytes]:
            yield start
            for _ in range(20):
                yield b"y" * (1 << 20)

        answer = client.post("/embed", content=endless(), headers=headers)
        assert (answer.status_code, bool(sentence(answer))) == (status, True), start


@pytest.mark.parametrize("said", [True, False])
def test_too_large_an_upload(server: Server, client: Client, said: bool) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="video"; filename="v"\r\n\r\n'

    def endless() -> Iterator[bytes]:
        yield head
        for _ in range(20):
            yield bytes(1 << 20)

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    headers |= {"Content-Length": str(len(head) + (20 << 20))} if said else {}
    answer = client.post("/embed", content=endless(), headers=headers)
    assert answer.status_code == 413 and "too large; at most" in sentence(answer)
    used = sum(p.stat().st_size for p in (server.log.parent / "data").rglob("*") if p.is_file())
    assert used < 15 << 20


def test_a_payload_that_does_not_fit_is_refused_at_once(client: Client, cover_vp9: Path) -> None:
    files = {"payload": ("p", os.urandom(200_000))}
    answer = post(client, "/embed", cover_vp9, {"key": KEY}, files=files)
    assert answer.status_code == 422 and "capacity is" in sentence(answer)


def test_no_error_tells_where_the_server_keeps_things(tmp_path: Path, cover: Path) -> None:
    data = tmp_path / "top secret" / "it's, my: data"
    data.parent.mkdir()
    with (
        serving(data, "--memory-budget", "2G", *NO_RATES) as server,
        Client(base_url=server.url, timeout=60, trust_env=False) as client,
    ):
        for video in (b"hello", cover.read_bytes()[:3000]):
            answer = post(client, "/embed", video, {"key": KEY, "message": "x"})
            assert answer.status_code == 422 and sentence(answer).startswith("the video")
            assert not re.search(r"secret|data|it's|/", sentence(answer)), sentence(answer)


def test_another_site_may_not_send_work(client: Client, cover: Path) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}
    answer = post(client, "/embed", cover, {"key": KEY, "message": "x"}, headers=headers)
    assert answer.status_code == 403


# -- jobs ----------------------------------------------------------------------------------------------


def test_unknown_jobs_and_deleting(client: Client, cover: Path, server: Server) -> None:
    for id in ("0" * 32, "..%2f..%2flock", "a"):
        for answer in (
            client.get(f"/jobs/{id}"),
            client.get(f"/jobs/{id}/result"),
            client.delete(f"/jobs/{id}"),
        ):
            assert answer.status_code == 404
    job = finished(client, post(client, "/embed", cover, {"key": KEY, "message": "x"}))
    folder = server.log.parent / "data" / "jobs" / job["id"]
    assert folder.is_dir()
    assert client.delete(f"/jobs/{job['id']}").status_code == 204
    assert client.get(f"/jobs/{job['id']}").status_code == 404 and not folder.exists()


def test_ids_cannot_be_guessed(client: Client, cover: Path) -> None:
    ids = {
        finished(client, post(client, "/embed", cover, {"key": KEY, "message": "x"}))["id"] for _ in range(2)
    }
    assert len(ids) == 2 and all(re.fullmatch(r"[\w-]{32}", id) for id in ids)


def test_keys_are_nowhere_after_the_job(client: Client, cover: Path, server: Server) -> None:
    """Not in the log, the database, its journal, the metrics, or any file; and the folder is private."""
    key = "find-me-5a3f9c0e1b"
    job = finished(client, post(client, "/embed", cover, {"key": key, "message": "x"}))
    video = client.get(job["result_url"]).content
    finished(client, post(client, "/extract", video, {"key": key}))
    post(client, "/embed", b"broken", {"key": key, "message": "x"})
    post(client, "/embed", cover, {"key": key})
    data = server.log.parent / "data"
    files = [path for path in (server.log, *data.rglob("*")) if path.is_file()]
    assert any(path.name == "jobs.sqlite-wal" for path in files)
    for path in files:
        assert key.encode() not in path.read_bytes(), path
        assert path.name != "key"
    assert key not in client.get("/metrics").text
    assert job["id"] not in server.log.read_text() + client.get("/metrics").text
    assert stat.S_IMODE(data.stat().st_mode) == 0o700


def test_only_results_are_kept(client: Client, cover: Path, server: Server) -> None:
    job = finished(client, post(client, "/embed", cover, {"key": KEY, "message": "x"}))
    names = (server.log.parent / "data" / "jobs" / job["id"]).iterdir()
    assert [path.name for path in names] == ["stego-1.mp4"]
    rows = sqlite3.connect(server.log.parent / "data" / "jobs.sqlite").execute(
        "SELECT disk, request FROM jobs WHERE id = ?", [job["id"]]
    )
    assert rows.fetchall() == [(job["result"]["bytes"], "{}")]


# -- the rest ------------------------------------------------------------------------------------------


def test_listens_on_loopback_alone(server: Server) -> None:
    listening = [
        one.laddr.ip
        for one in psutil.Process(server.process.pid).net_connections("inet")
        if one.status == psutil.CONN_LISTEN
    ]
    assert listening == ["127.0.0.1"]


def test_health_openapi_and_metrics(client: Client, cover: Path) -> None:
    finished(client, post(client, "/embed", cover, {"key": KEY, "message": "x"}))
    health = client.get("/health").json()
    assert health["status"] == "ok" and health["version"] == vidstega.__version__
    assert health["methods"][0] == "auto" and set(health["methods"]) > {"auto"}
    paths = client.get("/openapi.json").json()["paths"]
    assert {
        "/embed",
        "/extract",
        "/capacity",
        "/detect",
        "/jobs/{id}",
        "/jobs/{id}/result",
        "/health",
    } <= set(paths)
    form = paths["/embed"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert set(form["properties"]) == {"video", "message", "payload", "key", "method", "spread", "survive"}
    assert form["properties"]["survive"]["enum"] == health["channels"] and "480p" in health["channels"]
    assert form["properties"]["method"]["enum"] == health["methods"] == methods()
    lines = client.get("/metrics").text
    for metric in (
        'vidstega_requests_total{method="POST",route="/embed",status="202"}',
        'vidstega_job_seconds_count{operation="embed",outcome="ok"}',
        "vidstega_queue_length 0.0",
        "vidstega_memory_admitted_bytes 0.0",
        "vidstega_memory_budget_bytes",
        'vidstega_rejections_total{limit="rate"}',
    ):
        assert metric in lines, metric


def test_the_page_needs_nothing_from_elsewhere(client: Client) -> None:
    page = client.get("/")
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page.text)


def test_two_servers_do_not_share_a_folder(server: Server) -> None:
    with (
        pytest.raises(RuntimeError, match="in use by another server"),
        serving(server.log.parent / "data"),
    ):
        pass
