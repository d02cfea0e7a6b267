"""Signs of residual coefficients in a coded picture, whichever codec coded it.

A codec gives two pure functions (`vidstega.h264.walk.walk_picture` and `vidstega.h264.walk.usable`);
what chooses among signs, codes a message into them and turns them stands on these types alone.
"""

from vidstega.residual.signs import CHROMA_AC, CHROMA_DC, LUMA_AC, LUMA_DC, Picture, Signs
from vidstega.residual.turn import Turned, turn

__all__ = ["CHROMA_AC", "CHROMA_DC", "LUMA_AC", "LUMA_DC", "Picture", "Signs", "Turned", "turn"]
