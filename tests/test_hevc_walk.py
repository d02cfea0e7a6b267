"""The walk over HEVC slice data ends at every stop bit, and FFmpeg's decoder agrees on what a sign does."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from hevc_made import CODINGS, coded_pictures, encode, requires_x265
from hevc_written import Cut, write

from vidstega.carriers.signs.codecs import CODECS
from vidstega.carriers.signs.edges import margins
from vidstega.hevc import blocks as bl
from vidstega.hevc.cabac_tables import CONTEXTS, SCAN, SUB, SUB_BACK, start_states
from vidstega.hevc.quanta import quanta
from vidstega.hevc.slices import Sets, parse_header
from vidstega.hevc.walk import blocks_of, usable, walk_picture
from vidstega.media.decode import planes
from vidstega.media.scan import scan as scan_file
from vidstega.media.source import NONREF
from vidstega.residual import CHROMA_DC, LUMA_DC, turn

CLIPS = {
    "nat_hevc10_1080p_editlist_rot90_opengop_aac.mp4": (86, 42),
    "nat_hevc_4320p_8k24_aac.mp4": (8, 1),
    "nat_mvhevc_spatial_side_data.mp4": (11, 5),
}
"""Pictures of the base layer, and those that no other refers to."""
MADE: dict[str, Path] = {}


@pytest.fixture
def made(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """One video of each coding, made when it is asked for."""
    if request.param not in MADE:
        pixels, params = CODINGS[request.param]
        MADE[request.param] = encode(tmp_path_factory.mktemp("hevc") / "made.mp4", params, pixels=pixels)
    return MADE[request.param]


each_coding = pytest.mark.parametrize("made", CODINGS, indirect=True)


def decoded(path: Path, changed: dict[int, bytes]) -> dict[int, list[np.ndarray]]:
    """Planes by time, some packets being others."""
    found = {}
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        context.thread_type, context.options = "NONE", {"err_detect": "explode"}
        for number, packet in enumerate(container.demux(container.streams.video[0])):
            if number in changed:
                other = av.Packet(changed[number])
                other.pts, other.dts, other.time_base = packet.pts, packet.dts, packet.time_base
                packet = other
            for frame in context.decode(packet if packet.size else None):
                assert not frame.is_corrupt
                found[frame.pts] = [plane.copy() for plane in planes(frame)]
    return found


@requires_x265
@each_coding
def test_every_picture_ends_at_its_stop_bits(made: Path) -> None:
    signs = 0
    for _, units, sets in coded_pictures(made):
        picture = walk_picture(units, sets)
        assert picture.obstacle == ""
        assert (picture.signs.unit < len(units)).all() and (picture.signs.level > 0).all()
        assert (np.diff(picture.signs.bit[picture.signs.unit == 0]) > 0).all()
        signs += len(picture.signs)
    assert signs > 10_000


@pytest.mark.parametrize("name", CLIPS)
def test_real_clips_are_walked_to_their_ends(clips: Path, name: str) -> None:
    scan = scan_file(clips / name)
    assert (len(scan.packets), int((scan.packets["flags"] & NONREF != 0).sum())) == CLIPS[name]
    some = [0, 1, len(scan.packets) // 2, len(scan.packets) - 1]
    for number, (_, units, sets) in enumerate(coded_pictures(clips / name)):
        if number in some[: 2 if "4320p" in name else 4]:
            assert walk_picture(units, sets).obstacle == ""


@requires_x265
@each_coding
def test_what_turned_signs_change_is_what_was_predicted(made: Path) -> None:
    """Every tenth usable sign: no other picture differs, and the energy is that of levels and quanta."""
    scan, rng = scan_file(made), np.random.default_rng(1)
    free = scan.packets["flags"] & NONREF != 0
    assert free.sum() >= 2
    changed, expected, blocks = {}, {}, {}
    for number, (packet, units, sets) in enumerate(coded_pictures(made)):
        if not free[number]:
            continue
        picture = walk_picture(units, sets)
        chosen = np.flatnonzero(usable(picture))
        chosen = chosen[rng.random(len(chosen)) < 0.1]
        turned = turn(units, picture.signs[chosen])
        chosen = np.delete(chosen, turned.wet)
        data = bytes(packet)
        for before, after in zip(units, turned.units, strict=True):
            assert len(before) == len(after) and data.count(before) == 1
            data = data.replace(before, after)
        again = walk_picture(turned.units, sets)
        flipped = np.flatnonzero(again.signs.negative != picture.signs.negative)
        assert flipped.tolist() == chosen.tolist() and again.obstacle == ""
        assert (usable(again) == usable(picture)).all() and (again.signs.level == picture.signs.level).all()
        signs = picture.signs[chosen]
        changed[number] = data
        expected[packet.pts] = (2 * signs.level * quanta(signs, units, sets)) ** 2
        blocks[packet.pts] = blocks_of(signs, next(iter(sets.sps.values())))
    assert sum(map(len, expected.values())) > 30
    before, after = decoded(made, {}), decoded(made, changed)
    measured = foreseen = 0.0
    for pts, theirs in before.items():
        if pts not in expected:
            assert all(map(np.array_equal, theirs, after[pts]))
            continue
        off = [a.astype(np.int64) - b for a, b in zip(after[pts], theirs, strict=True)]
        measured += sum(float((plane**2).sum()) for plane in off)
        foreseen += float(expected[pts].sum())
        if "no loop filters" in str([name for name, path in MADE.items() if path == made]):
            assert_inside(off, blocks[pts])
    assert 0.8 < measured / foreseen < 1.2


def assert_inside(off: list[np.ndarray], found: object) -> None:
    """Only samples of blocks with a turned sign differ: nothing was predicted from them."""
    masks = [np.zeros(plane.shape, bool) for plane in off]
    for plane, left, top, edge in zip(found.plane, found.left, found.top, found.edge, strict=True):
        masks[plane][top : top + edge, left : left + edge] = True
    assert not any((plane[~mask] != 0).any() for plane, mask in zip(off, masks, strict=True))


@requires_x265
@pytest.mark.parametrize("made", ["no loop filters"], indirect=True)
def test_signs_that_intra_prediction_reads_are_left_out(made: Path) -> None:
    """Those turned alone change samples outside of their blocks; so the rule is needed."""
    leaked, scan = 0, scan_file(made)
    free = scan.packets["flags"] & NONREF != 0
    base = decoded(made, {})
    changed, blocks = {}, {}
    for number, (packet, units, sets) in enumerate(coded_pictures(made)):
        if free[number]:
            picture = walk_picture(units, sets)
            assert (picture.read & picture.signs.inter == picture.read).all()
            signs = picture.signs[picture.read & ~picture.signs.fixed]
            turned, data = turn(units, signs), bytes(packet)
            for before, after in zip(units, turned.units, strict=True):
                data = data.replace(before, after)
            changed[number] = data
            blocks[packet.pts] = blocks_of(signs, next(iter(sets.sps.values())))
    after = decoded(made, changed)
    for pts, found in blocks.items():
        off = [a.astype(np.int64) - b for a, b in zip(after[pts], base[pts], strict=True)]
        try:
            assert_inside(off, found)
        except AssertionError:
            leaked += 1
    assert leaked


@requires_x265
@pytest.mark.parametrize("made", ["lossless blocks"], indirect=True)
def test_signs_of_lossless_blocks_are_fixed(made: Path) -> None:
    fixed = sum(int(walk_picture(units, sets).signs.fixed.sum()) for _, units, sets in coded_pictures(made))
    assert fixed > 100


@requires_x265
@pytest.mark.parametrize("made", ["default"], indirect=True)
def test_a_true_sign_is_the_smoother_one_for_most(made: Path) -> None:
    scan, shares = scan_file(made), []
    codec, frames = CODECS["hevc"], decoded(made, {})
    for number, (packet, units, sets) in enumerate(coded_pictures(made)):
        if scan.packets["flags"][number] & NONREF:
            picture, chosen = codec.walk(units, sets)
            signs = picture.signs[chosen]
            amplitude = signs.level * codec.quanta(signs, units, sets)
            change = np.where(signs.negative, 2, -2) * amplitude
            shape = codec.blocks(signs, sets)
            shares += (margins(frames[packet.pts], shape, change.astype(np.float32), (208, 136)) > 0).tolist()
    assert np.mean(shares) > 0.55


# -- damage ---------------------------------------------------------------------------------------------


@requires_x265
@pytest.mark.parametrize("made", ["slices"], indirect=True)
def test_damage_is_an_obstacle_and_never_an_exception(made: Path) -> None:
    rng, every = np.random.default_rng(3), list(coded_pictures(made))
    refused = 0
    for _ in range(150):
        _, units, sets = every[rng.integers(len(every))]
        hurt = [bytearray(nal) for nal in units]
        nal = hurt[rng.integers(len(hurt))]
        for at in rng.integers(2, len(nal), rng.integers(1, 5)):
            nal[at] ^= 1 << int(rng.integers(8))
        picture = walk_picture([bytes(nal) for nal in hurt], sets)
        refused += bool(picture.obstacle)
        assert not (picture.obstacle and len(picture.signs))
    assert refused > 140
    _, units, sets = every[1]
    assert len(units) == 2
    for other in ([], units[:1], units[1:], units[::-1], units * 2, [units[0][:40], units[1]]):
        assert walk_picture(other, sets).obstacle
    assert walk_picture([nal + b"\0\0" for nal in units], sets).obstacle == ""
    assert walk_picture(units, Sets({}, {})).obstacle


# -- tables ---------------------------------------------------------------------------------------------


def test_scans_go_through_every_place_once() -> None:
    assert [sorted(row.tolist()) for row in SCAN] == 3 * [list(range(16))]
    assert SCAN[0, :6].tolist() == [0, 4, 1, 8, 5, 2]
    for size in range(4):
        count = 1 << 2 * size
        for scan in range(3):
            assert len(set(SUB[size, scan, :count].tolist())) == count
            assert SUB_BACK[size, scan][SUB[size, scan, :count]].tolist() == list(range(count))


def test_states_at_the_start_are_those_of_the_standard() -> None:
    """initValue 154 is undecided at any QP (9.3.2.2); others go up or down with it."""
    assert start_states(30, 0).size == CONTEXTS
    for qp in (0, 26, 51):
        states = start_states(qp, 0)
        assert states[np.flatnonzero(start_states(0, 0) == start_states(51, 0))].max() < 126
    assert start_states(-12, 1).tolist() == start_states(0, 1).tolist()


@requires_x265
@pytest.mark.parametrize("made", ["default"], indirect=True)
def test_a_block_is_named_by_its_place_size_and_plane(made: Path) -> None:
    _, units, sets = next(coded_pictures(made))
    signs = walk_picture(units, sets).signs
    sps = next(iter(sets.sps.values()))
    found = blocks_of(signs, sps)
    assert set(found.edge.tolist()) <= {4, 8, 16, 32} and (found.pattern < found.edge**2).all()
    wide = np.where(found.plane > 0, sps.size[0] // 2, sps.size[0])
    assert ((found.left >= 0) & (found.left + found.edge <= wide)).all()
    dc = signs.position == 0
    assert set(signs.kind[dc].tolist()) <= {LUMA_DC, CHROMA_DC}
    assert not signs.inter.any() and not (signs.block >> bl.SKIP_SHIFT).any()
    header = parse_header(units[0], sets)
    assert header.first and header.kind == 2 and header.data_bit % 8 == 0


# -- what no encoder at hand makes -----------------------------------------------------------------------

CUTS = {
    "one": Cut(),
    "tiles": Cut(across=(0, 2), down=(0, 3)),
    "tiles, a slice each": Cut(across=(0, 3), slices=(0, 12)),
    "slices in tiles": Cut(across=(0, 3), slices=(0, 5, 12)),
    "dependent slices": Cut(dependent=(4, 9), slices=(0, 11)),
    "wavefront": Cut(wavefront=True),
    "wavefront, dependent slices": Cut(wavefront=True, dependent=(6, 12, 15, 18)),
    "wavefront in tiles": Cut(wavefront=True, across=(0, 2, 3), down=(0, 2)),
    "samples might be stored": Cut(pcm="unused"),
    "wavefront, slices": Cut(wavefront=True, slices=(0, 6, 9, 12), dependent=(15, 18)),
}


def frames_of(stream: bytes, threads: int) -> list[list[np.ndarray]]:
    """Planes of all frames of a byte stream that a decoder has nothing to say of."""
    context = av.CodecContext.create("hevc", "r")
    context.thread_count, context.options = threads, {"err_detect": "explode"}
    packets = [*context.parse(stream), *context.parse()]
    frames = [frame for packet in [*packets, None] for frame in context.decode(packet)]
    assert not any(frame.is_corrupt for frame in frames)
    return [[plane.copy() for plane in planes(frame)] for frame in frames]


@pytest.mark.parametrize("cut", CUTS)
def test_tiles_wavefronts_and_dependent_slices_are_walked(cut: str) -> None:
    made = write(CUTS[cut])
    sets = Sets.parse([made.sps], [made.pps])
    for units, signs in zip(made.pictures, made.signs, strict=True):
        picture = walk_picture(units, sets)
        assert picture.obstacle == "" and picture.signs.negative.tolist() == [bool(sign) for sign in signs]
        assert len(units) == len({*CUTS[cut].slices, *CUTS[cut].dependent})
    ok = np.flatnonzero(usable(picture))
    assert len(ok) > len(signs) - len(units) - 24 and picture.signs.inter.all()
    turned = turn(made.pictures[1], picture.signs[ok[::2]])
    assert not len(turned.wet)
    hurt = [nal[:-1] + bytes([nal[-1] ^ 64]) for nal in made.pictures[1]]
    assert walk_picture(hurt, sets).obstacle
    if CUTS[cut].wavefront and len(CUTS[cut].across) > 1:
        return  # FFmpeg does not read this
    before = frames_of(made.stream(), 1)
    assert len(before) == 2
    for threads in (1, 4):
        after = frames_of(made.stream([made.pictures[0], list(turned.units)]), threads)
        assert all(map(np.array_equal, before[0], after[0]))
        off = [a.astype(np.int64) - b for a, b in zip(after[1], before[1], strict=True)]
        chosen = picture.signs[ok[::2]]
        assert_inside(off, blocks_of(chosen, next(iter(sets.sps.values()))))
        energy = float(((2 * quanta(chosen, made.pictures[1], sets)) ** 2).sum())
        assert 0.6 < sum(float((plane**2).sum()) for plane in off) / energy < 1.4


def test_blocks_stored_as_samples_are_refused_by_name() -> None:
    made = write(Cut(pcm="used"))
    assert "PCM" in walk_picture(made.pictures[0], Sets.parse([made.sps], [made.pps])).obstacle
