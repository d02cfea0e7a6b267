"""The command line as a user meets it: a process of its own, real files, exit codes, one line on stderr."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path
from typing import Any

import pytest

import vidstega
from vidstega import cli
from vidstega.lab.covers import make_cover

COMMAND = [sys.executable, "-m", "vidstega"]
_DECIDED_HERE = ("VIDSTEGA_", "PYTHONIOENCODING", "PYTHONUNBUFFERED", "PYTHONUTF8", "LC_", "LANG")
WITHOUT_KEY = {
    **{name: value for name, value in os.environ.items() if not name.startswith(_DECIDED_HERE)},
    "LC_ALL": "C.UTF-8",
}

posix = pytest.mark.skipif(os.name != "posix", reason="signals and terminals as POSIX knows them")


def environment(key: str | bytes | None, **more: str) -> Any:
    variables = map_bytes({**WITHOUT_KEY, **more})
    return variables if key is None else {**variables, b"VIDSTEGA_KEY": os.fsencode(key)}


def map_bytes(variables: dict[str, str]) -> dict[bytes, bytes]:
    return {os.fsencode(name): os.fsencode(value) for name, value in variables.items()}


def run(
    *args: object, key: str | bytes | None = "correct horse", **how: Any
) -> subprocess.CompletedProcess[bytes]:
    """Run vidstega without a terminal."""
    pipes = {} if "stdin" in how else {"input": b""}
    how = {"env": environment(key), "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | pipes | how
    return subprocess.run([*COMMAND, *map(str, args)], start_new_session=True, timeout=120, **how)


def well(*args: object, **how: Any) -> bytes:
    """Run vidstega and expect it to succeed without a word on stderr."""
    done = run(*args, **how)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout


def error(code: int, *args: object, **how: Any) -> str:
    """Run vidstega and expect one line on stderr."""
    done = run(*args, **how)
    assert done.returncode == code, done
    assert done.stdout in (b"", None)
    text = done.stderr.decode()
    assert text.startswith("vidstega: error: ")
    assert text.count("\n") == 1
    return text


@pytest.fixture(scope="module")
def stego(cover: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Carries b"meet at noon" under the key "correct horse"."""
    path = tmp_path_factory.mktemp("stego") / "stego.mp4"
    well("embed", cover, path, "--message", "meet at noon", "--quiet")
    return path


# --- what it does ----------------------------------------------------------------------------------------


def test_a_file_comes_back(cover: Path, tmp_path: Path) -> None:
    secret, stego, out = tmp_path / "secret.bin", tmp_path / "stego.mp4", tmp_path / "out.bin"
    secret.write_bytes(bytes(range(256)) * 40)
    shown = well("embed", cover, stego, "--payload", secret, "--spread", "0.5", "--no-compress", "--jobs", 2)
    assert b"splice" in shown and hashlib.sha256(secret.read_bytes()).hexdigest().encode() in shown
    assert b"10,240 bytes" in well("extract", stego, "--out", out, "--jobs", 2)
    assert out.read_bytes() == secret.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.bin", "secret.bin", "stego.mp4"]


def test_pipes(cover: Path, tmp_path: Path) -> None:
    well("embed", cover, tmp_path / "s.mp4", "--payload", "-", "--quiet", input=b"\0\xff\r\n")
    assert well("extract", tmp_path / "s.mp4", "--out", "-") == b"\0\xff\r\n"


@posix
def test_a_message_is_the_bytes_that_were_typed(cover: Path, tmp_path: Path) -> None:
    well("embed", cover, tmp_path / "s.mp4", "--message", "mittags, Café \udcff", "--quiet")
    assert well("extract", tmp_path / "s.mp4", "--out", "-") == "mittags, Café ".encode() + b"\xff"


def test_every_frame_can_carry_and_be_compared(cover_vp9: Path, tmp_path: Path) -> None:
    shown = well("embed", cover_vp9, tmp_path / "s.mkv", "--message", "x", "--spread", "all", "--full-verify")
    assert b"transcode" in shown and b"every frame" in shown
    assert b"every frame" in well("verify", cover_vp9, tmp_path / "s.mkv", "--full")
    assert well("extract", tmp_path / "s.mkv", "--out", "-", "--deep") == b"x"


