"""The study's present system, kept as control arm: every frame read, every frame written again.

OpenCV's VideoCapture reads frames as BGR samples, NumPy replaces lowest bits in order from the first
sample of the first frame on, OpenCV's VideoWriter writes all frames again, and the sound is lost. What
the study's application got wrong is put right, so that the comparison is fair: the file is written in the
fastest lossless codec that OpenCV reads back exactly (found by trial, `pick_codec`), and the message can
be read back. Three variants tell the study's proposals apart: ``read_all`` (all frames in a list),
``streaming`` (in batches), ``parallel`` (the list's carrying frames handed to a joblib process pool).

The message is sealed with scrypt and AES-256-GCM, as vidstega's payloads are, so that sealing costs the
same in every arm. Only the lab imports this module.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from numpy.typing import NDArray

from vidstega.clock import Clock
from vidstega.errors import CapacityError, InputError, OutputError, PayloadError
from vidstega.lab.arms.base import MIB, Arm, Did, Job, MissingError, same_payload
from vidstega.lab.quality import Planes

Picture = NDArray[np.uint8]
"""Samples of shape (height, width, 3), blue first."""

_HEAD_BYTES = 8
_SALT_BYTES, _NONCE_BYTES, _TAG_BYTES = 16, 12, 16
_WIDTH, _HEIGHT, _FPS = 3, 4, 5  # cv2.CAP_PROP_FRAME_WIDTH, CAP_PROP_FRAME_HEIGHT, CAP_PROP_FPS
OVERHEAD_BYTES = _HEAD_BYTES + _SALT_BYTES + _NONCE_BYTES + _TAG_BYTES


def load_opencv() -> Any:
    """Import OpenCV; MissingError in one line if that cannot be."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET
    try:
        import cv2
    except ModuleNotFoundError:
        raise MissingError(
            "the control arm needs OpenCV, which is not installed: pip install 'vidstega[notebooks]'"
        ) from None
    except ImportError as error:
        raise MissingError(
            f"OpenCV cannot be loaded ({error}); install its system libraries, e.g. "
            "apt-get install libgl1 libglib2.0-0, or pip install opencv-python-headless"
        ) from None
    return cv2


# -- the arms -------------------------------------------------------------------------------------------


