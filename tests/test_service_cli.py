"""``vidstega serve``: its command line, and what keeps it from starting, in one line each."""

from __future__ import annotations

import argparse
import dataclasses
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("fcntl", reason="the service is for POSIX systems")

import vidstega
from vidstega import cli
from vidstega.service.cli import add_parsers, settings_of
from vidstega.service.settings import Settings, parse_size


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that someone listens at."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield int(other.getsockname()[1])


def settings(*arguments: str) -> Settings:
    parser = argparse.ArgumentParser()
    add_parsers(parser.add_subparsers())
    return settings_of(parser.parse_args(["serve", *arguments]))


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Exit code and the one line of a server that cannot be started."""
    code = cli.main(["serve", *arguments])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("vidstega: error: ")
    return code, line


def test_sizes() -> None:
    sizes = {"4G": 4 << 30, "512M": 512 << 20, "1.5GiB": 3 << 29, "77": 77, "2kb": 2048}
    assert {text: parse_size(text) for text in sizes} == sizes
    for text in ("", "G", "-1", "4X"):
        with pytest.raises(vidstega.VidstegaError, match="no size"):
            parse_size(text)


def test_command_line(tmp_path: Path) -> None:
    found = settings("--memory-budget", "4G", "--data", str(tmp_path / "d"), "--workers", "2")
    assert (found.memory_budget, found.workers, found.host) == (4 << 30, 2, "127.0.0.1")
    assert (found.rate_embed, found.rate_work) == ("5 per minute", "20 per minute; 100 per hour")


def test_what_is_not_given_is_as_settings_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert settings() == Settings(data=tmp_path / "vidstega-data")


def test_every_setting_that_has_a_flag_takes_it(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("alpha\n")
    numbers = "--port=1 --queue=2 --keep=6 --job-timeout=7 --workers=1"
    sizes = "--memory-budget=2G --max-upload=3M --max-payload=4M --disk-quota=5M"
    rates = (
        "--rate-embed= --rate-extract=8/day --rate-work=9/day --rate-address=1/day --rate-storage=redis://h"
    )
    words = "--host=::1 --scheduler=tcp://h:1 --trust-proxy=10.0.0.1"
    files = [f"--api-keys={keys}", f"--data={tmp_path}"]
    given = dataclasses.asdict(settings(*f"{numbers} {sizes} {rates} {words}".split(), *files))
    default = dataclasses.asdict(Settings(data=tmp_path.parent))
    same = {name for name, value in given.items() if value == default[name]}
    assert same == {"upload_timeout", "idle_timeout", "probe_timeout"}
    assert (given["most_upload"], given["api_keys"], given["rate_embed"]) == (3 << 20, {"alpha"}, "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--port", "99999"), "port=99999 must be 1 to 65535, or 0"),
        (("--port", "-1"), "port=-1 must be 1 to 65535, or 0"),
        (("--host", ""), "host='' is no address; give 127.0.0.1"),
        (("--memory-budget", "100M"), "too small"),
        (("--max-upload", "much"), "'much' is no size"),
        (("--keep", "inf"), "keep=inf must be a number more than 0"),
        (("--job-timeout", "nan"), "job_timeout=nan must be a number more than 0"),
    ],
)
def test_arguments_that_make_no_sense(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    code, line = refusal(capsys, *arguments)
    assert (code, words in line) == (2, True), line


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid", "a..b", "[::1]", "x" * 300, "1:2:3"])
def test_a_host_that_cannot_be_bound(capsys: pytest.CaptureFixture[str], tmp_path: Path, host: str) -> None:
    code, line = refusal(capsys, "--host", host, "--port", "0", "--data", str(tmp_path / "data"))
    assert (code, f"cannot listen at {host}:0: " in line, "give another --host" in line) == (1, True, True)
    assert not (tmp_path / "data").exists()


def test_a_port_that_is_taken(capsys: pytest.CaptureFixture[str], tmp_path: Path, taken: int) -> None:
    code, line = refusal(capsys, "--port", str(taken), "--data", str(tmp_path / "data"))
    assert code == 1 and line.endswith(f"127.0.0.1:{taken}: Address already in use; give another --port")


def test_a_folder_that_cannot_be_used(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, line = refusal(capsys, "--port", "0", "--data", str(tmp_path / "file"))
    assert code == 1 and f"{tmp_path / 'file'} cannot be used: " in line
