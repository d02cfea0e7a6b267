"""Everything that touches PyAV: opening, scanning, decoding, coding, muxing and comparing videos."""