def control_arm(name: str, look: Mapping[str, Any], alone: str = "") -> Arm:
    """The arm "current" or a variant of it, "current+streaming" or "current+parallel"."""
    variant = name.partition("+")[2] or "read_all"

    def hide_job(job: Job) -> Did:
        how: dict[str, Any] = {"variant": variant, "batch": job.batch, "workers": job.workers}
        return hide(Path(job.cover), Path(job.stego), job.message, job.key, fourcc=job.fourcc, **how)

    def read(job: Job) -> str:
        batch = job.batch if variant == "streaming" else None
        return same_payload(job, recover(Path(job.stego), job.key, batch=batch))

    def needs(job: Job) -> tuple[float, float]:
        """BGR frames that are held, ten times the payload (bytes, sealed, bits), decoder and encoder."""
        frame, payload = 3 * job.pixels, job.payload_bytes
        held = min(job.frames, job.batch) if variant == "streaming" else job.frames
        memory = 160 * MIB + frame * (held + 12) + 10 * payload
        if variant == "parallel":
            memory += 80 * MIB * job.workers + frame * min(job.frames, 1 + 8 * payload // frame)
        return memory, 0.7 * frame * job.frames

    return Arm(name, "control", look, hide_job, read, needs, _planes, alone)


def _planes(path: str) -> Iterator[tuple[Planes, int]]:
    for frame in pictures(open_video(Path(path))):
        yield tuple(frame[..., channel] for channel in range(3)), 8


# -- hiding ---------------------------------------------------------------------------------------------


def hide(
    cover: Path,
    stego: Path,
    message: bytes,
    key: str,
    *,
    fourcc: str,
    variant: str = "read_all",
    batch: int = 10,
    workers: int = 1,
) -> Did:
    """Hide a message as the study's application does: "read_all", "streaming" or "parallel".

    Raises
    ------
    CapacityError
        If there are fewer samples than bits.
    """
    clock, at, total, used = Clock(), 0, 0, 0
    bits = np.unpackbits(np.frombuffer(_seal(message, key), np.uint8))
    clock.lap("seal")
    source = open_video(cover)
    size = (int(source.get(_WIDTH)), int(source.get(_HEIGHT)))
    writer = open_writer(stego, fourcc, source.get(_FPS) or 25.0, size)
    samples = 3 * size[0] * size[1]
    for frames in _batches(pictures(source), batch if variant == "streaming" else None):
        clock.lap("decode")
        carrying = min(len(frames), -(-(len(bits) - at) // samples))
        todo = [bits[at + k * samples : at + (k + 1) * samples] for k in range(carrying)]
        if variant == "parallel":
            frames[:carrying] = _embed_in_pool(frames[:carrying], todo, workers)
        else:
            for frame, some in zip(frames, todo, strict=False):
                embed_frame(frame, some)
        at, used, total = at + sum(map(len, todo)), used + carrying, total + len(frames)
        clock.lap("embed")
        for frame in frames:
            writer.write(frame)
        frames.clear()  # or the next batch is read while this one is in memory
        clock.lap("encode")
    capacity = max(0, total * samples // 8 - OVERHEAD_BYTES)
    if at < len(bits):
        raise CapacityError(f"needs {len(bits):,} bits, capacity is {8 * capacity:,} bits")
    writer.release()
    clock.lap("encode")
    return Did(
        stages=clock.seconds,
        frames=total,
        frames_coded=total,
        mode="re-write",
        reason=f"OpenCV writes every frame as {fourcc}, without sound",
        frames_used=used,
        encrypted_size=len(bits) // 8,
        alpha=len(bits) / (used * samples),
        capacity_bytes=capacity,
    )


def embed_frame(frame: Picture, bits: Picture) -> Picture:
    """Replace the lowest bits of a frame's first samples by `bits`, in place."""
    first = frame.reshape(-1)[: len(bits)]
    first &= 0xFE
    first |= bits
    return frame


def _embed_in_pool(frames: list[Picture], bits: list[Picture], workers: int) -> list[Picture]:
    """joblib hands large arrays over as read-only maps, so each process makes a copy."""
    tasks = (joblib.delayed(_embed_copy)(*task) for task in zip(frames, bits, strict=True))
    done: list[Picture] = joblib.Parallel(n_jobs=workers, backend="loky")(tasks) if frames else []
    return done


def _embed_copy(frame: Picture, bits: Picture) -> Picture:
    return embed_frame(np.array(frame), bits)


# -- getting back ---------------------------------------------------------------------------------------


def recover(stego: Path, key: str, *, batch: int | None = None) -> bytes:
    """Read every frame back and take the message from it.

    Raises
    ------
    PayloadError
        If there is none.
    """
    data, wanted = bytearray(), _HEAD_BYTES
    for frames in _batches(pictures(open_video(stego)), batch):
        for frame in frames:
            if len(data) >= wanted:
                break  # the rest was read, as the application does, and holds nothing
            data += np.packbits(frame.reshape(-1) & 1).tobytes()
            wanted = _HEAD_BYTES + int.from_bytes(data[:_HEAD_BYTES], "big")
        frames.clear()
    return _unseal(bytes(data[_HEAD_BYTES:wanted]), key)


# -- OpenCV ---------------------------------------------------------------------------------------------


def open_video(path: Path) -> Any:
    """OpenCV's reader of a video; InputError if it cannot read it."""
    cv2 = load_opencv()
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    if not capture.isOpened():
        raise InputError(f"OpenCV cannot read {path}")
    return capture


def pictures(capture: Any) -> Iterator[Picture]:
    """The frames that a reader gives, one by one."""
    while True:
        ok, frame = capture.read()
        if not ok:
            return
        yield frame


def open_writer(path: Path, fourcc: str, fps: float, size: tuple[int, int]) -> Any:
    """OpenCV's writer of a video of (width, height) pixels, to be released in the end."""
    cv2 = load_opencv()
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*fourcc), fps, size)
    if not writer.isOpened():
        raise OutputError(f"OpenCV cannot write {fourcc} to {path}")
    return writer


def _batches(frames: Iterator[Picture], size: int | None) -> Iterator[list[Picture]]:
    """Lists of `size` frames; all of them in one list if that is None."""
    while batch := list(islice(frames, size)):
        yield batch


# -- sealing --------------------------------------------------------------------------------------------


def _seal(message: bytes, key: str) -> bytes:
    salt, nonce = secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_NONCE_BYTES)
    sealed = AESGCM(_derive(key, salt)).encrypt(nonce, message, None)
    size = len(salt) + len(nonce) + len(sealed)
    return b"".join((size.to_bytes(_HEAD_BYTES, "big"), salt, nonce, sealed))


def _unseal(data: bytes, key: str) -> bytes:
    salt, nonce = data[:_SALT_BYTES], data[_SALT_BYTES : _SALT_BYTES + _NONCE_BYTES]
    if len(data) < OVERHEAD_BYTES - _HEAD_BYTES:
        raise PayloadError
    try:
        return AESGCM(_derive(key, salt)).decrypt(nonce, data[_SALT_BYTES + _NONCE_BYTES :], None)
    except InvalidTag:
        raise PayloadError from None


def _derive(key: str, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, n=1 << 15, r=8, p=1).derive(key.encode())
