"""The numerics of `robust` over planes and times: no file, no coder, but noise, scaling and cuts."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidstega.carriers.robust import read
from vidstega.carriers.robust.choose import Heard, choose, fits
from vidstega.carriers.robust.grid import Grid, Picture, active_picture
from vidstega.carriers.robust.keyed import places, slot_key
from vidstega.carriers.robust.levels import (
    LEVELS,
    LOUD_DB,
    MOST_RATE,
    STRENGTHS_DB,
    level_for,
    rooms,
    step_of,
    strength_for,
)
from vidstega.carriers.robust.read import Reader, grids
from vidstega.carriers.robust.slots import SlotMeans, owner, shares
from vidstega.carriers.robust.soft import Soft
from vidstega.carriers.robust.write import Bump, Levels, Message, Segment
from vidstega.coding.ira import class_bytes, class_for
from vidstega.errors import CapacityError, ParameterError
from vidstega.seal.short import ShortKeys, seal

KEYS = ShortKeys(bytes(range(64)), bytes(range(32)))
OTHER = ShortKeys(bytes(64), bytes(32))
WIDTH, HEIGHT = 640, 352
MESSAGE = bytes(range(200, 216))


def scene(count: int, rate: float = 12.5, seed: int = 0, depth: int = 8):
    """A drifting smooth picture with grain, as (plane, start, end)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    frames = []
    for i in range(count):
        waves = 60 * np.sin((x + 3 * i) / 47) * np.cos((y - i) / 31)
        picture = (120 + waves + rng.normal(0, 3, y.shape)) * 2 ** (depth - 8)
        frames.append(
            (picture.round().astype(np.uint8 if depth == 8 else np.uint16), i / rate, (i + 1) / rate)
        )
    return frames


def written(
    frames, message=MESSAGE, strength_db=51.4, level=None, segments=1, depth=8, keys=KEYS, full=False
):
    """The frames with a message, by as many independent segments."""
    frame_s = frames[0][2] - frames[0][1]
    picture = Picture(frames[0][0].shape[1], frames[0][0].shape[0])
    size = class_bytes(class_for(len(message) + 17))
    level = level or level_for(size, picture, frames[-1][2], frame_s)
    grid, slot_s = level.grid(picture), level.slot_s(frame_s)
    laid_out = Message(keys.carrier, level, grid.shape, seal(keys, message, size))
    edges = np.linspace(0, int(np.ceil(frames[-1][2] / slot_s)), segments + 1).astype(int)
    out = [(plane.copy(), *times) for plane, *times in frames]
    for first, stop in pairwise(edges):
        slots, more = range(first, stop), stop != edges[-1]
        segment = Segment(grid, laid_out, step_of(strength_db), slot_s, slots, Levels(depth, full), more)
        for plane, start, end in frames:
            if segment.touches(start, end):
                segment.project(plane, start, end)
        for plane, start, end in out:
            if segment.owns(start, end):
                segment.add(plane, start, end)
    return out


def reading(frames, keys=KEYS, depth=8, whole=True, deep=False):
    shape = frames[0][0].shape
    reader = Reader(keys, grids([Picture(shape[1], shape[0])], deep=deep), depth, deep)
    for plane, start, end in frames:
        reader.add(plane, start, end)
        if reader.message is not None and not whole:
            break
    return reader.finish()


@pytest.fixture(scope="module")
def cover():
    return scene(100)


@pytest.fixture(scope="module")
def stego(cover):
    return written(cover)


def test_a_message_comes_back_with_key_and_frames_alone(stego):
    found = reading(stego)
    assert found.message == MESSAGE
    assert found.cosine > 0.97
    assert found.margin > 4


def test_reading_stops_as_soon_as_the_message_opens(stego):
    found = reading(stego, whole=False)
    assert found.message == MESSAGE
    assert found.seen_s < 5


def test_a_wrong_key_and_a_clean_video_give_nothing_in_bounded_time(cover, stego):
    began = time.process_time()
    assert reading(stego, OTHER).message is None
    assert reading(cover).message is None
    assert time.process_time() - began < 30  # two seconds where nothing else runs


