"""Covers: seeded synthetic videos (`synth`, `scene`), and your own, alone or in folders (`files`)."""

from vidstega.lab.covers.scene import cover_frames
from vidstega.lab.covers.synth import make_cover

__all__ = ["cover_frames", "make_cover"]