def test_probe_and_capacity_need_no_key(cover: Path, cover_vp9: Path) -> None:
    assert b"splice  yes" in well("probe", cover, key=None)
    assert b"splice  no: the video is vp9" in well("probe", cover_vp9, key=None)
    assert b"76,800" in well("capacity", cover, key=None)


def test_json_says_what_the_api_says(cover: Path, stego: Path, tmp_path: Path) -> None:
    probed = json.loads(well("probe", cover, "--json"))
    assert probed["path"] == str(cover) and probed["rate"] == "30" and probed["splice"] is True
    rows = json.loads(well("capacity", cover, "--json"))["rows"]
    assert [row["payload_bytes"] for row in rows] == [r.payload_bytes for r in vidstega.capacity(cover).rows]
    digest = hashlib.sha256(b"meet at noon").hexdigest()
    assert json.loads(well("verify", cover, stego, "--json"))["digest"] == digest
    extracted = json.loads(well("extract", stego, "--out", tmp_path / "out", "--json"))
    assert extracted == {"out": str(tmp_path / "out"), "payload_bytes": 12, "digest": digest}
    embedded = json.loads(
        well("embed", cover, tmp_path / "s.mp4", "--message", "x", "--no-verify", "--json", "--quiet")
    )
    assert embedded["verified"] == "no" and embedded["stego"] == str(tmp_path / "s.mp4")


def test_quiet_is_quiet(cover: Path, stego: Path, tmp_path: Path) -> None:
    assert well("embed", cover, tmp_path / "s.mp4", "--message", "x", "--quiet") == b""
    assert well("extract", stego, "--out", tmp_path / "out", "--quiet") == b""
    assert well("verify", cover, stego, "--quiet") == b""


def test_what_a_container_cannot_hold_is_a_warning_of_one_line(cover_vp9: Path, tmp_path: Path) -> None:
    done = run("embed", cover_vp9, tmp_path / "s.mov", "--message", "x", "--quiet")
    assert done.returncode == 0
    lines = done.stderr.decode().splitlines()
    assert lines and all(line.startswith("vidstega: warning: ") for line in lines)
    assert any("opus" in line for line in lines)


