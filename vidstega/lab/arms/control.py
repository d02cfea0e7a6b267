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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from numpy.typing import NDArray

from vidstega.errors import CapacityError, InputError, OutputError, PayloadError
from vidstega.lab.arms.base import (
    MIB,
    Arm,
    Clock,
    Did,
    Job,
    MissingError,
    Planes,
    Task,
    same_payload,
)

Picture = NDArray[np.uint8]
"""Samples of shape (height, width, 3), blue first."""

_HEAD_BYTES = 8
_SALT_BYTES, _NONCE_BYTES, _TAG_BYTES = 16, 12, 16
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


def control_arm(name: str, about: str, look: Mapping[str, Any], guess_s: float, alone: str = "") -> Arm:
    """The arm "current" or a variant of it, "current+streaming" or "current+parallel"."""
    variant = name.partition("+")[2] or "read_all"
    return Arm(
        name=name,
        kind="control",
        about=about,
        hide=partial(_hide, variant),
        read=partial(_read, variant),
        needs=partial(_needs, variant),
        look=look,
        guess_s=guess_s,
        modules=("joblib",) if variant == "parallel" else (),
        frames=_planes,
        alone=alone,
    )


def _hide(variant: str, job: Job) -> Did:
    how: dict[str, Any] = {"variant": variant, "batch": job.batch, "workers": job.workers}
    return hide(Path(job.cover), Path(job.stego), job.message, job.key, fourcc=job.fourcc, **how)


def _read(variant: str, job: Job) -> str:
    batch = job.batch if variant == "streaming" else None
    return same_payload(job, recover(Path(job.stego), job.key, batch=batch))


