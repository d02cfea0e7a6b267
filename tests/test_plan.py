"""Plans are pure: these tests look at packet tables, real and made up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidstega import methods, plan, video
from vidstega.carrier import Carrier
from vidstega.errors import CapacityError, ParameterError, UnsupportedError
from vidstega.video import IDR, KEY, NONREF, SAFE


@pytest.fixture(scope="module")
def scan(cover: Path) -> video.Scan:
    return video.scan(cover)


def carrier_of(scan: video.Scan) -> Carrier:
    return Carrier(methods.get("lsb"), scan.size, scan.depth)


def made_up(scan: video.Scan, groups: list[tuple[int, int, bool]]) -> video.Scan:
    """A table of groups (frames, distance between P frames, closed by an IDR), in decode order."""
    rows, start = [], 0
    for frames, step, closed in groups:
        shown = [start]
        for anchor in range(step, frames + step, step):
            last = min(anchor, frames - 1) + start
            shown += [last] if last not in shown else []
            shown += [t for t in range(last - step + 1, last) if t not in shown and t > start]
        for number, pts in enumerate(dict.fromkeys(shown)):
            between = (pts - start) % step and pts != start + frames - 1
            flags = (KEY | SAFE | (IDR if closed else 0)) if number == 0 else NONREF if between else 0
            rows.append((pts, start + number - 2, 1, -1, 0, 1000, flags))
        start += frames
    return replace(scan, packets=np.array(rows, video.PACKET))


groups = st.lists(st.tuples(st.integers(1, 12), st.integers(1, 4), st.booleans()), min_size=1, max_size=8)


@settings(max_examples=60, deadline=None)
@given(groups, st.integers(64, 60_000), st.sampled_from(["fewest", "all", 1.0, 0.3]))
def test_every_plan_holds_its_stream_and_cuts_cleanly(
    scan: video.Scan, groups: list[tuple[int, int, bool]], size: int, spread: plan.Spread
) -> None:
    table = made_up(scan, [(groups[0][0], groups[0][1], True), *groups[1:]])
    carrier = carrier_of(table)
    try:
        made = plan.make_plan(table, carrier, size, spread, "mp4")
    except CapacityError:
        assert plan.room(table, carrier, spread).sealed_bytes < size
        return
    lengths = [p.run_frames for p in made.parts] if made.mode == "splice" else [made.carrying]
    assert carrier.fit(size, lengths, carrier.most_bytes()) == made.frame_bytes
    assert sum(part.carrying for part in made.parts) == made.carrying
    pts = table.packets["pts"]
    for part in made.parts:
        start, stop = part.replaced
        if made.mode == "splice":
            assert np.array_equal(np.sort(pts[start:stop]), part.pts)
            if part.stand_in:
                assert stop == start + 1 and table.packets["flags"][start] & NONREF
                assert pts[start] > pts[part.first]
            else:
                assert (pts[:start] < part.pts[0]).all() and (pts[stop:] > part.pts[-1]).all()
                assert stop == len(pts) or table.packets["flags"][stop] & IDR
        assert table.packets["flags"][part.first] & SAFE
    offsets = [part.offset for part in made.parts if part.carrying]
    assert offsets == sorted(set(offsets)) and offsets[0] == 0
    if made.mode == "transcode":
        assert np.array_equal(np.concatenate([part.pts for part in made.parts]), table.pts)


def test_one_frame_is_enough_for_a_short_message(scan: video.Scan) -> None:
    made = plan.make_plan(scan, carrier_of(scan), 200, "fewest", "mp4")
    assert made.mode == "splice" and made.carrying == 1
    (part,) = made.parts
    assert part.stand_in and part.stop - part.first <= 4  # the nearest to a key frame
    assert made.frame_bytes < carrier_of(scan).most_bytes() / 10  # and only as dense as it must be


def test_alpha_is_a_ceiling(scan: video.Scan) -> None:
    dense = plan.make_plan(scan, carrier_of(scan), 5000, "fewest", "mp4")
    quiet = plan.make_plan(scan, carrier_of(scan), 5000, 0.05, "mp4")
    assert quiet.carrying > dense.carrying
    assert 8 * quiet.frame_bytes <= 0.05 * 320 * 240


def test_groups_to_avoid_are_avoided(scan: video.Scan) -> None:
    first = plan.make_plan(scan, carrier_of(scan), 200, "fewest", "mp4").parts[0].first
    other = plan.make_plan(scan, carrier_of(scan), 200, "fewest", "mp4", avoid=frozenset({first}))
    assert other.mode == "splice" and other.parts[0].first != first


def test_raw_pictures_and_their_neighbours_are_left_alone(scan: video.Scan) -> None:
    first = plan.make_plan(scan, carrier_of(scan), 200, "fewest", "mp4").parts[0]
    taken = scan.packets.copy()
    taken["size"][first.stop - 1] = 10**6
    taken["flags"][first.stop - 1] |= KEY
    again = plan.make_plan(replace(scan, packets=taken), carrier_of(scan), 200, "fewest", "mp4")
    assert again.mode == "splice" and again.parts[0].first != first.first


def test_a_group_with_a_stand_in_takes_another(scan: video.Scan) -> None:
    one = made_up(scan, [(12, 4, True)])
    first = plan.make_plan(one, carrier_of(scan), 200, "fewest", "mp4").parts[0]
    assert first.stand_in
    taken = one.packets.copy()
    taken["size"][first.replaced[0]] = 10**6
    one = replace(one, packets=taken)
    again = plan.make_plan(one, carrier_of(scan), 200, "fewest", "mp4").parts[0]
    assert again.stand_in and abs(again.replaced[0] - first.replaced[0]) > 1
    assert plan.make_plan(one, carrier_of(scan), 20_000, "fewest", "mp4").mode == "transcode"


def test_frames_with_a_time_that_others_share_are_not_replaced(scan: video.Scan) -> None:
    table = made_up(scan, [(12, 4, True)])
    pts = table.packets["pts"]
    pts[pts == 10] = 9
    pts[pts == 2] = 1
    single = plan.make_plan(table, carrier_of(scan), 200, "fewest", "mp4").parts[0]
    assert single.stand_in and single.pts[0] not in (1, 9)
    with pytest.raises(UnsupportedError, match="at one time"):
        plan.make_plan(table, carrier_of(scan), 20_000, "fewest", "mp4")


@pytest.mark.parametrize("frames", [1, 2])
def test_very_short_videos_are_planned(scan: video.Scan, frames: int) -> None:
    plan.make_plan(made_up(scan, [(frames, 1, True)]), carrier_of(scan), 200, "fewest", "mp4")


def test_many_raw_frames_are_coded_again(scan: video.Scan) -> None:
    size = plan.room(scan, carrier_of(scan), "fewest").sealed_bytes // 2
    made = plan.make_plan(scan, carrier_of(scan), size, "fewest", "mp4")
    assert made.mode == "transcode" and "larger" in made.reason


def test_too_large_says_what_is_needed_and_what_there_is(scan: video.Scan) -> None:
    room = plan.room(scan, carrier_of(scan), 0.1).sealed_bytes
    with pytest.raises(
        CapacityError, match=rf'needs {8 * room + 8:,} bits .* {8 * room:,} bits .* spread="fewest"'
    ):
        plan.make_plan(scan, carrier_of(scan), room + 1, 0.1, "mp4")
    assert plan.make_plan(scan, carrier_of(scan), room, 0.1, "mp4").carrying == 60


@pytest.mark.parametrize("spread", ["most", 0, 1.5, -1, True, None, float("nan")])
def test_senseless_spreads_are_refused(spread: object) -> None:
    with pytest.raises(ParameterError, match="alpha"):
        plan.check_spread(spread)  # type: ignore[arg-type]


@settings(max_examples=40, deadline=None)
@given(groups, st.integers(1, 30))
def test_segments_cover_every_frame_once(
    scan: video.Scan, groups: list[tuple[int, int, bool]], least: int
) -> None:
    table = made_up(scan, groups)
    parts = list(plan.segments(table, least))
    assert np.array_equal(np.concatenate([part.pts for part in parts]), table.pts)
    for part in parts:
        decoded = table.packets["pts"][part.first : part.stop]
        assert np.isin(part.pts, decoded).all()
