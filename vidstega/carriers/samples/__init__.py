"""Carrying in planes of samples: raw pictures spliced into an H.264 stream, or a lossless transcode."""

from vidstega.carriers.samples.family import Samples

__all__ = ["Samples"]
