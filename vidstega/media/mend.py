"""Putting right in a written file what libav's muxers were not told or do not know.

An MP4's header is its last box and is written anew; a Matroska track's description stays in its place,
which was made large enough by a long name.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vidstega.media import boxes, ebml
from vidstega.media.boxes import Box
from vidstega.media.likeness import ISO, besides_coding, liken
from vidstega.media.tracks import MUXERS, Added

_OF_COPIES = (b"dvcC", b"dvvC", b"dvwC", b"vexu", b"hfov", b"lhvC", b"SA3D", b"SAND", b"chnl", b"dmix")
"""What a sample description tells of packets that are copied: Dolby Vision, two views, a field of sound."""
_AROUND = (b"tapt", b"uuid")
"""What a track has beside its media: QuickTime's apertures, the first kind of spherical description."""
_OF_THE_MUXER = (b"meta", b"chpl", b"name", b"titl", b"hnti", b"hinf", b"loci")


def mend(target: Path, added: Sequence[Added], movie: Box | None) -> None:
    """Let the tracks of a finished file be described as they were.

    Parameters
    ----------
    movie : the header of the file they come from, if it is an MP4
    """
    muxer = MUXERS[target.suffix.lower()]
    if muxer in ISO:
        _mend_movie(target, added, movie)
    elif muxer in ("matroska", "webm") and any(one.entry or one.aspect for one in added):
        _mend_matroska(target, added)


def _mend_movie(target: Path, added: Sequence[Added], source: Box | None) -> None:
    movie = boxes.read_movie(target)
    if movie is None:
        return
    written = {boxes.track_id(track): track for track in boxes.tracks(movie)}
    pairs = [(written[one.number + 1], one) for one in added if one.number + 1 in written and one.track]
    same_kind = boxes.is_quicktime(target)
    numbers = {boxes.track_id(one.track): boxes.track_id(track) for track, one in pairs if one.track}
    for track, one in pairs:
        assert one.track is not None
        _mend_track(track, one, one.track, same_kind == one.quicktime)
        _refer(track, one.track, numbers)
        if source is not None and one.kind != "video":
            _end_as(track, movie, one.track, source)
    if source is not None:
        boxes.end_with_tracks(movie)
        _add_user_data(movie, source)
    boxes.write_movie(target, movie)


def _mend_track(track: Box, added: Added, like: Box, same_kind: bool) -> None:
    liken(track, like, ())
    _add(track, [box for box in like.children if box.kind in _AROUND])
    if added.role == "opaque":
        _describe_as(track, like)
        return
    kinds = besides_coding(like) if added.role == "coded" else besides_coding(like) + _OF_COPIES
    wanted = [kind for kind in kinds if same_kind or kind != b"colr"]
    for entry, model in zip(boxes.sample_entries(track), boxes.sample_entries(like), strict=False):
        _choose_stereo(entry, model)
        _add(entry, [box for box in model.children if box.kind in wanted])


def _choose_stereo(entry: Box, model: Box) -> None:
    """Of the two ways to tell stereo libav writes both, but reads no file that has both."""
    if model.get(b"st3d") or model.get(b"sv3d") or not model.get(b"vexu"):
        entry.drop(b"vexu")


def _end_as(track: Box, movie: Box, like: Box, source: Box) -> None:
    """An edit list may end a track within its last samples, which libav copies whole."""
    scale, before = boxes.timescale(movie), boxes.timescale(source)
    if scale and before and boxes.edited(like):
        excess = boxes.edited(track) - boxes.edited(like) * scale // before
        if excess > 0:
            boxes.shorten(track, excess)


def _describe_as(track: Box, like: Box) -> None:
    """Give a track another's handler, media header and sample descriptions, byte by byte."""
    media, samples = track.get(b"mdia"), track.get(b"mdia", b"minf", b"stbl")
    handler, described = like.get(b"mdia", b"hdlr"), like.get(b"mdia", b"minf", b"stbl", b"stsd")
    if media is None or samples is None or handler is None or described is None:
        return
    media.put(handler)
    samples.put(described)
    information, header = media.get(b"minf"), boxes.media_header(like)
    if information is not None and header is not None:
        information.drop(*boxes.MEDIA_HEADERS)
        information.children.insert(0, header)


