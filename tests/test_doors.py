"""The doors of scripts: pipes that fail, outputs that are no files, closed and narrow streams, keys."""

from __future__ import annotations

import contextlib
import errno
import io
import multiprocessing
import os
import stat
import subprocess
import sys
import threading
import unicodedata
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import joblib
import pytest
from conftest import requires_ffmpeg
from test_cli import COMMAND, environment, error, on_terminal, posix, run, well

import vidstega
from vidstega import files
from vidstega.errors import CapacityError, InputError, OutputError, PayloadError, UnsupportedError

KEY = "correct horse"
PAYLOAD = bytes(range(256)) * 2000


@pytest.fixture(scope="module")
def stego(cover: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Carries PAYLOAD, which is more than a pipe holds at a time."""
    path = tmp_path_factory.mktemp("stego") / "stego.mp4"
    vidstega.embed(cover, path, PAYLOAD, key=KEY, progress=False)
    return path


# --- every byte, or an error -----------------------------------------------------------------------------


class Narrow(io.RawIOBase):
    """Takes a few bytes at a time, sometimes none, and in the end no more."""

    def __init__(self, room: int) -> None:
        self.taken, self._room, self._asked = b"", room, 0

    def write(self, data: Any) -> int | None:
        self._asked += 1
        if self._asked % 3 == 0:
            return None
        if not (piece := bytes(data[: min(7, self._room - len(self.taken))])):
            raise OSError(errno.ENOSPC, "No space left on device")
        self.taken += piece
        return len(piece)


def test_a_short_write_is_followed_by_another(tmp_path: Path) -> None:
    (tmp_path / "payload").write_bytes(PAYLOAD[:500])
    files.pour(tmp_path / "payload", sink := Narrow(500), "it")
    assert sink.taken == PAYLOAD[:500]
    with pytest.raises(OutputError, match="it cannot be written after 499 of 500 bytes: No space left"):
        files.pour(tmp_path / "payload", Narrow(499), "it")


@posix
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("asked", [["extract", "STEGO", "--out", "-"], ["probe", "STEGO"], ["--help"]])
def test_a_full_disk_is_an_error_on_every_way_out(stego: Path, asked: list[str], unbuffered: str) -> None:
    args = [str(stego) if arg == "STEGO" else arg for arg in asked]
    with Path("/dev/full").open("wb") as full:
        env = environment(KEY, PYTHONUNBUFFERED=unbuffered)
        assert "No space left" in error(1, *args, stdout=full, env=env)


@posix
def test_a_reader_that_goes_away_is_an_error(stego: Path) -> None:
    args = [*COMMAND, "extract", str(stego), "--out", "-"]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(args, env=environment(KEY), **pipes) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert b"its reader went away after" in process.stderr.read()
        assert process.wait(60) == 1


@posix
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_pipe_that_does_not_block_gets_every_byte(stego: Path, unbuffered: str) -> None:
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    env = environment(KEY, PYTHONUNBUFFERED=unbuffered)
    args = [*COMMAND, "extract", str(stego), "--out", "-"]
    with subprocess.Popen(args, env=env, stdout=theirs) as process, os.fdopen(ours, "rb") as reader:
        os.close(theirs)
        assert reader.read() == PAYLOAD
    assert process.returncode == 0


# --- payloads that did not come --------------------------------------------------------------------------


@posix
def test_a_payload_that_a_pipe_did_not_bring_is_refused(cover: Path, tmp_path: Path) -> None:
    target = tmp_path / "s.mp4"
    assert '--message ""' in error(1, "embed", cover, target, "--payload", "-")
    assert "empty" in error(1, "embed", cover, target, "--payload", "/dev/null")
    assert "empty" in error(1, "embed", cover, target, "--payload", "-", stdin=subprocess.DEVNULL)
    ours, theirs = os.pipe()
    os.close(theirs)
    with os.fdopen(ours, "rb") as pipe, pytest.raises(InputError, match="empty"):
        vidstega.embed(cover, target, pipe, key=KEY, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_a_payload_that_was_read_to_its_end_is_refused(cover: Path, tmp_path: Path) -> None:
    (tmp_path / "payload").write_bytes(b"precious")
    memory = io.BytesIO()
    memory.write(b"precious")
    with (tmp_path / "payload").open("rb") as file:
        file.read()
        for payload in (file, memory):
            with pytest.raises(InputError, match="seek to its start"):
                vidstega.embed(cover, tmp_path / "s.mp4", payload, key=KEY, progress=False)


def test_an_empty_payload_that_is_meant_is_hidden(cover: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with (tmp_path / "empty").open("rb") as empty:
        well("embed", cover, tmp_path / "a.mp4", "--payload", "-", "--quiet", stdin=empty)
    well("embed", cover, tmp_path / "b.mp4", "--payload", tmp_path / "empty", "--quiet")
    well("embed", cover, tmp_path / "c.mp4", "--message", "", "--quiet")
    vidstega.embed(cover, tmp_path / "d.mp4", io.BytesIO(), key=KEY, progress=False)
    assert {vidstega.extract(tmp_path / f"{name}.mp4", key=KEY) for name in "abcd"} == {b""}


@posix
@pytest.mark.parametrize("payload", ["-", "/dev/stdin", "/dev/fd/0"])
@pytest.mark.parametrize("key_file", ["-", "/dev/stdin"])
def test_one_standard_input_has_one_use(cover: Path, tmp_path: Path, payload: str, key_file: str) -> None:
    args = ["embed", cover, tmp_path / "s.mp4", "--payload", payload, "--key-file", key_file]
    assert "--payload and --key-file" in error(2, *args, input=b"both")
    (tmp_path / "file").write_bytes(b"both")
    with (tmp_path / "file").open("rb") as file:
        assert "--payload and --key-file" in error(2, *args, stdin=file)
    assert not (tmp_path / "s.mp4").exists()


@posix
def test_one_named_pipe_has_one_use(cover: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    args = ["embed", cover, tmp_path / "s.mp4", "--payload", tmp_path / "pipe"]
    assert "would both read" in error(2, *args, "--key-file", tmp_path / "pipe")


@posix
@pytest.mark.parametrize("compress", [[], ["--no-compress"]])
def test_a_payload_far_too_large_is_refused_unread(cover: Path, tmp_path: Path, compress: list[str]) -> None:
    with (tmp_path / "sparse").open("wb") as sparse:
        sparse.truncate(200 << 30)
    text = error(1, "embed", cover, tmp_path / "s.mp4", "--payload", tmp_path / "sparse", *compress)
    assert "capacity" in text and ("214,748,364,800" in text or compress)


@posix
@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no /dev/zero")
def test_a_payload_without_end_is_given_up(cover: Path, tmp_path: Path) -> None:
    with pytest.raises(CapacityError, match="more than 268,435,456 bytes, capacity"):
        vidstega.embed(cover, tmp_path / "s.mp4", "/dev/zero", key=KEY, progress=False)


def test_a_payload_that_compresses_may_exceed_the_room(cover: Path, tmp_path: Path) -> None:
    vidstega.embed(cover, tmp_path / "s.mp4", bytes(20 << 20), key=KEY, progress=False)
    assert vidstega.extract(tmp_path / "s.mp4", key=KEY) == bytes(20 << 20)


# --- outputs that are no files ---------------------------------------------------------------------------


@pytest.fixture
def extracting(stego: Path) -> Callable[..., Any]:
    def extract(out: Path, **how: Any) -> Any:
        return vidstega.extract(stego, key=KEY, out=out, progress=False, **how)

    return extract


@posix
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_pipe_is_written_to(extracting: Any, tmp_path: Path, overwrite: bool) -> None:
    os.mkfifo(tmp_path / "pipe")
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    extracting(tmp_path / "pipe", overwrite=overwrite)
    reader.join(60)
    assert got == [PAYLOAD]
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"] and (tmp_path / "pipe").is_fifo()


@posix
def test_a_pipe_ends_though_there_is_nothing_to_write(stego: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_bytes()), daemon=True)
    reader.start()
    with pytest.raises(PayloadError):
        vidstega.extract(stego, key="wrong", out=tmp_path / "pipe", progress=False)
    reader.join(60)
    assert got == [b""]


@posix
@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="no /dev/fd")
def test_process_substitution(stego: Path, tmp_path: Path) -> None:
    script = (
        f'"$@" --out >(cat > {tmp_path}/got; touch {tmp_path}/end) && until [ -e {tmp_path}/end ]; do :; done'
    )
    command = ["bash", "-c", script, "bash", *COMMAND, "extract", str(stego), "--quiet"]
    subprocess.run(command, env=environment(KEY), check=True, timeout=60)
    assert (tmp_path / "got").read_bytes() == PAYLOAD


@posix
@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "-"])
def test_standard_output_by_any_name_holds_the_payload_alone(stego: Path, tmp_path: Path, name: str) -> None:
    with (tmp_path / "out").open("wb") as out:
        done = run("extract", stego, "--out", name, stdout=out)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "out").read_bytes() == PAYLOAD


@posix
def test_devices_are_written_to_or_refused_but_never_replaced(
    extracting: Any, cover: Path, tmp_path: Path
) -> None:
    null, video = tmp_path / "null", tmp_path / "null.mp4"
    try:
        for node in (null, video):
            os.mknod(node, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("devices cannot be made here (that takes root)")
    for overwrite in (False, True):
        extracting(null, overwrite=overwrite)
        with pytest.raises(OutputError, match="never replaced"):
            vidstega.embed(cover, video, b"x", key=KEY, overwrite=overwrite, progress=False)
    assert null.is_char_device() and video.is_char_device()


@posix
def test_a_video_is_never_written_into_a_pipe(cover: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(OutputError, match="a pipe, which is never replaced"):
        vidstega.embed(cover, tmp_path / "pipe.mp4", b"x", key=KEY, overwrite=True, progress=False)


@posix
def test_a_link_stays_and_leads_to_the_result(extracting: Any, cover: Path, tmp_path: Path) -> None:
    (tmp_path / "else").mkdir()
    link, real = tmp_path / "link.mp4", tmp_path / "else" / "real"
    link.symlink_to("else/real")
    assert extracting(link).out == link
    assert link.is_symlink() and real.read_bytes() == PAYLOAD
    with pytest.raises(OutputError, match="exists"):
        extracting(link)
    vidstega.embed(cover, link, b"x", key=KEY, overwrite=True, progress=False)
    assert link.is_symlink() and vidstega.extract(real, key=KEY) == b"x"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["else", "link.mp4"]
    assert [path.name for path in (tmp_path / "else").iterdir()] == ["real"]


@posix
def test_links_that_lead_nowhere_are_refused(extracting: Any, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "far").symlink_to("no/such/folder")
    with pytest.raises(OutputError, match="loop"):
        extracting(tmp_path / "loop", overwrite=True)
    with pytest.raises(OutputError, match="create it first"):
        extracting(tmp_path / "far")


def test_what_goes_in_is_not_written_over(cover: Path, stego: Path, tmp_path: Path) -> None:
    payload = tmp_path / "payload.mp4"
    payload.write_bytes(b"precious")
    args = ["embed", cover, payload, "--overwrite"]
    assert "the input itself" in error(1, *args, "--payload", payload)
    with payload.open("rb") as file:
        assert "the input itself" in error(1, *args, "--payload", "-", stdin=file)
    assert "the key file" in error(1, *args, "--message", "x", "--key-file", payload)
    assert "the key file" in error(
        1, "extract", stego, "--out", payload, "--key-file", payload, "--overwrite"
    )
    assert payload.read_bytes() == b"precious"


@posix
def test_standard_output_is_not_the_input(stego: Path, tmp_path: Path) -> None:
    copy = tmp_path / "s.mp4"
    copy.write_bytes(stego.read_bytes())
    with copy.open("ab") as end:
        assert "the input itself" in error(1, "extract", copy, "--out", "-", stdout=end)


# --- one passphrase, one key -----------------------------------------------------------------------------

COMPOSED, DECOMPOSED = unicodedata.normalize("NFC", "Café ñ"), unicodedata.normalize("NFD", "Café ñ")
FORMS = {
    "nfc": COMPOSED.encode(),
    "nfd": DECOMPOSED.encode(),
    "bom": b"\xef\xbb\xbf" + COMPOSED.encode(),
    "bom nfd": b"\xef\xbb\xbf" + DECOMPOSED.encode(),
}


@pytest.fixture(scope="module")
def accented(cover: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Carries b"x" under a passphrase with accents."""
    path = tmp_path_factory.mktemp("accented") / "s.mp4"
    vidstega.embed(cover, path, b"x", key=COMPOSED, progress=False)
    return path


@pytest.mark.parametrize("form", FORMS)
def test_one_passphrase_is_one_key_in_the_library(accented: Path, form: str) -> None:
    assert vidstega.extract(accented, key=FORMS[form]) == b"x"
    assert vidstega.extract(accented, key=FORMS[form].decode()) == b"x"


@posix
@pytest.mark.parametrize("form", FORMS)
def test_one_passphrase_is_one_key_at_every_door(accented: Path, tmp_path: Path, form: str) -> None:
    (tmp_path / "key").write_bytes(FORMS[form] + b"\n")
    args = ["extract", accented, "--out", "-"]
    assert well(*args, "--key-file", tmp_path / "key", key=None) == b"x"
    assert well(*args, "--key-file", "-", key=None, input=FORMS[form] + b"\r\n") == b"x"
    assert well(*args, key=FORMS[form]) == b"x"
    narrow = environment(FORMS[form], LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert well(*args, env=narrow) == b"x"


@posix
@pytest.mark.parametrize("form", FORMS)
def test_one_passphrase_is_one_key_on_the_terminal(accented: Path, tmp_path: Path, form: str) -> None:
    args = ["extract", accented, "--out", tmp_path / "out", "--quiet"]
    assert on_terminal([FORMS[form].decode()], *args)[0] == 0
    assert (tmp_path / "out").read_bytes() == b"x"


@posix
def test_bytes_that_are_no_text_stay_bytes_at_every_door(cover: Path, tmp_path: Path) -> None:
    raw = COMPOSED.encode("latin-1")
    vidstega.embed(cover, tmp_path / "s.mp4", b"x", key=raw, progress=False)
    (tmp_path / "key").write_bytes(raw)
    args = ["extract", tmp_path / "s.mp4", "--out", "-"]
    assert well(*args, key=raw) == well(*args, "--key-file", tmp_path / "key", key=None) == b"x"
    assert "no payload" in error(1, *args, key=COMPOSED)


# --- streams that are closed or narrow -------------------------------------------------------------------


def closing(*numbers: int) -> Callable[[], None]:
    return lambda: [os.close(number) for number in numbers] and None


@posix
def test_closed_streams_do_no_harm(cover: Path, tmp_path: Path) -> None:
    for number, closed in enumerate(((0,), (1,), (2,), (0, 1), (0, 1, 2))):
        target = tmp_path / f"{number}.mp4"
        done = run("embed", cover, target, "--message", "meet at noon", preexec_fn=closing(*closed))
        assert (done.returncode, done.stderr) == (0, b"")
        assert vidstega.extract(target, key=KEY) == b"meet at noon"
        vidstega.verify(cover, target, key=KEY, full=True, progress=False)


@posix
def test_what_was_asked_for_cannot_go_to_a_closed_output(cover: Path, stego: Path) -> None:
    for args in (
        ["probe", cover],
        ["capacity", cover, "--json"],
        ["verify", cover, stego, "--json"],
        ["extract", stego, "--out", "-"],
        ["--version"],
    ):
        assert "standard output is closed" in error(1, *args, preexec_fn=closing(1))
    assert run("verify", cover, stego, preexec_fn=closing(1)).returncode == 0


@posix
def test_a_closed_input_is_named(cover: Path, tmp_path: Path) -> None:
    args = ["embed", cover, tmp_path / "s.mp4", "--payload", "-"]
    assert "standard input is closed" in error(1, *args, preexec_fn=closing(0))
    assert run("probe", "missing.mp4", preexec_fn=closing(2)).returncode == 1


@posix
@pytest.mark.parametrize("encoding", ["ascii", "cp437", "cp1252", "utf-8"])
@pytest.mark.parametrize("name", ["ü.mp4", "動画.mp4", "\udcff.mp4"])
def test_names_that_the_terminal_cannot_show(cover: Path, tmp_path: Path, encoding: str, name: str) -> None:
    try:
        (tmp_path / name).write_bytes(cover.read_bytes())
    except (OSError, UnicodeError):
        pytest.skip("there can be no such name here")
    env = environment(None, PYTHONIOENCODING=encoding)
    shown = well("probe", name, cwd=tmp_path, env=env)
    assert shown.startswith(f"{name}: mov".encode(encoding, "backslashreplace"))
    done = run("probe", f"{name}x", cwd=tmp_path, env=env)
    assert done.returncode == 1 and done.stderr.decode(encoding).endswith("does not exist\n")


# --- workers of other kinds ------------------------------------------------------------------------------


@posix
def test_a_backend_without_a_stream_of_results_works(cover: Path, tmp_path: Path) -> None:
    with joblib.parallel_config("multiprocessing", n_jobs=2):
        vidstega.embed(cover, tmp_path / "s.mp4", b"x", key=KEY, spread="all", n_jobs=2, progress=False)
        assert vidstega.extract(tmp_path / "s.mp4", key=KEY, n_jobs=2) == b"x"


@posix
@pytest.mark.parametrize("backend", ["loky", "multiprocessing"])
def test_a_daemonic_process_works_alone_without_a_word(cover: Path, tmp_path: Path, backend: str) -> None:
    arguments = (str(cover), str(tmp_path / "s.mp4"), backend)
    process = multiprocessing.get_context("spawn").Process(target=in_daemon, args=arguments, daemon=True)
    process.start()
    process.join(120)
    assert process.exitcode == 0
    assert vidstega.extract(tmp_path / "s.mp4", key=KEY) == b"x"


def in_daemon(cover: str, stego: str, backend: str) -> None:
    warnings.simplefilter("error")
    with joblib.parallel_config(backend, n_jobs=2):
        vidstega.embed(cover, stego, b"x", key=KEY, spread="all", n_jobs=2, progress=False)


# --- lines that lead somewhere ---------------------------------------------------------------------------


def test_an_empty_name_is_called_that(cover: Path, stego: Path, tmp_path: Path) -> None:
    for args in (
        ["probe", ""],
        ["capacity", ""],
        ["embed", "", tmp_path / "s.mp4", "--message", "x"],
        ["embed", cover, "", "--message", "x"],
        ["embed", cover, tmp_path / "s.mp4", "--payload", ""],
        ["extract", stego, "--out", ""],
        ["extract", stego, "--out", "-", "--key-file", ""],
        ["verify", cover, ""],
    ):
        assert "is empty" in error(1, *args)


@posix
def test_a_video_out_of_a_pipe_is_refused_with_the_way_out(cover: Path, tmp_path: Path) -> None:
    assert "save it to a file" in error(1, "probe", "-", input=cover.read_bytes())
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="save it to a file"):
        vidstega.probe(tmp_path / "pipe")


def test_swapped_arguments_of_verify_are_noticed(cover: Path, stego: Path) -> None:
    assert "give the cover first" in error(1, "verify", stego, cover)
    assert "give two files" in error(1, "verify", stego, stego)
    with pytest.raises(PayloadError, match="the key is wrong"):
        vidstega.verify(stego, cover, key="wrong", progress=False)


def test_a_reason_does_not_blame_the_key(
    cover: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    family = type(vidstega.engine.carriers.get("lsb"))
    locate, calls = family.locate, iter([True])

    def missing_at_first(*args: Any, **how: Any) -> Any:
        if next(calls, False):
            raise PayloadError
        return locate(*args, **how)

    monkeypatch.setattr(family, "locate", missing_at_first)
    result = vidstega.embed(cover, tmp_path / "s.mp4", b"x", key=KEY, progress=False, method="lsb")
    assert "its payload is not found" in result.reason and "the key is wrong" not in result.reason


@requires_ffmpeg
def test_streams_without_a_codec_are_named_by_their_tag(cover: Path, tmp_path: Path) -> None:
    ffmpeg(cover, "-c", "copy", "-timecode", "01:02:03:04", out := tmp_path / "tc.mov")
    assert "data tmcd" in str(vidstega.probe(out))


@requires_ffmpeg
def test_an_encrypted_file_is_called_that(cover: Path, tmp_path: Path) -> None:
    scheme = [
        "-encryption_scheme",
        "cenc-aes-ctr",
        "-encryption_kid",
        "a7" * 16,
        "-encryption_key",
        "76" * 16,
    ]
    ffmpeg(cover, "-c", "copy", *scheme, tmp_path / "whole.mp4")
    ffmpeg(cover, "-c", "copy", *scheme, "-movflags", "+empty_moov", tmp_path / "parts.mp4")
    ffmpeg(cover, "-c", "copy", tmp_path / "clear.ts")
    packets = scrambled((tmp_path / "clear.ts").read_bytes())
    (tmp_path / "scrambled.ts").write_bytes(b"".join(packets))
    vidstega.probe(tmp_path / "clear.ts")
    for name in ("whole.mp4", "parts.mp4", "scrambled.ts"):
        with pytest.raises(UnsupportedError, match="is encrypted"):
            vidstega.probe(tmp_path / name)


def scrambled(stream: bytes) -> Iterator[bytes]:
    """The packets of a transport stream, those of its programme tables aside, as a pay channel sends them."""
    for at in range(0, len(stream), 188):
        packet = bytearray(stream[at : at + 188])
        if int.from_bytes(packet[1:3], "big") & 0x1FFF >= 0x100:
            packet[3] |= 0x80
            packet[20:] = bytes(byte ^ 0x5A for byte in packet[20:])
        yield bytes(packet)


def ffmpeg(source: Path, *args: object) -> None:
    subprocess.run(["ffmpeg", "-v", "quiet", "-i", source, *map(str, args)], check=True, timeout=60)


def test_a_folder_goes_though_a_worker_still_writes_there(tmp_path: Path) -> None:
    def write() -> None:
        for number in range(400):
            with contextlib.suppress(OSError):
                (folder / f"part-{number}").write_bytes(b"x")

    with files.private_folder(tmp_path) as folder:
        worker = threading.Thread(target=write)
        worker.start()
    worker.join()
    assert list(tmp_path.iterdir()) == []


@posix
def test_no_room_for_temporary_files_is_an_error(
    stego: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(OutputError, match="the folder of temporary files cannot be written: No such file"):
        vidstega.extract(stego, key=KEY, progress=False)


@posix
@pytest.mark.skipif(sys.platform == "darwin", reason="made for Linux's time of a folder")
def test_what_a_killed_process_left_goes_once_it_is_old_and_nobodys(cover: Path, tmp_path: Path) -> None:
    young, old, used = (tmp_path / f".vidstega-{name}" for name in ("young", "old", "used"))
    for folder in (young, old, used):
        (folder / "lsb-0").mkdir(parents=True)
        (folder / "lsb-0" / "part-0").write_bytes(b"x")
    (tmp_path / ".vidstega-link").symlink_to(tmp_path)
    for folder in (old, used):
        os.utime(folder, (0, 0))
    lock = files._lock(used)
    vidstega.embed(cover, tmp_path / "s.mp4", b"x", key=KEY, progress=False)
    assert not old.exists() and young.exists() and used.exists()
    assert lock is not None
    os.close(lock)
    vidstega.extract(tmp_path / "s.mp4", key=KEY, out=tmp_path / "out", progress=False)
    assert not used.exists() and young.exists() and (tmp_path / "s.mp4").exists()
