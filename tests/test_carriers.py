"""Families of carriers: a stranger's works wherever ours do and is found by its name; auto picks one."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from toy_family import BOX_BYTES, BOXES, FreeSpace, last_free_boxes

import vidstega
from vidstega import carriers, methods
from vidstega.ask import estimate_extraction
from vidstega.carriers import Samples
from vidstega.errors import (
    CapacityError,
    InputError,
    ParameterError,
    PayloadError,
    UnsupportedError,
    VerificationError,
)
from vidstega.lab.covers import make_cover
from vidstega.media.scan import scan as scan_file
from vidstega.methods.lsb import LSB
from vidstega.seal import keys

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

MESSAGE = bytes(range(256)) * 20
KEY = "correct horse"
TESTS = Path(__file__).parent
TOO_MUCH = BOXES * BOX_BYTES


@pytest.fixture(autouse=True)
def nothing_stays(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test registers or plugs in is gone after it."""
    for module in (carriers, methods):
        monkeypatch.setattr(module, "_ADDED", {})
    yield
    forget_plug_ins()


def forget_plug_ins() -> None:
    carriers._plugged_in.cache_clear()
    methods._plugged_in.cache_clear()
    methods._entry_points.cache_clear()


@pytest.fixture
def toy() -> FreeSpace:
    """A family that is taken if it is asked for by name."""
    carriers.register(toy := FreeSpace())
    return toy


@pytest.fixture
def quiet() -> FreeSpace:
    """The same, but taken before all others."""
    carriers.register(toy := FreeSpace(loudness=1))
    return toy


# -- a family of a stranger's ---------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, BOX_BYTES, len(MESSAGE)])
def test_embed_extract_verify(toy: FreeSpace, cover: Path, tmp_path: Path, size: int) -> None:
    stego = tmp_path / "s.mp4"
    result = vidstega.embed(
        cover, stego, MESSAGE[:size], key=KEY, method="free", compress=False, verify="full"
    )
    assert (result.method, result.mode, result.reason) == ("free", "append", "it fits")
    assert (result.payload_bytes, result.frames, result.carrying) == (size, 60, 0)
    assert result.verified == "every frame" and result.notes == ()
    assert stego.read_bytes().startswith(cover.read_bytes()) and last_free_boxes(stego)
    assert vidstega.extract(stego, key=KEY) == MESSAGE[:size]
    assert vidstega.extract(stego, key=KEY, out=tmp_path / "out").digest == result.digest
    report = vidstega.verify(cover, stego, key=KEY, full=True)
    assert (report.method, report.mode, report.carrying) == ("free", "append", 0)
    assert (report.digest, report.compared[-1]) == (result.digest, "every frame")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "s.mp4"]