def _add(box: Box, others: Sequence[Box]) -> None:
    """Add boxes of kinds that are not there yet."""
    there = {child.kind for child in box.children}
    box.children += [other for other in others if other.kind not in there]


def _refer(track: Box, like: Box, numbers: dict[int, int]) -> None:
    """Let a track refer to the tracks that it referred to; those of chapters the muxer makes."""
    told = like.get(b"tref")
    if told is None:
        return
    kept = track.get(b"tref") or Box(b"tref")
    new = [_numbered(box, numbers) for box in told.children if box.kind != b"chap"]
    _add(kept, [box for box in new if box.data])
    if kept.children:
        track.put(kept)


def _numbered(reference: Box, numbers: dict[int, int]) -> Box:
    data = reference.data
    old = [int.from_bytes(data[at : at + 4], "big") for at in range(0, len(data) - 3, 4)]
    return Box(reference.kind, b"".join(numbers[n].to_bytes(4, "big") for n in old if n in numbers))


def _add_user_data(movie: Box, source: Box) -> None:
    """What cameras keep beside the tags that libav knows: highlights, lens, settings."""
    told = source.get(b"udta")
    if told is None:
        return
    kept = movie.get(b"udta") or Box(b"udta")
    known = (*_OF_THE_MUXER, b"free", b"skip")
    _add(kept, [box for box in told.children if box.kind not in known and box.kind[:1] != b"\xa9"])
    if kept.children:
        movie.put(kept)


_SIDE_BY_SIDE, _TOP_AND_BOTTOM = (1, 8, 9, 11), (2, 3, 6, 7)
"""Ways to put two eyes' pictures into one, by Matroska's numbers."""


# -- Matroska -------------------------------------------------------------------------------------------


def _mend_matroska(target: Path, added: Sequence[Added]) -> None:
    tracks = ebml.read_tracks(target)
    if tracks is None:
        return
    ordered = sorted((one for one in added if one.kind != "attachment"), key=lambda one: one.number)
    for entry, one in zip(tracks.entries, ordered, strict=False):
        if one.entry or one.aspect:
            entry[:] = _mended(entry, one)
    ebml.write_tracks(target, tracks)


def _mended(entry: ebml.Elements, one: Added) -> ebml.Elements:
    told = ebml.without(one.entry, ebml.NUMBER, ebml.UID, ebml.NAME, ebml.ENCODINGS)
    kept = ebml.without(entry, ebml.NAME, *(name for name, _ in told)) + told
    if one.title:
        kept.append((ebml.NAME, one.title.encode()))
    if one.aspect:
        video = ebml.parse(ebml.get(kept, ebml.VIDEO))
        shape = ebml.pack(_shaped(video, one))
        kept = [(name, shape if name == ebml.VIDEO else content) for name, content in kept]
    return kept


def _shaped(video: ebml.Elements, one: Added) -> ebml.Elements:
    """The description of a picture with the size it is shown at: what is left of it by a crop, of one eye."""
    told = {name: int.from_bytes(content, "big") for name, content in video if len(content) < 9}
    width, height = (
        size - sum(told.get(name, 0) for name in sides)
        for size, sides in zip(one.size, (ebml.CROP_WIDTH, ebml.CROP_HEIGHT), strict=True)
    )
    mode = told.get(ebml.STEREO, 0)
    across, down = 2 if mode in _SIDE_BY_SIDE else 1, 2 if mode in _TOP_AND_BOTTOM else 1
    shown = (
        (ebml.DISPLAY_WIDTH, round(width * (one.aspect or 1) / across)),
        (ebml.DISPLAY_HEIGHT, height // down),
    )
    kept = ebml.without(video, ebml.DISPLAY_WIDTH, ebml.DISPLAY_HEIGHT, ebml.DISPLAY_UNIT)
    return kept + [(name, ebml.number(value)) for name, value in shown]
