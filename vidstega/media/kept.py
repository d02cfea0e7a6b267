"""Whether a copy says of itself what its cover says: all that a player reads is kept, or is named."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

from vidstega.media.describe import Description, Traits, accompanies, describe_file, light
from vidstega.media.source import Scan, StreamInfo

_A_FILES_OWN = {
    "major_brand",
    "minor_version",
    "compatible_brands",
    "encoder",
    "handler_name",
    "vendor_id",
    "duration",
    "creation_time",
    "timecode",
    "metadatacreator",
    "hasmetadata",
    "hasvideo",
    "hasaudio",
    "cuepoints",
    "canseektoend",
    "bps",
    "number_of_frames",
    "number_of_bytes",
}
"""Tags that describe a file rather than its content; containers write their own."""
_SLACK_S = 0.002
_DURATION_SLACK_S = 0.1


def differences(cover: Scan, stego: Scan, *, copied: bool, left_out: Iterable[int] = ()) -> list[str]:
    """What the stego file does not say or hold as its cover does, a line each.

    Parameters
    ----------
    cover, stego : scans with digests
    copied : whether packets of the carrying stream were copied
    left_out : streams of the cover that are known not to be there, and are named elsewhere
    """
    as_it_was = copied and stego.format == cover.format
    decode = not (as_it_was and stego.sets.sps == cover.sets.sps)
    before, after = describe_file(cover, decode=decode), describe_file(stego, decode=decode)
    notes = []
    for info, there in _pairs(cover, stego, set(left_out)):
        if there is not None:
            who = "the video" if info.carries else f"stream {info}"
            coded = {"codec"} if info.carries and not copied else set()
            texts = _differs(before.streams[info.index], after.streams[there], coded)
            notes += [f"{who}: {text}" for text in texts]
            notes += [f"{who}: {text}" for text in _moved(cover, stego, info.index, there)]
        elif not _travels_otherwise(info, before, after):
            notes.append(f"stream {info}: not carried over as it was")
    return notes + _of_the_file(before, after) + ([] if as_it_was else _of_the_frames(cover, stego))


def _pairs(cover: Scan, stego: Scan, left_out: set[int]) -> Iterator[tuple[StreamInfo, int | None]]:
    """Each stream of the cover with the one that has its packets."""
    free = dict(stego.digests)
    for info in cover.streams:
        if info.carries:
            yield info, stego.index
        elif info.index in cover.digests and info.index not in left_out:
            digest = cover.digests[info.index]
            there = next((index for index, other in free.items() if other == digest), None)
            if there is not None:
                del free[there]
            yield info, there


def _travels_otherwise(info: StreamInfo, before: Description, after: Description) -> bool:
    """Chapters and attachments are no packets, and cover art may be an attachment."""
    if info.kind == "attachment":
        return True  # compared as such
    return bool(info.kind == "data" and info.codec == "bin_data" and before.chapters and after.chapters)


def _differs(told: Traits, tells: Traits, coded: set[str]) -> Iterator[str]:
    """In words, how one description differs from another, but for what coding anew changes."""
    yield from _lost_tags("tag", told["tags"], tells["tags"])
    for mark in told["dispositions"] & ~tells["dispositions"]:
        yield f"the mark {mark.name} is not carried"
    for name in sorted((told.keys() | tells.keys()) - {"tags", "dispositions", "duration"} - coded):
        if told.get(name) != tells.get(name):
            yield _change(name, told.get(name), tells.get(name))
    lasted, lasts = told.get("duration"), tells.get("duration")
    if lasted is not None and lasts is not None and abs(lasts - lasted) > _DURATION_SLACK_S:
        yield f"the duration is {lasts:.3f} s, it was {lasted:.3f} s"


def _change(name: str, before: object, after: object) -> str:
    if after is None:
        return f"the {name} is not carried"
    if isinstance(before, bytes | tuple) or isinstance(after, bytes | tuple):
        return f"the {name} is another"
    return f"the {name} is {after}, it was {'not said' if before is None else before}"


def _lost_tags(what: str, before: dict[str, str], after: dict[str, str]) -> list[str]:
    kept = {key.lower(): value for key, value in after.items()}
    said = {key: value for key, value in before.items() if key[:1] != "_" and value != "und"}
    said = {key: value for key, value in said.items() if key.lower() not in _A_FILES_OWN}
    lost = sorted(key for key in said if key.lower() not in kept)
    changed = sorted(key for key in said if not _alike(kept.get(key.lower(), said[key]), said[key]))
    notes = [f"{what} {', '.join(lost)} cannot be carried"] if lost else []
    return notes + [f"{what} {key} reads {kept[key.lower()]!r}, it was {said[key]!r}" for key in changed]


def _alike(one: str, other: str) -> bool:
    """Whether two tags say the same; MP4 writes the figures of a place at full length."""
    return one == other or one.replace("0", "") == other.replace("0", "")


def _moved(cover: Scan, stego: Scan, index: int, there: int) -> Iterator[str]:
    """How much later another stream starts or ends than it did, as seen from the video."""
    if index not in cover.extents or there not in stego.extents:
        return
    for what, before, after in zip(
        ("starts", "ends"), cover.extents[index], stego.extents[there], strict=True
    ):
        later = float((after - _start(stego)) - (before - _start(cover)))
        if abs(later) > (_SLACK_S if what == "starts" else _DURATION_SLACK_S):  # PCM is cut up anew
            yield f"it {what} {later:+.3f} s later than it did, as seen from the video"


def _start(scan: Scan) -> Fraction:
    return int(scan.pts[0]) * Fraction(scan.source.time_base)


def _of_the_file(before: Description, after: Description) -> list[str]:
    notes = _lost_tags("tag", before.tags, after.tags)
    if len(before.chapters) != len(after.chapters):
        notes.append(f"{len(after.chapters)} of {len(before.chapters)} chapters are carried")
    elif any(_differ(ours, theirs) for ours, theirs in zip(after.chapters, before.chapters, strict=True)):
        notes.append("chapters have other titles or times")
    lost = [name for name, data in before.attachments if data not in dict(after.attachments).values()]
    return notes + [f"the attachment {name} is not carried" for name in lost]


def _differ(ours: tuple[float, str], theirs: tuple[float, str]) -> bool:
    return ours[1] != theirs[1] or abs(ours[0] - theirs[0]) > _SLACK_S


def _of_the_frames(cover: Scan, stego: Scan) -> list[str]:
    """What came along with the frames, where it is not in packets that were copied."""
    lost = accompanies(cover) - accompanies(stego)
    before, after = light(cover), light(stego)
    lost |= {"mastering display"} if before.mastering != after.mastering else set()
    lost |= {"light level"} if before.content != after.content else set()
    return [f"{name} of the frames is not carried" for name in sorted(lost)]
