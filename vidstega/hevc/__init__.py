"""What vidstega reads of HEVC (ITU-T H.265, clause numbers in the code).

Read: parameter sets, slice segment headers, reference picture sets. `walk`, which reads slice data and needs
numba, is imported by those who want it. Bits and packagings are those of `h264`. No file is opened here.
"""

from vidstega.hevc.nal import (
    IRAP,
    NAL_PPS,
    NAL_SPS,
    RESETS,
    is_counted,
    is_of_layer,
    is_slice,
    kind_of,
    tells_hash,
)
from vidstega.hevc.references import References
from vidstega.hevc.sets import ParameterSets, is_set, parse_pps, parse_sps
from vidstega.hevc.slices import Sets, place_of
