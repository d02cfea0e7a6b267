"""The few bits of H.264 that vidstega reads and writes itself (ITU-T H.264, clause numbers in the code).

Read: parameter sets, slice headers, NAL units in both packagings. Written: one small picture parameter
set, and pictures made of I_PCM macroblocks. `walk`, which reads slice data and needs numba, is imported by
those who want it. No file is opened here.
"""

from vidstega.h264.bits import Bits, BitWriter, escape, unescape
from vidstega.h264.nal import (
    NAL_IDR,
    NAL_PPS,
    NAL_SEI,
    NAL_SPS,
    SLICE_HEAD,
    captions_of,
    nals,
    pack,
    places,
    recovers_at_once,
    until_picture,
)
from vidstega.h264.pictures import Field, Moment, PCMWriter, field_of, is_reference, moment_of
from vidstega.h264.sets import (
    PPS,
    SPS,
    ParameterSets,
    parse_pps,
    parse_sps,
    write_pps,
)