@pytest.mark.parametrize("level", LEVELS[2:], ids=str)
def test_every_level_carries(cover, level):
    if level.grid(Picture(WIDTH, HEIGHT)).cells < 200 and level.slot > 1:
        pytest.skip("holds no message in 8 s")
    frames = cover[:60]
    assert reading(written(frames, bytes(range(30)), level=level)).message == bytes(range(30))


@pytest.mark.parametrize("level", LEVELS[:2], ids=str)
def test_slots_of_frames_carry_much(cover, level):
    data = np.random.default_rng(1).bytes(500)
    assert reading(written(cover[:60], data, level=level)).message == data


def test_slots_of_frames_are_found_where_times_are_rounded_to_milliseconds():
    """As Matroska does: a median of 33 ms instead of 33.37 lost all but the first second."""
    data = np.random.default_rng(2).bytes(500)
    marked = written(scene(100, rate=30000 / 1001), data, level=LEVELS[0])
    found = reading([(plane, round(start, 3), round(end, 3)) for plane, start, end in marked])
    assert found.message == data
    assert found.cosine > 0.8


def test_the_mark_is_as_loud_as_it_says_and_zero_on_average(cover):
    for strength_db, low, high in ((48.4, 46.5, 48.6), (56.0, 53.0, 56.5)):
        marked = written(cover, strength_db=strength_db)
        change = np.array([b[0].astype(int) - a[0] for a, b in zip(cover, marked, strict=True)])
        assert low < 10 * np.log10(255**2 / np.mean(np.square(change))) < high
        assert abs(change.mean()) < 0.05


def test_the_change_fades_from_slot_to_slot(cover):
    level = LEVELS[9]
    marked = written(cover, strength_db=56.0, level=level)
    change = np.array([b[0].astype(float) - a[0] for a, b in zip(cover, marked, strict=True)])
    steps = np.abs(np.diff(change, axis=0))
    assert steps.max() <= 2
    assert np.abs(change).max() >= 2  # it moves further than any one step does


def test_segments_are_independent_and_fade_out_before_each_other(cover):
    marked = written(cover, segments=3)
    assert reading(marked).message == MESSAGE
    alone = written(cover, segments=3)
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(marked, alone, strict=True))
    change = np.array([b[0].astype(float) - a[0] for a, b in zip(cover, marked, strict=True)])
    assert np.abs(np.diff(change, axis=0)).max() <= 3


@pytest.mark.parametrize("cut_s", [0.31, 1.3, 3.0])
def test_it_survives_a_cut_at_the_start(cover, cut_s):
    frames = written(cover, strength_db=48.4)
    assert reading([frame for frame in frames if frame[1] >= cut_s]).message == MESSAGE


def test_it_survives_another_frame_rate(stego):
    times = np.arange(0, 8, 0.1)
    resampled = [(stego[min(99, int(t * 12.5 + 1e-6))][0], t, t + 0.1) for t in times]
    assert reading(resampled).message == MESSAGE


def test_frames_of_very_different_length_are_nothing_special(cover):
    rng = np.random.default_rng(3)
    edges = np.concatenate([[0], np.cumsum(rng.uniform(0.01, 0.16, len(cover)))])
    frames = [(plane, edges[i], edges[i + 1]) for i, (plane, _, _) in enumerate(cover)]
    assert reading(written(frames)).message == MESSAGE


def test_times_may_start_anywhere(stego):
    assert reading([(plane, start + 1525.0, end + 1525.0) for plane, start, end in stego]).message == MESSAGE


def test_a_message_that_begins_late_is_found_only_by_a_deep_reader(cover, stego):
    late = [(cover[i % 50][0], i / 12.5, (i + 1) / 12.5) for i in range(275)]
    late += [(plane, start + 22, end + 22) for plane, start, end in stego]
    candidates = [one for one in grids([Picture(WIDTH, HEIGHT)]) if one.across == 30]
    quick, deep = Reader(KEYS, candidates), Reader(KEYS, candidates, deep=True, trim_s=10)
    for frame in late:
        quick.add(*frame)
        deep.add(*frame)
    assert quick.hopeless
    assert quick.finish().message is None
    assert deep.finish().message == MESSAGE