def test_outputs_are_replaced_only_if_asked(cover: Path, stego: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_bytes(b"mine")
    assert "--overwrite" in error(1, "extract", stego, "--out", out)
    assert out.read_bytes() == b"mine"
    well("extract", stego, "--out", out, "--overwrite")
    assert out.read_bytes() == b"meet at noon"


def test_version_and_help() -> None:
    assert well("--version").decode() == f"vidstega {vidstega.__version__}\n"
    assert b"VIDSTEGA_KEY" in well("embed", "--help")


# --- the key ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_a_key_file_loses_one_trailing_newline(stego: Path, tmp_path: Path, end: bytes) -> None:
    (tmp_path / "key").write_bytes(b"correct horse" + end)
    assert well("extract", stego, "--out", "-", "--key-file", tmp_path / "key", key=None) == b"meet at noon"


def test_a_key_file_loses_no_more_than_that_and_wins(stego: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"correct horse\n\n")
    assert "no payload" in error(1, "extract", stego, "--out", "-", "--key-file", tmp_path / "key")


@posix
def test_a_key_that_is_no_text(cover: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\xff\xfe\n")
    well("embed", cover, tmp_path / "s.mp4", "--message", "x", "--quiet", key=b"\xff\xfe")
    assert well("extract", tmp_path / "s.mp4", "--out", "-", "--key-file", tmp_path / "key", key=None) == b"x"


def test_a_key_is_never_an_argument(cover: Path, tmp_path: Path) -> None:
    done = run("embed", cover, tmp_path / "s.mp4", "--message", "x", "--key", "secret", key=None)
    assert done.returncode == 2
    assert list(tmp_path.iterdir()) == []


@posix
def test_without_key_and_terminal_the_three_ways_are_named(stego: Path) -> None:
    text = error(2, "extract", stego, "--out", "-", key=None)
    assert "--key-file" in text and "VIDSTEGA_KEY" in text and "terminal" in text


def test_bad_keys(stego: Path, tmp_path: Path) -> None:
    assert "empty" in error(2, "extract", stego, "--out", "-", key="")
    assert "key file" in error(1, "extract", stego, "--out", "-", "--key-file", tmp_path)
    (tmp_path / "video").write_bytes(bytes((1 << 20) + 1))
    assert "right file" in error(1, "extract", stego, "--out", "-", "--key-file", tmp_path / "video")


@posix
@pytest.mark.parametrize("typed", [["correct horse"] * 2, ["correct horse", "corect horse"], ["\x04"]])
def test_a_terminal_is_asked_twice(cover: Path, tmp_path: Path, typed: list[str]) -> None:
    code, shown = on_terminal(typed, "embed", cover, tmp_path / "s.mp4", "--message", "x", "--quiet")
    assert "correct" not in shown
    if len(set(typed)) == 1 and len(typed) == 2:
        assert code == 0, shown
        assert well("extract", tmp_path / "s.mp4", "--out", "-") == b"x"
    else:
        assert code == 2 and "vidstega: error: " in shown and "Traceback" not in shown
        assert list(tmp_path.iterdir()) == []


def on_terminal(typed: list[str], *args: object) -> tuple[int, str]:
    """Run vidstega on a terminal of its own; the exit code and what the terminal showed."""
    import pty

    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [*COMMAND, *map(str, args)], WITHOUT_KEY)
    shown = b""
    with os.fdopen(terminal, "r+b", buffering=0) as screen:
        answers = iter(typed)
        while True:
            try:
                piece = screen.read(4096)
            except OSError:  # how Linux says that the other side is gone
                break
            if not piece:
                break
            shown += piece
            if piece.endswith((b"Key: ", b"Key again: ")):
                screen.write(next(answers).encode() + b"\n")
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode()


# --- exit codes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "args",
    [
        ["embed", "COVER", "s.mp4", "--payload", "missing.zip"],
        ["embed", "missing.mp4", "s.mp4", "--message", "x"],
        ["embed", ".", "s.mp4", "--message", "x"],
        ["embed", "notes.txt", "s.mp4", "--message", "x"],
        ["embed", "COVER", "no/such/folder/s.mp4", "--message", "x"],
        ["embed", "COVER", "s.mp4", "--payload", "large.bin", "--no-compress"],
        ["extract", "COVER", "--out", "out"],
        ["extract", "notes.txt", "--out", "out"],
        ["extract", "line\nbreak.mp4", "--out", "out"],
        ["capacity", "missing.mp4"],
        ["probe", "notes.txt"],
        ["verify", "COVER", "COVER"],
    ],
    ids=lambda args: " ".join(args).replace("\n", "?"),
)
def test_errors_are_one_line_and_exit_1(cover: Path, tmp_path: Path, args: list[str]) -> None:
    (tmp_path / "notes.txt").write_text("not a video\n" * 100)
    (tmp_path / "large.bin").write_bytes(bytes(1_000_000))
    before = sorted(tmp_path.iterdir())
    error(1, *(str(cover) if arg == "COVER" else arg for arg in args), cwd=tmp_path)
    assert sorted(tmp_path.iterdir()) == before


def test_a_wrong_key_is_one_line_and_exits_1(stego: Path) -> None:
    assert "no payload can be read with this key" in error(1, "extract", stego, "--out", "-", key="wrong")