def test_its_room_is_exact_and_known_beforehand(toy: FreeSpace, cover: Path, tmp_path: Path) -> None:
    rows = {row.method: row for row in vidstega.capacity(cover).rows}
    assert {"free", "lsb"} <= set(rows)
    assert vidstega.capacity(cover, method="free").rows[-1] == rows["free"]
    full = os.urandom(rows["free"].payload_bytes)
    guess = vidstega.estimate(cover, len(full), method="free")
    result = vidstega.embed(cover, tmp_path / "s.mp4", full, key=KEY, method="free", compress=False)
    assert vidstega.extract(tmp_path / "s.mp4", key=KEY) == full
    assert result.sealed_bytes == rows["free"].total_bits // 8
    assert guess.mode == "append" and abs(guess.output_bytes - result.bytes_after) < 1000
    assert guess.disk_bytes >= result.bytes_after + 2 * result.sealed_bytes - 1000
    with pytest.raises(CapacityError):
        vidstega.estimate(cover, len(full) + 1, method="free")
    with pytest.raises(CapacityError):
        vidstega.embed(cover, tmp_path / "t.mp4", full + b"x", key=KEY, method="free", compress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["s.mp4"]


def test_what_one_family_refuses_is_left_to_the_others(
    toy: FreeSpace, cover_vp9: Path, tmp_path: Path
) -> None:
    offered = {row.method for row in vidstega.capacity(cover_vp9).rows}
    assert "lsb" in offered and "free" not in offered
    assert estimate_extraction(scan_file(cover_vp9)).disk_bytes > 0
    assert "no MP4" in str(toy.obstacle(scan_file(cover_vp9)))
    for call in (
        lambda: vidstega.capacity(cover_vp9, method="free"),
        lambda: vidstega.estimate(cover_vp9, 1, method="free"),
        lambda: vidstega.embed(cover_vp9, tmp_path / "s.mp4", b"x", key=KEY, method="free"),
    ):
        with pytest.raises(UnsupportedError, match="no MP4"):
            call()
    assert list(tmp_path.iterdir()) == []


def test_messages_of_two_families_live_in_one_file(toy: FreeSpace, cover: Path, tmp_path: Path) -> None:
    lsb, both, three = tmp_path / "lsb.mp4", tmp_path / "both.mp4", tmp_path / "three.mp4"
    vidstega.embed(cover, lsb, b"in samples", key="1", method="lsb")
    vidstega.embed(lsb, both, b"in free space", key="2", method="free")
    vidstega.embed(both, three, b"and more", key="3", method="free")
    found = [vidstega.extract(three, key=key) for key in "123"]
    assert found == [b"in samples", b"in free space", b"and more"]
    assert vidstega.extract(three, key="1", method="lsb") == b"in samples"
    with pytest.raises(PayloadError):
        vidstega.extract(three, key="1", method="free")
    with pytest.raises(PayloadError):
        vidstega.extract(three, key="wrong")


def test_any_flipped_bit_of_it_is_the_one_error(toy: FreeSpace, cover: Path, tmp_path: Path) -> None:
    vidstega.embed(cover, stego := tmp_path / "s.mp4", b"x", key=KEY, method="free")
    data = stego.read_bytes()
    for at in range(len(cover.read_bytes()) + 8, len(data), 7):
        stego.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(PayloadError):
            vidstega.extract(stego, key=KEY, method="free")
    stego.write_bytes(data[:-1])
    with pytest.raises((PayloadError, InputError)):
        vidstega.extract(stego, key=KEY)


def test_a_carrier_need_not_be_registered(cover: Path, tmp_path: Path) -> None:
    vidstega.embed(cover, tmp_path / "s.mp4", MESSAGE, key=KEY, method=FreeSpace())
    assert vidstega.extract(tmp_path / "s.mp4", key=KEY, method=FreeSpace()) == MESSAGE
    assert vidstega.verify(cover, tmp_path / "s.mp4", key=KEY, method=FreeSpace()).method == "free"
    with pytest.raises(PayloadError):
        vidstega.extract(tmp_path / "s.mp4", key=KEY)


# -- auto -----------------------------------------------------------------------------------------------


def test_auto_takes_the_quietest_that_holds_it(quiet: FreeSpace, cover: Path, tmp_path: Path) -> None:
    small = vidstega.embed(cover, tmp_path / "a.mp4", MESSAGE, key=KEY)
    assert (small.method, small.reason) == ("free", "it fits")
    large = vidstega.embed(cover, tmp_path / "b.mp4", os.urandom(TOO_MUCH), key=KEY)
    assert (large.method, large.mode) == ("lsb", "splice")
    assert large.reason.startswith("it has pictures that no others depend on; free: 16,0")
    assert " bytes are more than 15,959; signs: the payload needs 128,136 bits" in large.reason
    assert vidstega.extract(tmp_path / "a.mp4", key=KEY) == MESSAGE
    assert len(vidstega.extract(tmp_path / "b.mp4", key=KEY)) == TOO_MUCH
    assert vidstega.estimate(cover, 100).mode == "append"
    assert vidstega.estimate(cover, TOO_MUCH).mode == "splice"


def test_auto_passes_by_what_a_family_cannot_do(
    quiet: FreeSpace, cover: Path, cover_vp9: Path, tmp_path: Path
) -> None:
    result = vidstega.embed(cover, tmp_path / "s.mkv", b"x", key=KEY, spread="all")
    assert result.method == "signs" and "free: matroska has no free space" in result.reason
    result = vidstega.embed(cover_vp9, tmp_path / "s.webm", b"x", key=KEY)
    assert result.method == "lsb" and "is no MP4" in result.reason


def test_auto_passes_by_a_family_whose_file_does_not_read_back(cover: Path, tmp_path: Path) -> None:
    class Forgetful(FreeSpace):
        def write(self, *arguments: Any) -> Any:
            written = super().write(*arguments)
            os.truncate(arguments[3], cover.stat().st_size)
            return written

    carriers.register(Forgetful(loudness=1))
    result = vidstega.embed(cover, tmp_path / "s.mp4", b"x", key=KEY)
    assert result.method == "signs" and "free: s.mp4 would not read back as it should" in result.reason
    with pytest.raises(VerificationError, match="would not read back"):
        vidstega.embed(cover, tmp_path / "t.mp4", b"x", key=KEY, method="free")
    assert [path.name for path in tmp_path.iterdir()] == ["s.mp4"]


def test_auto_that_finds_no_one_gives_the_last_refusal(quiet: FreeSpace, cover: Path, tmp_path: Path) -> None:
    with pytest.raises(CapacityError, match=r"bits with its seal, capacity is [\d,]+ bits in 60 frames"):
        vidstega.embed(cover, tmp_path / "s.mp4", os.urandom(600_000), key=KEY)
    assert list(tmp_path.iterdir()) == []


def test_by_name_only_means_by_name_only(toy: FreeSpace, cover: Path, tmp_path: Path) -> None:
    assert toy not in carriers.automatic()
    assert vidstega.embed(cover, tmp_path / "s.mp4", b"x", key=KEY).method == "signs"


# -- names ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["embed", "extract", "capacity", "estimate", "verify"])
def test_an_unknown_method_is_one_line(toy: FreeSpace, cover: Path, tmp_path: Path, call: str) -> None:
    calls: dict[str, Any] = {
        "embed": lambda: vidstega.embed(cover, tmp_path / "s.mp4", b"x", key=KEY, method="nosuch"),
        "extract": lambda: vidstega.extract(cover, key=KEY, method="nosuch"),
        "capacity": lambda: vidstega.capacity(cover, method="nosuch"),
        "estimate": lambda: vidstega.estimate(cover, 1, method="nosuch"),
        "verify": lambda: vidstega.verify(cover, cover, key=KEY, method="nosuch"),
    }
    with pytest.raises(ParameterError) as caught:
        calls[call]()
    assert str(caught.value) == f"unknown method 'nosuch'; there are: auto, {', '.join(carriers.names())}"


def test_a_method_becomes_a_carrier_of_samples() -> None:
    class Mine(LSB):
        name = "mine"

    methods.register(Mine())
    assert {"lsb", "mine"} <= set(carriers.names())
    assert carriers.get("mine") == Samples(Mine()) == carriers.get(Mine())
    assert "mine" not in [carrier.method for carrier in carriers.automatic()]
    searched = [carrier for carrier in carriers.to_search() if carrier.family == "samples"]
    assert [carrier.method for carrier in searched] == ["lsb"], "one carrier reads a whole family"
    assert [carrier.method for carrier in carriers.to_search("mine")] == ["mine"]
    assert carriers.get(own := FreeSpace()) is own
    with pytest.raises(ParameterError, match="name of 1 to 16 bytes"):
        carriers.get(object())  # type: ignore[arg-type]


# -- a key is stretched once for each salt --------------------------------------------------------------


@dataclass
class Stretched:
    """The salts a key was stretched with."""

    salts: list[bytes] = field(default_factory=list)

    def taken(self) -> list[bytes]:
        taken, self.salts = self.salts, []
        return taken


@pytest.fixture
def stretched(monkeypatch: pytest.MonkeyPatch) -> Stretched:
    """What would be stretched; without the work, which takes most of a search."""
    seen = Stretched()

    class Counted:
        def __init__(self, *, salt: bytes, **cost: int) -> None:
            self._salt = salt

        def derive(self, secret: bytes) -> bytes:
            seen.salts.append(self._salt)
            return hashlib.sha256(self._salt + secret).digest()

    monkeypatch.setattr(keys, "Scrypt", Counted)
    return seen


def test_a_search_stretches_the_key_once_for_each_salt(
    quiet: FreeSpace, tmp_path: Path, stretched: Stretched
) -> None:
    """Not once for each method that is known, nor again for what was tried before."""
    path = make_cover(tmp_path / "c.mp4", width=160, height=96, frames=64, gop_s=8 / 30)
    for number in range(3):
        stego = tmp_path / f"{number}.mp4"
        vidstega.embed(path, stego, b"message %d" % number, key=f"key {number}", method="lsb")
        salts = stretched.taken()  # the new one to embed and to read back, those of earlier messages to pass
        assert len(salts) == len(set(salts)) <= number + 1
        path = stego
    vidstega.embed(path, tmp_path / "s.mp4", b"message 3", key="key 3")
    (own_salt,) = stretched.taken()
    raw = int(scan_file(path).raw_pictures.sum())
    assert vidstega.extract(tmp_path / "s.mp4", key="key 3") == b"message 3"
    *others, last = stretched.taken()  # what the packets show is looked at first
    assert last == own_salt and len(others) == len(set(others)) == raw + 1 and own_salt not in others
    for deep in (False, True):
        with pytest.raises(PayloadError):
            vidstega.extract(tmp_path / "s.mp4", key="wrong", deep=deep)
        alone = stretched.taken()
        assert len(alone) == len(set(alone)) >= raw + 1 and own_salt in alone
        assert deep or len(alone) == raw + 3, "raw pictures, the first frame, signs, a free box"
        for name in ("a", "b", "c"):
            methods.register(type("Mine", (LSB,), {"name": name})())
        with pytest.raises(PayloadError):
            vidstega.extract(tmp_path / "s.mp4", key="wrong", deep=deep)
        assert stretched.taken() == alone


# -- plug-ins -------------------------------------------------------------------------------------------


ENTRY_POINTS = """\
[vidstega.carriers]
free = toy_family:FreeSpace

[vidstega.methods]
mine = toy_methods:Mine
ready = toy_methods:ready
"""
METHODS = """\
from vidstega.methods.lsb import LSB

class Mine(LSB):
    name = "mine"

class Ready(LSB):
    name = "ready"

ready = Ready()
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder as an installer leaves it: a package of another's with entry points."""
    site = tmp_path / "site"
    info = site / "vidstega_toys-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: vidstega-toys\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    (site / "toy_methods.py").write_text(METHODS)
    (site / "toy_family.py").write_bytes((TESTS / "toy_family.py").read_bytes())
    return site


@pytest.fixture
def plugged_in(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(site))
    forget_plug_ins()


def test_plug_ins_are_found_by_their_entry_points(plugged_in: None, cover: Path, tmp_path: Path) -> None:
    assert set(carriers.names()) > {"free", "lsb", "mine", "ready"}
    assert methods.names() == ["hill", "lsb", "mine", "ready"]
    for name in ("free", "mine", "ready"):
        stego = tmp_path / f"{name}.mp4"
        assert vidstega.embed(cover, stego, MESSAGE, key=KEY, method=name).method == name
        assert vidstega.extract(stego, key=KEY) == MESSAGE
        assert vidstega.verify(cover, stego, key=KEY).method == name


def test_what_is_registered_takes_the_place_of_a_plug_in(plugged_in: None) -> None:
    carriers.register(mine := FreeSpace(loudness=7))
    assert carriers.get("free") is mine


def run(site: Path, *arguments: object, code: int = 0) -> str:
    """The command line in a process of its own; all it said."""
    variables = os.environ | {"PYTHONPATH": str(site), "VIDSTEGA_KEY": KEY}
    command = [sys.executable, "-m", "vidstega", *map(str, arguments)]
    done = subprocess.run(
        command, env=variables, timeout=120, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert done.returncode == code, done.stdout
    return done.stdout


def test_the_command_line(site: Path, cover: Path, tmp_path: Path) -> None:
    stego = tmp_path / "s.mp4"
    assert "auto (default: the quietest that holds it), or one of: free," in " ".join(
        run(site, "embed", "--help").split()
    )
    assert "free, append (it fits)" in run(site, "embed", cover, stego, "--message", "x", "--method", "free")
    assert run(site, "extract", stego, "--out", "-") == "x"
    assert "as it should be (append)" in run(site, "verify", cover, stego, "--full")
    rows = json.loads(run(site, "capacity", cover, "--json"))["rows"]
    assert {row["method"] for row in rows} >= {"free", "lsb", "mine", "ready"}
    said = run(site, "embed", cover, tmp_path / "t.mp4", "--message", "x", "--method", "nosuch", code=2)
    known = ", ".join(sorted({"free", "mine", "ready", *carriers.names()}))
    assert said == f"vidstega: error: unknown method 'nosuch'; there are: auto, {known}\n"


def test_the_service(site: Path, cover: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    httpx = pytest.importorskip("httpx")
    pytest.importorskip("fastapi")
    from vidstega.lab.users import NO_RATES, serving

    monkeypatch.setenv("PYTHONPATH", str(site))
    with (
        serving(tmp_path / "data", *NO_RATES) as server,
        httpx.Client(base_url=server.url, timeout=60, trust_env=False) as client,
    ):

        def post(url: str, video: bytes, **fields: str) -> Any:
            return client.post(url, data=fields, files={"video": ("v", video)})

        def finished(answer: Any) -> Any:
            assert answer.status_code == 202, answer.text
            job, deadline = answer.json(), time.monotonic() + 60
            while job["state"] in ("queued", "running"):
                assert time.monotonic() < deadline
                job = client.get(f"/jobs/{job['id']}", params={"wait": 10}).json()
            return job

        rows = post("/capacity", cover.read_bytes()).json()["rows"]
        assert {row["method"] for row in rows} >= {"free", "lsb", "mine", "ready"}
        embedded = post("/embed", cover.read_bytes(), key=KEY, message="x", method="free")
        if embedded.status_code == 422 and "no field 'method'" in embedded.text:
            pytest.skip("service has no method field yet")
        job = finished(embedded)
        assert job["state"] == "done" and job["result"]["mode"] == "append", job
        stego = client.get(job["result_url"]).content
        assert stego.startswith(cover.read_bytes())
        job = finished(post("/extract", stego, key=KEY))
        assert client.get(job["result_url"]).content == b"x"
        refused = post("/embed", cover.read_bytes(), key=KEY, message="x", method="nosuch")
        assert refused.status_code == 422 and "nosuch" in refused.json()["error"]


def test_a_plug_in_that_does_not_load_is_left_out_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "broken-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[vidstega.carriers]\ngone = no_such_module:Family\n[vidstega.methods]\nnumber = math:pi\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.warns(UserWarning, match="no_such_module:Family of vidstega.carriers is left out"):
        assert list(methods.offered("vidstega.carriers", lambda one: False)) == []
    with pytest.warns(UserWarning, match="math:pi of vidstega.methods is left out"):
        assert list(methods.offered("vidstega.methods", lambda one: False)) == []