def test_a_picture_too_small_for_any_cell_is_refused():
    with pytest.raises(ParameterError, match="too small"):
        Reader(KEYS, grids([Picture(16, 16)]))


def test_no_size_is_tried_that_too_little_came_through_for(stego, monkeypatch):
    """Guesses of a large message took minutes, and kept the small one from being tried."""
    noise, tried = np.random.default_rng(1), []
    decoded = read.code_for
    monkeypatch.setattr(read, "code_for", lambda size: tried.append(size) or decoded(size))
    noisy = [
        (np.clip(plane + noise.normal(0, 80, plane.shape).round(), 0, 255).astype(np.uint8), *times)
        for plane, *times in stego
    ]
    found = reading(noisy)
    assert found.lock is not None and tried
    assert 8 * max(tried) <= found.bits


def test_it_survives_scaling_to_half_its_size(stego):
    half = [
        (plane.reshape(HEIGHT // 2, 2, WIDTH // 2, 2).mean(axis=(1, 3)).round().astype(np.uint8), *times)
        for plane, *times in stego
    ]
    assert reading(half).message == MESSAGE


def test_a_picture_that_was_stretched_is_found_by_a_deep_reader(cover):
    usual = [(plane[:, 7:633].copy(), *times) for plane, *times in cover]  # 16:9
    narrow = [
        (plane.reshape(HEIGHT, -1, 2).mean(axis=2).round().astype(np.uint8), *times)
        for plane, *times in written(usual, level=LEVELS[8])
    ]
    assert reading(narrow).message is None
    assert reading(narrow, deep=True).message == MESSAGE


@pytest.mark.parametrize(("gain", "offset"), [(1.0, 6.0), (1.03, 0.0), (0.97, -7.0), (219 / 255, 16.0)])
def test_it_survives_brightness_and_contrast(stego, gain, offset):
    changed = [
        (np.clip(gain * plane + offset, 0, 255).round().astype(np.uint8), *times) for plane, *times in stego
    ]
    assert reading(changed).message == MESSAGE


def test_contrast_that_shows_only_after_a_dark_scene_is_followed(cover):
    dark = [(plane // 12 + 16 if end < 4.2 else plane, start, end) for plane, start, end in cover]
    marked = [
        (np.clip(1.02 * plane, 0, 255).round().astype(np.uint8), *times)
        for plane, *times in written(dark, strength_db=48.4)
    ]
    found = reading(marked)
    assert found.message == MESSAGE
    assert found.cosine > 0.8


def test_brightness_that_differs_from_scene_to_scene_is_followed(stego):
    shifts = np.random.default_rng(4).integers(-4, 5, 20)
    changed = [
        (np.clip(plane.astype(int) + shifts[int(start / 1.28 + 0.01)], 0, 255).astype(np.uint8), start, end)
        for plane, start, end in stego
    ]
    found = reading(changed)
    assert found.message == MESSAGE
    assert found.cosine > 0.85


def test_the_margin_says_what_came_through(stego):
    margins = []
    for sigma in (5, 25, 45):
        rng = np.random.default_rng(sigma)
        noisy = [
            (np.clip(plane + rng.normal(0, sigma, plane.shape), 0, 255).astype(np.uint8), *times)
            for plane, *times in stego
        ]
        margins.append(reading(noisy).margin)
    assert margins == sorted(margins, reverse=True)
    assert margins[0] > 1.2 * margins[2]


def test_it_survives_noise(stego):
    rng = np.random.default_rng(5)
    noisy = [
        (np.clip(plane + rng.normal(0, 12, plane.shape), 0, 255).astype(np.uint8), *times)
        for plane, *times in stego
    ]
    assert reading(noisy).message == MESSAGE


def test_ten_bits_carry_with_finer_rounding():
    frames = scene(60, depth=10)
    marked = written(frames, strength_db=56.0, depth=10, level=LEVELS[8])
    assert reading(marked, depth=10).message == MESSAGE
    change = np.array([b[0].astype(int) - a[0].astype(int) for a, b in zip(frames, marked, strict=True)])
    assert 54 < 10 * np.log10(1023**2 / np.mean(np.square(change))) < 57


def test_black_and_white_are_not_overstepped_nor_touched_where_there_is_nothing_else(cover):
    frames = []
    for plane, *times in cover[:40]:
        plane = np.clip(plane, 60, 200)
        plane[:, :200], plane[:, -200:] = 16, 235
        plane[0, 0], plane[0, -1] = 3, 250
        frames.append((plane, *times))
    for (before, *_), (after, *_) in zip(frames, written(frames, strength_db=48.4), strict=True):
        assert after.min() == 3
        assert after.max() == 250
        assert np.array_equal(after[:, :190], before[:, :190])
        assert np.array_equal(after[:, -190:], before[:, -190:])
        assert not np.array_equal(after, before)


def test_a_letterbox_stays_black_and_is_found_again(cover):
    frames = []
    for plane, *times in cover[:80]:
        boxed = np.full((HEIGHT + 96, WIDTH), 16, np.uint8)
        boxed[48:-48] = plane
        frames.append((boxed, *times))
    picture = active_picture(plane for plane, *_ in frames[::20])
    assert picture == Picture(WIDTH, HEIGHT, 0, 48)
    level = LEVELS[7]
    grid = level.grid(picture)
    laid_out = Message(KEYS.carrier, level, grid.shape, seal(KEYS, MESSAGE, 38))
    segment = Segment(grid, laid_out, step_of(50.4), 0.32, range(20), more=False)
    for frame in frames:
        segment.project(*frame)
    for frame in frames:
        segment.add(*frame)
    assert all((plane[:48] == 16).all() and (plane[-48:] == 16).all() for plane, *_ in frames)
    reader = Reader(KEYS, grids([active_picture(plane for plane, *_ in frames[::20])]))
    for frame in frames:
        reader.add(*frame)
    assert reader.finish().message == MESSAGE


def test_a_dark_scene_is_no_letterbox():
    dark = np.full((90, 160), 16, np.uint8)
    assert active_picture([dark]) == Picture(160, 90)
    dark[50:, :] = 90  # a bright lower half: no bar below
    assert active_picture([dark]) == Picture(160, 90)


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 50), st.floats(0.001, 3), st.sampled_from([0.04, 0.16, 1.28]))
def test_a_frame_is_shared_out_completely(start, length, slot_s):
    found = shares(start, start + length, slot_s)
    assert sum(share.seconds for share in found) == pytest.approx(length, abs=3e-4 * slot_s)
    assert [share.slot for share in found] == list(range(found[0].slot, found[0].slot + len(found)))
    assert owner(start, start + length, slot_s) in [share.slot for share in found]


def test_slot_means_hold_two_slots_and_know_what_they_have_seen():
    means = SlotMeans(1.0)
    done = []
    for i in range(7):
        done += means.add(np.full(3, i, np.float32), 0.4 * i, 0.4 * (i + 1))
        assert len(means._open) <= 2
    done += means.finish()
    assert [slot.slot for slot in done] == [0, 1, 2]
    assert done[0].mean[0] == pytest.approx(0.4 * 0 + 0.4 * 1 + 0.2 * 2)
    assert [round(slot.seen, 6) for slot in done] == [1, 1, 0.8]


def test_projecting_what_was_added_gives_what_the_bump_says():
    grid = Grid.of(Picture(640, 352), 20)
    bump = Bump(grid, 8, 8)
    plane = np.full((352, 640), 100, np.uint8)
    wanted = np.linspace(-2, 2, grid.cells)
    grid.add(plane, bump.height(wanted).astype(np.float32), 16, 235)
    assert np.abs(grid.project(plane) - 100 - wanted).max() < 0.02


def test_places_and_dither_depend_on_key_level_and_slot():
    level, cells = LEVELS[9], 480
    one = places(KEYS.carrier, level, (16, 30))
    assert len(np.intersect1d(one.pilots, places(KEYS.carrier, level, (17, 30)).pilots)) < 20
    all_cells = np.concatenate([one.pilots, one.sizes, one.data])
    assert np.array_equal(np.sort(all_cells), np.arange(cells))
    assert len(one.pilots) == 60
    assert not np.array_equal(one.pilots, places(OTHER.carrier, level, (16, 30)).pilots)
    dithers = [slot_key(KEYS.carrier, level, slot, cells).dither for slot in (0, 1)]
    assert abs(np.corrcoef(dithers)[0, 1]) < 0.2
    assert 0 <= dithers[0].min() < dithers[0].max() < 1


def test_the_layout_stays_what_it_is():
    message = Message(KEYS.carrier, LEVELS[9], (16, 30), seal(KEYS, MESSAGE, 38))
    bits, dither = message.bits(7)
    assert np.packbits(bits).tobytes()[:8].hex() == "001580ae6b087451"
    assert (dither[:4] * 256).astype(int).tolist() == [190, 87, 198, 13]


def test_the_coarsest_level_at_a_third_is_taken():
    picture = Picture(1920, 1080)
    assert level_for(53, picture, 10, 1 / 24) == LEVELS[9]
    assert level_for(304, picture, 10, 1 / 24) == LEVELS[7]
    for room in rooms(picture, 10, 1 / 24):
        assert 8 * room.bytes_sealed <= MOST_RATE * room.places
    with pytest.raises(CapacityError, match=r"at most 65,536 fit into 10.0 s of 1920x1080"):
        level_for(100_000, picture, 10, 1 / 24)


def test_strengths_are_decibels_on_one_scale():
    assert step_of(48) == pytest.approx(4.34, abs=0.01)
    assert step_of(45) == pytest.approx(6.13, abs=0.01)
    assert list(STRENGTHS_DB) == sorted(STRENGTHS_DB, reverse=True)
    assert strength_for(48) == LOUD_DB
    assert [strength_for(db) for db in (40, 45.2, 60)] == [40.4, 45.4, 60.4]
    with pytest.raises(ParameterError, match=r"give 40 .* to 60"):
        strength_for(70)


def test_soft_decisions_know_good_pilots_from_bad_ones():
    rng = np.random.default_rng(9)
    soft = Soft()
    worths = []
    for sigma in (0.03, 0.15, 0.5):
        weights = soft.learn(rng.normal(0, sigma, 200))
        ratio, worth = soft.judge(weights, np.array([0.0, 0.25, 0.5]))
        worths.append(worth)
        assert ratio[0] == pytest.approx(-ratio[2])
        assert abs(ratio[1]) < 1e-6
    assert worths[0] > 0.97
    assert 0.4 < worths[1] < 0.8
    assert worths[2] < 0.05


def test_the_quietest_strength_with_the_margin_is_chosen():
    heard = {56.0: Heard(60, 54.3), 53.6: Heard(100, 52.3), 51.4: Heard(150, 50.6)}
    choice = choose(53, 10.0, heard.__getitem__, channel="480p")
    assert choice.strength_db == 53.6
    assert choice.margin == pytest.approx(1000 / 424)
    assert [trial.strength_db for trial in choice.trials] == [56.0, 53.6]


def test_a_refusal_says_what_fits_at_each_strength():
    heard = {56.0: Heard(60, 54.3), 53.6: Heard(70, 52.3), 51.4: Heard(80, 50.6)}
    with pytest.raises(CapacityError) as refused:
        choose(304, 10.0, heard.__getitem__, channel="480p")
    for part in ("304 bytes", "480p", "15 bytes at 54.3 dB", "28 bytes at 50.6 dB", "psnr_db=48"):
        assert part in str(refused.value)
    assert fits(8 * 38 * 1.01) == 21
    assert fits(100) == 0
