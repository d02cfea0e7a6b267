"""HEVC's headers: parameter sets, slice headers, and which pictures no later one refers to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from hevc_made import byte_stream, coded_pictures, encode, requires_x265

from vidstega import hevc
from vidstega.carriers.signs import InSigns
from vidstega.errors import InputError
from vidstega.h264 import BitWriter
from vidstega.h264.bits import Bits
from vidstega.h264.nal import nals
from vidstega.hevc import References
from vidstega.hevc.references import LongTerm, Place, ShortTerm, read_short_term
from vidstega.hevc.scaling import DEFAULTS, chroma_qp, diagonal, factors, read_lists
from vidstega.hevc.slices import Sets, parse_header, refusal
from vidstega.hevc.walk import walk_picture
from vidstega.media.scan import scan as scan_file
from vidstega.media.source import IDR, NONREF

TRAIL_N, TRAIL_R, RASL_R, IDR_W, CRA = 0, 1, 9, 19, 21


def place(kind: int, poc_lsb: int, *, before: str = "", after: str = "", temporal: int = 0) -> Place:
    """A picture that lists these differences of order, those with ? as kept but not used."""
    told = [
        tuple((int(word.strip("?")), "?" not in word) for word in text.split()) for text in (before, after)
    ]
    return Place(kind, temporal, poc_lsb, 4, ShortTerm(*told))


def alone(*places: Place | None) -> list[int]:
    references = References()
    for number, one in enumerate(places):
        references.add(number, one)
    return sorted(references.alone)


def bits_of(text: str) -> Bits:
    return Bits(int(text.replace(" ", "").ljust(400, "0"), 2).to_bytes(50, "big"))


def ue(value: int) -> str:
    return BitWriter().ue(value).bits


# -- references -----------------------------------------------------------------------------------------


def test_a_picture_is_alone_if_no_later_one_lists_it_as_used() -> None:
    idr, p = place(IDR_W, 0), place(TRAIL_R, 4, before="-4")
    assert alone(idr, p) == [1]
    middle = place(TRAIL_R, 2, before="-2", after="2")
    assert alone(idr, p, middle) == [2]
    assert alone(idr, p, middle, place(TRAIL_R, 3, before="-1 -3", after="1")) == [3]
    kept = place(TRAIL_R, 3, before="-1? -3", after="1")
    assert alone(idr, p, middle, kept) == [2, 3]
    assert alone(idr, p, place(TRAIL_R, 8, before="-8"), place(TRAIL_R, 9, before="-1 -5")) == [1, 3]


def test_nothing_is_referred_to_across_an_idr_but_across_a_cra() -> None:
    first = [place(IDR_W, 0), place(TRAIL_R, 1, before="-1")]
    assert alone(*first, place(IDR_W, 0), place(TRAIL_R, 1, before="-1 -5")) == [1, 3]
    cra = place(CRA, 4, before="-3?")
    assert alone(*first, cra, place(RASL_R, 3, before="-2", after="1")) == [3]
    assert alone(cra) == []


def test_order_goes_on_where_its_low_bits_begin_anew() -> None:
    chain = [place(IDR_W, 0)]
    chain += [place(TRAIL_R, i % 16, before="-1") for i in range(1, 40)]
    assert alone(*chain) == [39]
    leading = place(RASL_R, 6, before="-6")
    assert alone(place(IDR_W, 0), leading, place(TRAIL_N, 8, before="-2")) == [2]


def test_long_term_pictures_are_named_by_all_of_their_order_or_its_low_bits() -> None:
    first, later = place(IDR_W, 0), place(TRAIL_R, 1, before="-1")
    for long in (LongTerm(1, False, True), LongTerm(1, True, True)):
        named = Place(TRAIL_R, 0, 3, 4, ShortTerm(), (long,))
        assert alone(first, later, named) == [2]
    unused = Place(TRAIL_R, 0, 3, 4, ShortTerm(), (LongTerm(1, False, False),))
    assert alone(first, later, unused) == [1, 2]


def test_a_picture_that_cannot_be_read_may_refer_to_all() -> None:
    first = [place(IDR_W, 0), place(TRAIL_R, 1, before="-1")]
    assert alone(*first, None) == []
    assert alone(*first, None, place(TRAIL_R, 2, before="-2")) == [3]


def test_a_set_told_by_another_is_the_one_meant() -> None:
    base = read_short_term(
        bits_of(ue(2) + ue(1) + ue(0) + "1" + ue(2) + "1" + ue(1) + "1"), 0, [], in_slice=False
    )
    assert base == ShortTerm(((-1, True), (-4, True)), ((2, True),))
    # one picture later in order: all differences fall by 1; the second is kept unused, the third is let go
    told = "1" + "1" + ue(0) + "1" + "01" + "00" + "1"
    found = read_short_term(bits_of(told), 1, [base], in_slice=False)
    assert found == ShortTerm(((-1, True), (-2, True), (-5, False)), ())
    for nonsense in ("1" + ue(3), "0" + ue(17) + ue(0)):
        with pytest.raises(InputError):
            read_short_term(bits_of(nonsense), 1, [base], in_slice=nonsense[0] == "1")


# -- scaling --------------------------------------------------------------------------------------------


def test_scaling_lists_are_told_copied_or_default() -> None:
    told = "1" + "".join(BitWriter().ue(n).bits for n in [1] + [0] * 15)  # 9 throughout
    rest = "0" + ue(1)  # the list before
    lists = read_lists(bits_of(told + 5 * rest + 14 * ("0" + ue(0))))
    assert lists[:6] == ((((9,) * 16), 16),) * 6 and lists[6:12] == DEFAULTS[6:12]
    table = factors(lists)
    assert (table[0, 0, :4, :4] == 9 / 16).all() and table[1, 0, 7, 7] == 115 / 16
    assert (factors(None) == 1).all() and table[3, 5, 31, 31] == 91 / 16
    assert diagonal(4)[:6] == [(0, 0), (0, 1), (1, 0), (0, 2), (1, 1), (2, 0)]


def test_chroma_is_quantized_more_finely_at_high_qp() -> None:
    luma = np.array([-12, 0, 29, 30, 35, 43, 51])
    assert chroma_qp(luma, 0, 2).tolist() == [-12, 0, 29, 29, 33, 37, 45]
    assert chroma_qp(luma, 12, 0).tolist() == [0, 12, 36, 37, 41, 49, 51]


# -- headers --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode(
        tmp_path_factory.mktemp("hevc") / "made.mp4", "bframes=4:b-pyramid=1:slices=2:open-gop=0", frames=24
    )


@requires_x265
def test_start_codes_tell_what_lengths_tell(made: Path, tmp_path: Path) -> None:
    scan = scan_file(made)
    units = list(nals(byte_stream(made), 0))
    sets = hevc.ParameterSets.parse(b"".join(b"\0\0\1" + nal for nal in units if hevc.is_set(nal)))
    assert sets.length_size == 0 and scan.sets.extra.length_size == 4
    assert Sets.parse(sets.sps, sets.pps) == Sets.parse(scan.sets.sps, scan.sets.pps)
    assert hevc.ParameterSets.parse(scan.sets.extra.extradata) == scan.sets.extra
    with pytest.raises(InputError):
        hevc.ParameterSets.parse(scan.sets.extra.extradata[:40])


@requires_x265
def test_parameter_sets_say_what_ffmpeg_says(made: Path) -> None:
    scan = scan_file(made)
    sps, pps = hevc.parse_sps(scan.sets.sps[0]), hevc.parse_pps(scan.sets.pps[0])
    width = sps.size[0] - 2 * (sps.crop[0] + sps.crop[1])
    assert (width, sps.size[1] - 2 * (sps.crop[2] + sps.crop[3])) == scan.size
    assert sps.bit_depth == (scan.depth, scan.depth) and refusal(sps, pps) is None
    assert pps.wavefront and pps.sign_hiding and pps.tiling is None


@requires_x265
def test_a_damaged_header_is_one_error(made: Path) -> None:
    scan, rng = scan_file(made), np.random.default_rng(2)
    sets = Sets.parse(scan.sets.sps, scan.sets.pps)
    first = next(nal for nal in nals(byte_stream(made), 0) if hevc.is_slice(nal))
    failed = 0
    for source, parse in ((scan.sets.sps[0], hevc.parse_sps), (scan.sets.pps[0], hevc.parse_pps)):
        for cut in range(2, len(source)):
            try:
                parse(source[:cut])
            except InputError:
                failed += 1
    for _ in range(200):
        hurt = bytearray(first[:40])
        hurt[rng.integers(2, 12)] ^= 1 << int(rng.integers(8))
        try:
            parse_header(bytes(hurt), sets)
        except InputError:
            failed += 1
    assert failed > 20


@requires_x265
def test_what_is_free_is_found_whatever_container(made: Path, tmp_path: Path) -> None:
    """With a pyramid some B-frames are referred to, and others are not; x265 says so in their NAL types."""
    scan = scan_file(made)
    free = scan.packets["flags"] & NONREF != 0
    kinds = [hevc.kind_of(nal) for nal in nals(byte_stream(made), 0) if hevc.is_slice(nal) and nal[2] & 0x80]
    unreferred = np.array([kind < 16 and kind % 2 == 0 for kind in kinds])
    assert free[unreferred].all() and 5 < unreferred.sum() <= free.sum() < len(free) - 5
    assert np.flatnonzero(scan.packets["flags"] & IDR).tolist() == [0, 12]
    other = tmp_path / "other.mkv"
    remux(made, other)
    again = scan_file(other)
    assert (again.packets["flags"] & NONREF == scan.packets["flags"] & NONREF).all()


def remux(source: Path, target: Path) -> None:
    with av.open(str(source)) as before, av.open(str(target), "w") as after:
        stream = after.add_stream_from_template(before.streams.video[0])
        for packet in before.demux(before.streams.video[0]):
            if packet.size:
                packet.stream = stream
                after.mux(packet)


@requires_x265
@pytest.mark.parametrize(
    ("pixels", "why"),
    [("yuv422p", "4:2:2"), ("yuv444p", "4:4:4"), ("gray", "gray"), ("yuv420p12le", "12 bits")],
)
def test_what_is_not_read_is_named(pixels: str, why: str, tmp_path: Path) -> None:
    if pixels not in {each.name for each in av.Codec("libx265", "w").video_formats}:
        pytest.skip(f"this libx265 does not code {pixels}")
    scan = scan_file(encode(tmp_path / "cover.mp4", pixels=pixels, frames=4, size=(96, 64)))
    assert why in str(InSigns().obstacle(scan))
    _, units, sets = next(coded_pictures(tmp_path / "cover.mp4"))
    assert why in walk_picture(units, sets).obstacle


@requires_x265
def test_other_kinds_of_coding_are_refused_by_what_the_sets_say(made: Path) -> None:
    scan = scan_file(made)
    sps, pps = hevc.parse_sps(scan.sets.sps[0]), hevc.parse_pps(scan.sets.pps[0])
    assert "fields" in str(refusal(replace(sps, fields=True), pps))
    assert "extensions" in str(refusal(sps, replace(pps, extended=True)))
    assert "different depths" in str(refusal(replace(sps, bit_depth=(8, 10)), pps))
    assert "larger" in str(refusal(replace(sps, size=(1 << 14, 1 << 14)), pps))