def _needs(variant: str, task: Task) -> tuple[float, float]:
    """BGR frames that are held, ten times the payload (bytes, sealed, bits), OpenCV's decoder and encoder."""
    frame = 3 * task.width * task.height
    held = min(task.frames, task.batch) if variant == "streaming" else task.frames
    memory = 160 * MIB + frame * (held + 12) + 10 * task.payload_bytes
    if variant == "parallel":
        carrying = min(task.frames, 1 + 8 * task.payload_bytes // frame)
        memory += 80 * MIB * task.workers + frame * carrying
    return memory, 0.7 * frame * task.frames


def _planes(path: str) -> Iterator[tuple[Planes, int]]:
    with Reader(Path(path)) as reader:
        for frame in reader:
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
    """Hide a message as the study's application does, in one of its variants.

    Raises
    ------
    CapacityError
        If there are fewer samples than bits.
    """
    clock, at, total, used = Clock(), 0, 0, 0
    bits = np.unpackbits(np.frombuffer(_seal(message, key), np.uint8))
    clock.lap("seal")
    with Reader(cover) as reader, _Writer(stego, fourcc, reader) as writer:
        samples = 3 * reader.size[0] * reader.size[1]
        for frames in _batches(reader, batch if variant == "streaming" else None):
            clock.lap("decode")
            carrying = min(len(frames), -(-(len(bits) - at) // samples))
            todo = bits[at : at + carrying * samples]
            if variant == "parallel":
                frames[:carrying] = _embed_in_pool(frames[:carrying], todo, workers)
            else:
                for number in range(carrying):
                    embed_frame(frames[number], todo[number * samples :])
            at, used, total = at + len(todo), used + carrying, total + len(frames)
            clock.lap("embed")
            for frame in frames:
                writer.write(frame)
            frames.clear()  # or the next batch is read while this one is in memory
            clock.lap("encode")
        capacity = max(0, total * samples // 8 - OVERHEAD_BYTES)
        if at < len(bits):
            raise CapacityError(f"needs {len(bits):,} bits, capacity is {8 * capacity:,} bits")
    clock.lap("encode")
    return Did(
        stages=clock.seconds,
        frames=total,
        frames_coded=total,
        mode="re-write",
        reason=f"OpenCV writes every frame as {fourcc}, without sound",
        frames_used=used,
        sealed_bytes=len(bits) // 8,
        alpha=len(bits) / (used * samples),
        capacity_bytes=capacity,
    )


def embed_frame(frame: Picture, bits: Picture) -> Picture:
    """Replace the lowest bits of a frame's samples, in order, by as many of `bits` as fit; in place."""
    flat = frame.reshape(-1)
    count = min(len(bits), flat.size)
    flat[:count] &= 0xFE
    flat[:count] |= bits[:count]
    return frame


def _embed_in_pool(frames: Sequence[Picture], bits: Picture, workers: int) -> list[Picture]:
    import joblib

    if not frames:
        return []
    samples = frames[0].size
    tasks = (
        joblib.delayed(_embed_copy)(frame, bits[number * samples : (number + 1) * samples])
        for number, frame in enumerate(frames)
    )
    done: list[Picture] = joblib.Parallel(n_jobs=workers, backend="loky")(tasks)
    return done


def _embed_copy(frame: Picture, bits: Picture) -> Picture:
    return embed_frame(np.array(frame), bits)  # joblib hands large arrays over as read-only maps


# -- getting back ---------------------------------------------------------------------------------------


def recover(stego: Path, key: str, *, batch: int | None = None) -> bytes:
    """Read every frame back and take the message from it.

    Raises
    ------
    PayloadError
        If there is none.
    """
    with Reader(stego) as reader:
        parts: list[Picture] = []
        wanted, have = 8 * _HEAD_BYTES, 0
        for frames in _batches(reader, batch):
            for frame in frames:
                if have >= wanted:
                    break  # the rest was read, as the application does, and holds nothing
                parts.append(np.packbits(frame.reshape(-1) & 1))
                have += frame.size
                if len(parts) == 1:
                    wanted += 8 * int.from_bytes(parts[0][:_HEAD_BYTES].tobytes(), "big")
            frames.clear()
    data = b"".join(part.tobytes() for part in parts)
    return _unseal(data[_HEAD_BYTES : wanted // 8], key)


# -- OpenCV ---------------------------------------------------------------------------------------------


class Reader:
    """Frames of a video, one by one, as OpenCV gives them."""

    def __init__(self, path: Path) -> None:
        self._cv2 = load_opencv()
        self._capture = self._cv2.VideoCapture(str(path), self._cv2.CAP_FFMPEG)
        if not self._capture.isOpened():
            raise InputError(f"OpenCV cannot read {path}")
        self.size = (self._ask("FRAME_WIDTH"), self._ask("FRAME_HEIGHT"))
        self.fps = float(self._capture.get(self._cv2.CAP_PROP_FPS)) or 25.0

    def _ask(self, name: str) -> int:
        return int(self._capture.get(getattr(self._cv2, f"CAP_PROP_{name}")))

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._capture.release()

    def __iter__(self) -> Iterator[Picture]:
        while True:
            ok, frame = self._capture.read()
            if not ok:
                return
            yield frame


class _Writer:
    def __init__(self, path: Path, fourcc: str, like: Reader) -> None:
        cv2 = load_opencv()
        self._path = path
        code = cv2.VideoWriter_fourcc(*fourcc)
        self._writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, like.fps, like.size)
        if not self._writer.isOpened():
            raise OutputError(f"OpenCV cannot write {fourcc} to {path}")

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.release()

    def write(self, frame: Picture) -> None:
        self._writer.write(frame)


def _batches(frames: Iterable[Picture], size: int | None) -> Iterator[list[Picture]]:
    """Lists of `size` frames; all of them in one list if that is None."""
    source = iter(frames)
    while batch := list(islice(source, size)):
        yield batch


# -- sealing --------------------------------------------------------------------------------------------


def _seal(message: bytes, key: str) -> bytes:
    salt, nonce = secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_NONCE_BYTES)
    sealed = AESGCM(_derive(key, salt)).encrypt(nonce, message, None)
    size = len(salt) + len(nonce) + len(sealed)
    return b"".join(chain([size.to_bytes(_HEAD_BYTES, "big"), salt, nonce, sealed]))


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
