"""Carrying in the signs of coefficients that are already there: some bits change in place, nothing grows.

What it asks of a codec (`codecs`), which pictures (`tiers`), which signs (`walks`), where header and message
lie among them (`layout`), what a change costs (`cost`), and the family itself. How it lies in a file, version
1, frozen by ``tests/golden/signs.json`` and, for HEVC, ``signs_hevc.json`` beside it:

List of pictures in H.264
    First (A) those that no picture is predicted from (nal_ref_idc 0), in the order of the file. Then (B) the
    last one before each IDR picture or the end, then (C) the last but one of each, and so on up to the
    eighth, as long as the pictures from there on are shown in the order they are coded in, later than all
    before them, and are none of A nor an IDR. The list ends before the picture with which its usable signs
    would be more than 2^21. A picture that cannot be read counts as one without signs.
List of pictures in HEVC
    First (A) those that no later picture lists as used in its reference picture set, IDR, BLA and CRA
    pictures left out; a picture whose header cannot be read lists all that are held. B holds no signs, as the
    last picture before an IDR or BLA picture or the end is one of A, if it has any; then (C) the last but
    one, and so on, as in H.264.
Carriers
    The usable signs of each picture in coding order (`residual`, `h264.walk.usable`, `hevc.walk.usable`), 1
    for negative.
Label of the short seal (`seal.short`)
    SHA-256 of the slice NAL units of the first picture that is not in the list (in HEVC those of the base
    layer), then of the sizes (u32, big-endian) of those of the pictures that hold the header; trailing zero
    bytes do not count.
Header
    Lies in the first pictures of the list that have 6,144 usable signs together, or all of them: in a sixth
    of those signs, 1,024 at the most and 192 at the least, the first in the order of 8-byte big-endian
    numbers drawn for each from the keystream "head". Syndrome-trellis code (`coding.stc`) of 48 bits, most
    significant first: number of pictures in use u20, bytes of the sealed message u16, zeros; XORed with
    six bytes of the keystream "header".
Message
    All other usable signs of the pictures in use, in the order of numbers drawn from the keystream "message";
    the same code.

Keystreams are under the short seal's key of the carrier.
"""

from vidstega.carriers.signs.family import InSigns

__all__ = ["InSigns"]
