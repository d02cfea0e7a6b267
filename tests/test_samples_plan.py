"""Plans are pure: these tests look at packet tables, real and made up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidstega import methods
from vidstega.carriers import Samples
from vidstega.carriers.base import Failure, Spread, Wish, check_spread
from vidstega.carriers.samples.bands import Bands
from vidstega.carriers.samples.plan import SamplesPlan, make_plan, room
from vidstega.errors import CapacityError, ParameterError, VerificationError
from vidstega.media.scan import scan as scan_file
from vidstega.media.segments import Span, segments
from vidstega.media.source import IDR, KEY, NONREF, PACKET, SAFE, Scan


@pytest.fixture(scope="module")
def scan(cover: Path) -> Scan:
    return scan_file(cover)


def bands_of(scan: Scan) -> Bands:
    return Bands(methods.get("lsb"), scan.size, scan.depth)


def planned(
    scan: Scan, size: int, spread: Spread = "fewest", failures: tuple[Failure, ...] = ()
) -> SamplesPlan:
    return make_plan(scan, bands_of(scan), Wish(size, spread, "mp4", failures))


def first_span(plan: SamplesPlan) -> Span:
    return plan.stretches[0].span


def made_up(scan: Scan, groups: list[tuple[int, int, bool]]) -> Scan:
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
    return replace(scan, packets=np.array(rows, PACKET))


groups = st.lists(st.tuples(st.integers(1, 12), st.integers(1, 4), st.booleans()), min_size=1, max_size=8)


@settings(max_examples=60, deadline=None)
@given(groups, st.integers(64, 60_000), st.sampled_from(["fewest", "all", 1.0, 0.3]))
def test_every_plan_holds_its_stream_and_cuts_cleanly(
    scan: Scan, groups: list[tuple[int, int, bool]], size: int, spread: Spread
) -> None:
    table = made_up(scan, [(groups[0][0], groups[0][1], True), *groups[1:]])
    bands = bands_of(table)
    try:
        plan = planned(table, size, spread)
    except CapacityError:
        assert room(table, bands, spread).sealed_bytes < size
        return
    runs = [stretch.run_frames for stretch in plan.stretches]
    lengths = runs if plan.mode == "splice" else [plan.carrying]
    assert bands.fit(size, lengths, bands.most_bytes()) == plan.frame_bytes
    assert sum(stretch.carrying for stretch in plan.stretches) == plan.carrying
    pts, flags = table.packets["pts"], table.packets["flags"]
    for span in (stretch.span for stretch in plan.stretches):
        start, stop = span.replaced
        if plan.mode == "splice":
            assert np.array_equal(np.sort(pts[start:stop]), span.pts)
            if span.alone:
                assert stop == start + 1 and flags[start] & NONREF
                assert pts[start] > pts[span.first]
            else:
                assert (pts[:start] < span.pts[0]).all() and (pts[stop:] > span.pts[-1]).all()
                assert stop == len(pts) or flags[stop] & IDR
        assert flags[span.first] & SAFE
    offsets = [stretch.offset for stretch in plan.stretches if stretch.carrying]
    assert offsets == sorted(set(offsets)) and offsets[0] == 0
    if plan.mode == "transcode":
        assert np.array_equal(np.concatenate([stretch.span.pts for stretch in plan.stretches]), table.pts)
    check_promise(table, plan)


def check_promise(table: Scan, plan: SamplesPlan) -> None:
    """What may differ are the frames that carry, and in a splice the packets that are replaced."""
    carrying = np.concatenate([stretch.span.pts[: stretch.carrying] for stretch in plan.stretches])
    assert np.array_equal(table.pts[plan.promise.frames], np.sort(carrying))
    assert plan.promise.luma_only
    if plan.mode == "transcode":
        assert plan.promise.packets is None
        return
    assert plan.promise.packets is not None and len(plan.promise.packets) == len(table.packets)
    replaced = [n for stretch in plan.stretches for n in range(*stretch.span.replaced)]
    assert np.flatnonzero(plan.promise.packets).tolist() == sorted(replaced)


def test_one_frame_is_enough_for_a_short_message(scan: Scan) -> None:
    plan = planned(scan, 200)
    assert plan.mode == "splice" and plan.carrying == 1
    (stretch,) = plan.stretches
    assert stretch.span.alone and stretch.span.stop - stretch.span.first <= 4  # the nearest to a key frame
    assert plan.frame_bytes < bands_of(scan).most_bytes() / 10  # and only as dense as it must be


def test_alpha_is_a_ceiling(scan: Scan) -> None:
    dense, quiet = planned(scan, 5000), planned(scan, 5000, 0.05)
    assert quiet.carrying > dense.carrying
    assert 8 * quiet.frame_bytes <= 0.05 * 320 * 240


def test_groups_that_failed_are_avoided(scan: Scan) -> None:
    first = first_span(planned(scan, 200)).first
    failed = Failure(VerificationError("damaged"), "splice", at=first)
    other = planned(scan, 200, failures=(failed,))
    assert other.mode == "splice" and first_span(other).first != first
    second = Failure(VerificationError("damaged"), "splice", at=first_span(other).first)
    third = planned(scan, 200, failures=(failed, second))
    assert third.mode == "splice" and first_span(third).first not in (first, first_span(other).first)


def test_after_a_splice_that_failed_as_a_whole_all_is_coded_anew(scan: Scan) -> None:
    failure = Failure(VerificationError("it is not as it should be"), "splice")
    plan = planned(scan, 200, failures=(failure,))
    assert plan.mode == "transcode" and plan.reason == "a splice failed: it is not as it should be"


def test_after_a_transcode_that_failed_nothing_is_left(scan: Scan) -> None:
    error = VerificationError("a codec that loses")
    failures = (Failure(VerificationError("x"), "splice"), Failure(error, "transcode"))
    with pytest.raises(VerificationError, match="a codec that loses") as caught:
        Samples(methods.get("lsb")).plan(scan, Wish(200, "fewest", "mp4", failures))
    assert caught.value is error


def test_raw_pictures_and_their_neighbours_are_left_alone(scan: Scan) -> None:
    first = first_span(planned(scan, 200))
    taken = scan.packets.copy()
    taken["size"][first.stop - 1] = 10**6
    taken["flags"][first.stop - 1] |= KEY
    again = planned(replace(scan, packets=taken), 200)
    assert again.mode == "splice" and first_span(again).first != first.first


def test_a_group_with_a_stand_in_takes_another(scan: Scan) -> None:
    one = made_up(scan, [(12, 4, True)])
    first = first_span(planned(one, 200))
    assert first.alone
    taken = one.packets.copy()
    taken["size"][first.replaced[0]] = 10**6
    one = replace(one, packets=taken)
    again = first_span(planned(one, 200))
    assert again.alone and abs(again.replaced[0] - first.replaced[0]) > 1
    assert planned(one, 20_000).mode == "transcode"


def test_frames_with_a_time_that_others_share_are_not_replaced(scan: Scan) -> None:
    table = made_up(scan, [(12, 4, True)])
    pts = table.packets["pts"]
    pts[pts == 10] = 9
    pts[pts == 2] = 1
    single = first_span(planned(table, 200))
    assert single.alone and single.pts[0] not in (1, 9)
    assert planned(table, 20_000).mode == "transcode"  # which can tell them apart, see test_times


@pytest.mark.parametrize("frames", [1, 2])
def test_very_short_videos_are_planned(scan: Scan, frames: int) -> None:
    planned(made_up(scan, [(frames, 1, True)]), 200)


def test_many_raw_frames_are_coded_again(scan: Scan) -> None:
    plan = planned(scan, room(scan, bands_of(scan), "fewest").sealed_bytes // 2)
    assert plan.mode == "transcode" and "larger" in plan.reason


def test_too_large_says_what_is_needed_and_what_there_is(scan: Scan) -> None:
    most = room(scan, bands_of(scan), 0.1).sealed_bytes
    with pytest.raises(
        CapacityError, match=rf'needs {8 * most + 8:,} bits .* {8 * most:,} bits .* spread="fewest"'
    ):
        planned(scan, most + 1, 0.1)
    assert planned(scan, most, 0.1).carrying == 60


@pytest.mark.parametrize("spread", ["most", 0, 1.5, -1, True, None, float("nan")])
def test_senseless_spreads_are_refused(spread: object) -> None:
    with pytest.raises(ParameterError, match="alpha"):
        check_spread(spread)  # type: ignore[arg-type]


@settings(max_examples=40, deadline=None)
@given(groups, st.integers(1, 30))
def test_segments_cover_every_frame_once(scan: Scan, groups: list[tuple[int, int, bool]], least: int) -> None:
    table = made_up(scan, groups)
    spans = list(segments(table, least))
    assert np.array_equal(np.concatenate([span.pts for span in spans]), table.pts)
    for span in spans:
        decoded = table.packets["pts"][span.first : span.stop]
        assert np.isin(span.pts, decoded).all()