@pytest.mark.parametrize(
    "options",
    [
        ["--spread", "some"],
        ["--spread", "0"],
        ["--spread", "nan"],
        ["--jobs", "0"],
        ["--jobs", "two"],
        ["--method", "magic"],
        ["--payload", "file", "--message", "x"],
        ["--no-verify", "--full-verify"],
        ["--over"],
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_exits_2(cover: Path, tmp_path: Path, options: list[str]) -> None:
    given = [] if "--payload" in options else ["--message", "x"]
    done = run("embed", cover, tmp_path / "s.mp4", *given, *options)
    assert done.returncode == 2
    assert b"vidstega" in done.stderr and b"Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_extension_is_the_command_lines_fault(cover: Path, tmp_path: Path) -> None:
    assert ".mkv" in error(2, "embed", cover, tmp_path / "s.doc", "--message", "x")
    assert "--out" in error(2, "extract", cover, "--out", "-", "--json")


@posix
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_signals_leave_no_litter(cover: Path, tmp_path: Path, number: signal.Signals, code: int) -> None:
    """It waits for a payload that does not come, with its working folder made."""
    args = ["embed", str(cover), str(tmp_path / "s.mp4"), "--payload", "-"]
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(
        [*COMMAND, *args], env=environment("k"), preexec_fn=lambda: heed(number), **pipes
    ) as process:
        wait_for(lambda: any(tmp_path.iterdir()))
        process.send_signal(number)
        assert process.stderr is not None
        assert b"Traceback" not in process.stderr.read()
        assert process.wait(30) == code
    assert list(tmp_path.iterdir()) == []


@posix
def test_ctrl_c_while_workers_write(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    cover = make_cover(
        tmp_path_factory.mktemp("long") / "c.mp4", width=640, height=360, frames=400, gop_s=0.5
    )
    args = [
        "embed",
        str(cover),
        str(tmp_path / "s.mp4"),
        "--message",
        "x",
        "--spread",
        "all",
        "--jobs",
        "2",
        "--method",
        "lsb",
    ]
    heeding: dict[str, Any] = {"preexec_fn": lambda: heed(signal.SIGINT), "stderr": subprocess.PIPE}
    with subprocess.Popen([*COMMAND, *args], env=environment("k"), **heeding) as process:
        wait_for(lambda: any(tmp_path.glob(".vidstega-*/*/part-*")))
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60)[1] == b"vidstega: error: interrupted\n"
        assert process.returncode == 130
    assert list(tmp_path.iterdir()) == []


def heed(number: signal.Signals) -> None:
    """In a child: under nohup, and in the background of a script, it would be ignored."""
    signal.signal(number, signal.SIG_DFL)


def wait_for(condition: Any) -> None:
    for _ in range(3000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come")


@posix
def test_a_broken_pipe_is_quiet(cover: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "capacity", str(cover)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(30) == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_output_that_cannot_be_written_is_one_line(cover: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        assert "No space left" in error(1, "capacity", cover, stdout=full)


# --- in this process -------------------------------------------------------------------------------------


def plug_in(monkeypatch: pytest.MonkeyPatch, run: Any) -> None:
    """A command `serve` that does `run`."""
    module: Any = types.ModuleType("vidstega.service.cli")
    module.add_parsers = lambda commands: commands.add_parser("serve").set_defaults(run=run)
    monkeypatch.setitem(sys.modules, "vidstega.service", types.ModuleType("vidstega.service"))
    monkeypatch.setitem(sys.modules, "vidstega.service.cli", module)


def test_a_command_can_be_plugged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    plug_in(monkeypatch, lambda args: 7)
    assert cli.main(["serve"]) == 7


def test_a_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plug_in(monkeypatch, lambda args: __import__("no_such_server"))
    assert cli.main(["serve"]) == 1
    text = capsys.readouterr().err
    assert text.startswith("vidstega: error: vidstega serve needs the extra: pip install 'vidstega[service]'")
    assert text.count("\n") == 1


@pytest.mark.parametrize(
    ("raised", "says"),
    [
        (MemoryError(), "out of memory"),
        (OSError(5, "Input/output error"), "Input/output error"),
        (FileNotFoundError(2, "No such file or directory", "x"), "x: No such file"),
        (
            ZeroDivisionError("division\nby zero"),
            "something went wrong in vidstega itself (ZeroDivisionError: ",
        ),
        (RecursionError("too deep"), "something went wrong in vidstega itself (RecursionError: too deep)"),
    ],
)
def test_what_the_machine_refuses_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], raised: BaseException, says: str
) -> None:
    def fail(args: object) -> int:
        raise raised

    monkeypatch.setattr(cli, "_discard_stdout", lambda: None)
    plug_in(monkeypatch, fail)
    assert cli.main(["serve"]) == 1
    text = capsys.readouterr().err
    assert text.startswith("vidstega: error: " + says) and text.count("\n") == 1
    assert cli.main(["serve", "--debug"]) == 1
    traced = capsys.readouterr().err
    assert traced.startswith("Traceback") and traced.endswith(text) and "in fail" in traced


def test_signal_handlers_are_put_back(cover: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    assert cli.main(["probe", str(cover)]) == 0
    assert signal.getsignal(signal.SIGTERM) is before
