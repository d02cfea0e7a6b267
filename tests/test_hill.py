"""HILL: the costs, where a message lies, where changes go, and the way through files."""

from __future__ import annotations

import doctest
import hashlib
import os
import subprocess
import sys
import tracemalloc
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import vidstega
from vidstega import carriers
from vidstega.carriers.base import Wish
from vidstega.coding import stc
from vidstega.errors import CapacityError
from vidstega.lab.arms import ARMS, USUAL
from vidstega.lab.arms.base import Job
from vidstega.lab.covers import cover_frames, make_cover
from vidstega.media.scan import scan as scan_file
from vidstega.methods import Plane, hill
from vidstega.methods.hill import Hill, hill_costs
from vidstega.methods.lsb import LSB
from vidstega.seal.keystream import KeyedRandom, KeyStream

KEY = bytes(range(32))


def keyed() -> KeyedRandom:
    return KeyedRandom(KeyStream(KEY, b"place"), KeyStream(KEY, b"sign"))


def noise(size: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng([seed, size]).integers(0, 256, size, np.uint8)


def scene(width: int = 320, height: int = 240) -> Plane:
    """Luma of a made-up scene: sky, hills, a meadow, and the fine noise of a camera."""
    luma = next(iter(cover_frames(width, height, 2, seed=3)))[0]
    return np.ascontiguousarray(luma)


# -- costs ----------------------------------------------------------------------------------------------


def costs_by_hand(plane: Plane) -> NDArray[np.float64]:
    """The three filters of the paper, each sample a sum over its neighbours in the mirrored plane."""

    def filtered(x: NDArray[Any], weights: NDArray[Any]) -> NDArray[np.float64]:
        reach = len(weights) // 2
        around = np.pad(x.astype(np.float64), reach, mode="symmetric")
        out = np.zeros(x.shape)
        for (row, column), weight in np.ndenumerate(weights):
            out += weight * around[row : row + x.shape[0], column : column + x.shape[1]]
        return out

    high = filtered(plane, np.array([[-1, 2, -1], [2, -4, 2], [-1, 2, -1]]))
    low = filtered(np.abs(high), np.full((3, 3), 1 / 9))
    return filtered(1 / (low + 1e-10), np.full((15, 15), 1 / 225))


@pytest.mark.parametrize("depth", [8, 10, 16])
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (5, 3), (31, 17), (70, 45)])
@pytest.mark.parametrize("band", [1, 1 << 18])
def test_costs_are_those_of_the_paper(
    shape: tuple[int, int], depth: int, band: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hill, "_BAND", band)
    rng = np.random.default_rng([depth, *shape])
    plane = rng.integers(0, 2**depth, shape).astype(np.uint8 if depth == 8 else np.uint16)
    plane[: shape[0] // 3] = 7  # a flat place, where the stabiliser of the reciprocal is all there is
    costs = hill_costs(plane)
    assert costs.dtype == np.float32 and costs.shape == shape
    np.testing.assert_allclose(costs, costs_by_hand(plane), rtol=2e-6)


def test_costs_do_not_know_how_the_plane_lies_in_memory() -> None:
    plane = scene()
    wide = np.zeros((240, 400), np.uint8)
    wide[:, :320] = plane
    assert np.array_equal(hill_costs(wide[:, :320]), hill_costs(plane))
    assert hill_costs(np.full((40, 40), 90, np.uint8)).max() == pytest.approx(1e10)


# -- where a message lies -------------------------------------------------------------------------------


def read_by_hand(plane: Plane, n: int, part_size: int) -> NDArray[np.uint8]:
    """The format as the docstring of `hill` states it, in plain Python and one sample at a time."""
    samples, positions = [int(x) for row in plane for x in row], keyed().positions
    parts = max(1, -(-len(samples) // part_size))
    cells = [samples[i : i + parts] for i in range(0, len(samples), parts)]

    def drawn(size: int) -> int:
        return int.from_bytes(positions.bytes(size).tobytes(), "little")

    turns = [drawn(2) * parts >> 16 for _ in cells]
    said: list[int] = []
    for part in range(parts):
        bits = n * (part + 1) // parts - n * part // parts
        if bits:
            numbers = [(part + turn) % parts for turn in turns]
            own = [cell[at] for cell, at in zip(cells, numbers, strict=True) if at < len(cell)]
            lots = [drawn(4) for _ in own]
            order = sorted(range(len(own)), key=lots.__getitem__)
            carriers = np.array([own[at] & 1 for at in order], np.uint8)
            said += stc.extract(carriers, bits).tolist()
    return np.packbits(np.array(said, np.uint8))


@st.composite
def cases(draw: st.DrawFn) -> tuple[tuple[int, int], int, int]:
    """A shape, the samples of a part, and how many bytes, often as many as there is room for."""
    shape, part = (draw(st.integers(1, 40)), draw(st.integers(1, 40))), draw(st.sampled_from([16, 50, 700]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hill, "_PART", part)
        most = Hill().capacity(shape, 8) // 8
    return shape, part, draw(st.one_of(st.integers(0, most), st.just(most)))


@given(case=cases(), depth=st.sampled_from([8, 10]), seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=50)
def test_a_message_lies_where_the_docstring_says(
    case: tuple[tuple[int, int], int, int], depth: int, seed: int
) -> None:
    shape, part, size = case
    dtype = np.uint8 if depth == 8 else np.uint16
    wide = np.random.default_rng(seed).integers(0, 2**depth, (shape[0], shape[1] + 3)).astype(dtype)
    cover, data = wide.copy(), noise(size, seed)
    plane = wide[:, : shape[1]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hill, "_PART", part)
        Hill().embed(plane, data, keyed(), depth)
        assert np.array_equal(Hill().extract(plane, size, keyed(), depth), data)
    assert np.array_equal(read_by_hand(plane, 8 * size, part), data)
    assert np.array_equal(wide[:, shape[1] :], cover[:, shape[1] :]), "samples beside the plane were touched"
    assert np.abs(wide.astype(int) - cover).max(initial=0) <= 1 and wide.max() < 2**depth


GOLDEN = {  # (height, width, bytes): what a plane of known samples says
    (100, 90, 500): "f71d81c3ba9c3348",
    (700, 1024, 40_000): "b043811c5a9fbe16",
    (700, 1024, 1): "a318c24216defe20",
}


@pytest.mark.parametrize("case", GOLDEN)
def test_the_format_is_frozen(case: tuple[int, int, int]) -> None:
    """Extraction from a known plane: a file made today is read by every later version."""
    height, width, size = case
    said = hashlib.shake_256(b"samples").digest(height * width)
    plane = np.frombuffer(said, np.uint8).reshape(height, width)
    read = Hill().extract(plane, size, keyed(), 8)
    assert hashlib.sha256(read.tobytes()).hexdigest()[:16] == GOLDEN[case]


@pytest.mark.parametrize("shape", [(16, 16), (33, 31), (513, 1025)])
def test_room_is_exact_and_a_byte_more_is_refused(shape: tuple[int, int]) -> None:
    plane = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    most = Hill().capacity(shape, 8)
    assert 0.49 * plane.size - 3 < most <= plane.size / 2
    before, data = plane.copy(), noise(most // 8)
    for call in (
        lambda: Hill().embed(plane, noise(most // 8 + 1), keyed(), 8),
        lambda: Hill().extract(plane, most // 8 + 1, keyed(), 8),
    ):
        with pytest.raises(CapacityError, match=rf"capacity is {most:,} in a plane of {shape[1]}x{shape[0]}"):
            call()
    assert np.array_equal(plane, before)
    Hill().embed(plane, data, keyed(), 8)
    assert np.array_equal(Hill().extract(plane, len(data), keyed(), 8), data)


def test_reading_takes_no_memory_by_size_and_no_kernel() -> None:
    plane = np.zeros((1440, 2560), np.uint8)
    tracemalloc.start()
    Hill().extract(plane, 4000, keyed(), 8)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 << 20
    read = "from vidstega.methods.hill import Hill; import numpy as np, sys; "
    read += "from vidstega.seal.keystream import KeyedRandom, KeyStream; k = KeyStream(bytes(32), b''); "
    read += "Hill().extract(np.zeros((9, 99), np.uint8), 9, KeyedRandom(k, k), 8); "
    read += "assert 'numba' not in sys.modules"
    subprocess.run([sys.executable, "-c", read], check=True, timeout=60)


# -- where changes go -----------------------------------------------------------------------------------


def embedded(plane: Plane, size: int, depth: int = 8, **more: Any) -> NDArray[np.int64]:
    """What was added to each sample of a copy of the plane that takes so many bytes and gives them back."""
    stego, data = plane.copy(), noise(size)
    Hill().embed(stego, data, keyed(), depth, **more)
    assert np.array_equal(Hill().extract(stego, size, keyed(), depth), data)
    return stego.astype(np.int64) - plane


@pytest.mark.parametrize(("alpha", "share", "cost"), [(0.01, 0.4, 0.12), (0.1, 0.55, 0.2), (0.5, 0.7, 0.4)])
def test_fewer_samples_change_than_by_lsb_and_in_texture(alpha: float, share: float, cost: float) -> None:
    plane = scene()
    size = int(alpha * plane.size) // 8
    by_lsb = plane.copy()
    LSB().embed(by_lsb, noise(size), keyed(), 8)
    ours, theirs = embedded(plane, size) != 0, by_lsb != plane
    assert ours.sum() < share * theirs.sum()
    texture = costs_by_hand(plane)
    rough = texture < np.median(texture)
    assert abs(rough[theirs].mean() - 0.5) < 0.15, "LSB matching does not look where it goes"
    assert rough[ours].mean() > (0.95 if alpha < 0.5 else 0.6)
    assert texture[ours].sum() < cost * texture[theirs].sum()


def test_up_and_down_are_balanced_and_drawn() -> None:
    difference = embedded(np.random.default_rng(1).integers(60, 200, (300, 400)).astype(np.uint8), 5000)
    up, down = int((difference == 1).sum()), int((difference == -1).sum())
    assert up + down == np.count_nonzero(difference) > 4000
    assert abs(up - down) < 5 * (up + down) ** 0.5


@pytest.mark.parametrize("depth", [8, 10])
def test_the_ends_of_the_range_are_avoided_and_left_inwards(depth: int) -> None:
    dtype, top = (np.uint8 if depth == 8 else np.uint16), 2**depth - 1
    rng = np.random.default_rng(depth)
    plane = rng.integers(0, 2**depth, (200, 200)).astype(dtype)
    ends = rng.random(plane.shape) < 0.5
    plane[ends] = np.where(rng.random(plane.shape) < 0.5, 0, top)[ends]
    difference = embedded(plane, 300, depth)
    assert not difference[ends].any() and difference.any()
    for value, inwards in ((0, 1), (top, -1)):
        assert set(np.unique(embedded(np.full((90, 90), value, dtype), 200, depth))) == {0, inwards}


def test_what_is_copied_from_the_frame_before_is_left_alone() -> None:
    plane = np.random.default_rng(2).integers(90, 110, (160, 200)).astype(np.uint8)
    before = plane.copy()
    before[:, 100:] += 1
    copied = np.s_[:, :98]  # whose neighbourhood does not reach what moved
    assert np.count_nonzero(embedded(plane, 40)[copied]) > 10
    assert np.count_nonzero(embedded(plane, 40, before=before)[copied]) == 0
    everything = embedded(plane, 40, before=plane)
    assert np.array_equal(everything, embedded(plane, 40)), "costs are all raised alike"


def test_the_example_in_the_docstring() -> None:
    assert doctest.testmod(hill).attempted > 0
    assert doctest.testmod(hill).failed == 0


# -- through files --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """160x120, 48 frames in groups that make more than one segment; H.264."""
    path = tmp_path_factory.mktemp("hill") / "small.mp4"
    return make_cover(path, width=160, height=120, frames=48, gop_s=0.8)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize(("spread", "mode"), [("usual", "transcode"), ("fewest", "splice"), (0.05, "splice")])
def test_a_payload_comes_back(small: Path, tmp_path: Path, suffix: str, spread: Any, mode: str) -> None:
    stego, payload = tmp_path / f"s{suffix}", noise(100).tobytes()
    result = vidstega.embed(small, stego, payload, key="k", method="hill", spread=spread, verify="full")
    assert (result.method, result.mode) == ("hill", mode)
    assert vidstega.extract(stego, key="k") == payload == vidstega.extract(stego, key="k", method="hill")
    report = vidstega.verify(small, stego, key="k", full=True)
    assert (report.method, report.compared[-1]) == ("hill", "every frame")
    if spread == "usual":
        assert result.carrying == result.frames == 48
    assert result.alpha <= (0.05 if spread == 0.05 else 0.01)


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("x.mkv", {"codec": "libx265", "pix_fmt": "yuv420p10le"}),
        ("x.mp4", {"pix_fmt": "yuv420p10le"}),
        ("x.webm", {"codec": "libvpx-vp9"}),
    ],
)
def test_other_depths_and_codecs(tmp_path: Path, name: str, how: dict[str, Any]) -> None:
    cover = make_cover(tmp_path / name, width=160, height=120, frames=12, **how)
    stego = tmp_path / f"stego{cover.suffix}"
    vidstega.embed(cover, stego, b"in ten bits", key="k", method="hill", verify="full")
    assert vidstega.extract(stego, key="k") == b"in ten bits"
    changed = [
        int(np.abs(a.luma.astype(int) - b.luma).sum())
        for a, b in zip(vidstega.frames(cover), vidstega.frames(stego), strict=True)
    ]
    assert len(changed) == 12 and 0 < sum(changed[1:]) < 200


def test_bytes_do_not_depend_on_workers_or_backend(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    salt = bytes(range(16))
    monkeypatch.setattr("vidstega.seal.new_salt", lambda: salt)
    made = []
    for name, jobs, backend in (("a", 1, "threading"), ("b", 2, "threading"), ("c", 2, "loky")):
        with joblib.parallel_config(backend):
            how: dict[str, Any] = {"key": "k", "method": "hill", "n_jobs": jobs}
            vidstega.embed(small, tmp_path / f"{name}.mkv", b"x" * 200, compress=False, **how)
        made.append((tmp_path / f"{name}.mkv").read_bytes())
    assert made[0] == made[1] == made[2]


def test_the_frame_before_is_the_covers_and_none_at_the_start_of_a_span(small: Path, tmp_path: Path) -> None:
    seen: list[Plane | None] = []

    class Watched(Hill):
        name = "watched"

        def embed(self, *plane_and_more: Any, before: Plane | None = None) -> None:
            seen.append(None if before is None else before.copy())
            super().embed(*plane_and_more, before=before)

    vidstega.embed(small, tmp_path / "s.mp4", b"x" * 300, key="k", method=Watched(), spread="all")
    lumas = [frame.luma for frame in vidstega.frames(small)]
    starts = [number for number, before in enumerate(seen) if before is None]
    assert len(seen) == 48 and len(starts) == 2 and starts[0] == 0
    for number in set(range(48)) - set(starts):
        assert np.array_equal(seen[number], lumas[number - 1])  # type: ignore[arg-type]


def test_capacity_is_true_to_the_byte(small: Path, tmp_path: Path) -> None:
    rows = {row.spread: row for row in vidstega.capacity(small, method="hill").rows}
    assert list(rows) == ["fewest", 0.01, 0.1, "all"]
    hide = partial(vidstega.embed, small, key="k", method="hill", compress=False)
    for spread in (0.01, "all"):
        full = noise(rows[spread].payload_bytes).tobytes()
        stego = tmp_path / f"{spread}.mp4"
        if spread == "all":
            with pytest.warns(UserWarning, match=r"0\.5 bits a sample, where hill has 0\.01 or less: easier"):
                hide(stego, full, spread=spread)
        else:
            assert hide(stego, full, spread=spread).notes == ()
        assert vidstega.extract(stego, key="k") == full
        with pytest.raises(CapacityError, match=f"so that {len(full):,} bytes fit"):
            hide(tmp_path / "over.mp4", full + b"x", spread=spread)
        assert not (tmp_path / "over.mp4").exists()
        assert vidstega.estimate(small, len(full), method="hill", spread=spread).mode == "transcode"


def test_frames_are_filled_to_a_hundredth_as_long_as_they_last(small: Path) -> None:
    scan = scan_file(small)
    plan = partial(carriers.get("hill").plan, scan)
    wish = partial(Wish, container="matroska")
    some: Any = plan(wish(300, "fewest"))
    assert 300 / 24 <= some.carrying < 48 and some.alpha <= 0.01 and some.notes == ()
    many: Any = plan(wish(30_000, "fewest"))
    assert many.alpha > 0.01 and len(many.notes) == 1
    usual: Any = plan(wish(300, "usual"))
    assert usual.carrying == plan(wish(300, "all")).carrying == 48
    lsb: Any = carriers.get("lsb").plan(scan, wish(300, "usual"))
    assert (lsb.carrying, lsb.mode, lsb.notes) == (1, "splice", ())


def test_it_is_taken_by_name_alone() -> None:
    assert "hill" in carriers.names()
    assert "hill" not in [carrier.method for carrier in carriers.automatic()]
    assert "hill" not in [carrier.method for carrier in carriers.to_search()]
    assert "hill" in ARMS and "hill" not in USUAL


def test_the_arm_hides_and_reads_back(small: Path, tmp_path: Path) -> None:
    payload = tmp_path / "p"
    payload.write_bytes(noise(50).tobytes())
    digest = hashlib.sha256(payload.read_bytes()).hexdigest()
    job = Job(str(small), str(tmp_path / "s.mkv"), str(payload), digest, key="k")
    assert ARMS["hill"].hide(job).frames_used == 48
    assert "payload" in ARMS["hill"].read(job)


_PEAK = """
import sys, vidstega
vidstega.embed(*sys.argv[1:3], bytes(200), key="k", method="hill", compress=False, progress=False)
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("size", [(320, 240), (1280, 720)], ids=lambda size: f"{size[1]}p")
def test_memory_is_foretold(tmp_path: Path, size: tuple[int, int]) -> None:
    cover = make_cover(tmp_path / "c.mp4", width=size[0], height=size[1], frames=4, preset="ultrafast")
    told = vidstega.estimate(cover, 200, method="hill").memory_bytes
    command = [sys.executable, "-c", _PEAK, str(cover), str(tmp_path / "s.mp4")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=dict(os.environ))
    measured = 1024 * int(done.stdout)
    assert measured <= told <= 2 * measured, (told >> 20, measured >> 20)


def test_a_real_clip(clips: Path, tmp_path: Path) -> None:
    cover, stego = clips / "nat_h264_272p_bikes_bframes_noaudio.mp4", tmp_path / "s.mp4"
    if not cover.exists():
        pytest.skip(f"{cover} is not there")
    for key in ("one", "two", "three"):
        vidstega.embed(cover, stego, b"meet at noon", key=key, method="hill", spread="fewest", overwrite=True)
        assert vidstega.extract(stego, key=key) == b"meet at noon"
