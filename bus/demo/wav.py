"""WAV files in and out: 16-bit PCM and 32-bit float, mono and stereo.

The standard library's `wave` reads no float, nor (before Python 3.12) the extensible header that most programs write;
hence a reader of our own. Every length in the file is judged before it is believed.
"""

import os
import struct
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

FILE_BYTES_MAX: Final = 1024 * 1024 * 1024
_RATES: Final = range(1_000, 768_001)

_PCM: Final = 0x0001
_FLOAT: Final = 0x0003
_EXTENSIBLE: Final = 0xFFFE
_FORMAT: Final = struct.Struct("<HHIIHH")
# Behind the format's 16 bytes: size, valid bits, speakers; then a GUID whose first two bytes are the format proper.
_SUBFORMAT_AT: Final = 24
_CHUNK: Final = struct.Struct("<4sI")
# What a program writes that cannot go back and fill in the length.
_TO_THE_END: Final = 0xFFFF_FFFF
_FULL_SCALE: Final = 32768.0


class BadAudio(Exception):
    """A file that is no audio we can read; the text says why."""


class Clip(msgspec.Struct, frozen=True, eq=False):
    """A piece of audio: mono, float32, full scale is -1 to 1."""

    title: str
    sample_rate: int
    samples: NDArray[np.float32]

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / self.sample_rate


class _Format(msgspec.Struct, frozen=True):
    dtype: str
    channels: int
    sample_rate: int


def read_wav(path: Path) -> Clip:
    """The file as a clip; the channels of stereo are averaged. Raises BadAudio."""
    try:
        if os.stat(path).st_size > FILE_BYTES_MAX:
            raise BadAudio(f"{path}: more than {FILE_BYTES_MAX >> 20} MiB")
        data = path.read_bytes()
    except OSError as error:
        raise BadAudio(f"{path}: {error.strerror}") from None
    try:
        return Clip(path.name, *_parse(memoryview(data)))
    except BadAudio as error:
        raise BadAudio(f"{path}: {error}") from None


def write_wav(path: Path, clip: Clip, *, channels: int = 1, as_float: bool = False) -> None:
    """Writes the clip, the same on every channel."""
    samples = np.repeat(clip.samples, channels)
    if as_float:
        body = samples.astype("<f4").tobytes()
    else:
        body = np.clip(np.rint(samples * _FULL_SCALE), -_FULL_SCALE, _FULL_SCALE - 1).astype("<i2").tobytes()
    size = 4 if as_float else 2
    header = _FORMAT.pack(
        _FLOAT if as_float else _PCM,
        channels,
        clip.sample_rate,
        clip.sample_rate * channels * size,
        channels * size,
        size * 8,
    )
    chunks = _CHUNK.pack(b"fmt ", len(header)) + header + _CHUNK.pack(b"data", len(body)) + body
    path.write_bytes(_CHUNK.pack(b"RIFF", 4 + len(chunks)) + b"WAVE" + chunks)


def _parse(data: memoryview) -> tuple[int, NDArray[np.float32]]:
    if len(data) < 12 or bytes(data[:4]) != b"RIFF" or bytes(data[8:12]) != b"WAVE":
        raise BadAudio("not a WAV file")
    form: _Format | None = None
    at = 12
    while at + _CHUNK.size <= len(data):
        name, size = _CHUNK.unpack_from(data, at)
        at += _CHUNK.size
        if name == b"data" and size == _TO_THE_END:
            size = len(data) - at
        if size > len(data) - at:
            raise BadAudio(
                f"cut off: its {name.decode('latin-1').strip()!r} chunk has {len(data) - at} of {size} bytes"
            )
        chunk = data[at : at + size]
        if name == b"fmt ":
            form = _read_format(chunk)
        elif name == b"data":
            if form is None:
                raise BadAudio("the samples come before their format")
            return form.sample_rate, _read_samples(chunk, form)
        at += size + size % 2
    raise BadAudio("no samples in it")


def _read_format(chunk: memoryview) -> _Format:
    if len(chunk) < _FORMAT.size:
        raise BadAudio(f"a format of {len(chunk)} bytes, not {_FORMAT.size} or more")
    tag, channels, rate, _, frame_bytes, bits = _FORMAT.unpack_from(chunk)
    if tag == _EXTENSIBLE:
        if len(chunk) < _SUBFORMAT_AT + 2:
            raise BadAudio("an extensible format that ends early")
        (tag,) = struct.unpack_from("<H", chunk, _SUBFORMAT_AT)
    dtype = {(_PCM, 16): "<i2", (_FLOAT, 32): "<f4"}.get((tag, bits))
    if dtype is None:
        raise BadAudio(f"{bits}-bit samples of format {tag}; only 16-bit PCM and 32-bit float are read")
    if channels not in (1, 2):
        raise BadAudio(f"{channels} channels; only mono and stereo are read")
    if rate not in _RATES:
        raise BadAudio(f"{rate} samples per second are not {_RATES.start} to {_RATES.stop - 1}")
    if frame_bytes != channels * bits // 8:
        raise BadAudio(f"{frame_bytes} bytes for {channels} samples of {bits} bits")
    return _Format(dtype, channels, rate)


def _read_samples(chunk: memoryview, form: _Format) -> NDArray[np.float32]:
    frame_bytes = np.dtype(form.dtype).itemsize * form.channels
    if not len(chunk):
        raise BadAudio("no samples in it")
    if len(chunk) % frame_bytes:
        raise BadAudio(f"{len(chunk)} bytes of samples are no whole number of {frame_bytes}-byte frames")
    samples = np.frombuffer(chunk, form.dtype).astype(np.float32)
    if form.dtype == "<i2":
        samples /= np.float32(_FULL_SCALE)
    elif not np.isfinite(samples).all():
        raise BadAudio("some of its samples are no finite numbers")
    if form.channels == 2:
        samples = samples.reshape(-1, 2).mean(axis=1, dtype=np.float32)
    return samples
