"""A message that survives being coded again: means of cells of the picture over slots of time.

The carrier is scalar quantisation index modulation (B. Chen, G. Wornell, "Quantization Index Modulation",
IEEE Trans. Information Theory 47(4), 2001) of the mean luma of a cell, weighted by a half sine wave both
ways, over a slot of time. Whoever reads needs file and key alone.

    levels   which sizes of cells and slots there are, and the coarsest that holds a message
    grid     cells of a picture: project (mean luma), add (change it), the active picture of a letterbox
    slots    frames to slots by display time, for writer and reader alike
    keyed    what the key decides: pilots, data, dither, order
    write    one segment in two passes: project, then add
    sync     where in time, at which level, step and grid a message lies
    soft     how much each cell can be believed
    read     frames in, message out
    choose   how strong, by trying

Nothing here opens a file: it is numbers over planes and times.
"""
