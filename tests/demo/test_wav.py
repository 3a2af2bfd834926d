"""WAV files, good and bad."""

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hootbus.bus.demo.wav import BadAudio, Clip, read_wav, write_wav

RAMP = np.linspace(-1.0, 1.0, 1001, dtype=np.float32)


def chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def wav(*chunks: bytes) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def form(tag: int = 1, channels: int = 1, rate: int = 44_100, bits: int = 16, more: bytes = b"") -> bytes:
    size = channels * bits // 8
    return chunk(b"fmt ", struct.pack("<HHIIHH", tag, channels, rate, rate * size, size, bits) + more)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "clip.wav"


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("as_float", [False, True])
def test_what_is_written_is_read(file: Path, channels: int, as_float: bool) -> None:
    write_wav(file, Clip("ramp", 8_000, RAMP), channels=channels, as_float=as_float)
    clip = read_wav(file)
    assert (clip.title, clip.sample_rate, clip.samples.dtype.str) == ("clip.wav", 8_000, "<f4")
    np.testing.assert_allclose(clip.samples, RAMP, atol=0.0 if as_float else 1 / 32768)


def test_the_channels_of_stereo_are_averaged(file: Path) -> None:
    file.write_bytes(wav(form(tag=3, channels=2, bits=32), chunk(b"data", struct.pack("<4f", 1.0, 0.0, -0.5, -0.5))))
    assert read_wav(file).samples.tolist() == [0.5, -0.5]


def test_the_extensible_header_and_unknown_chunks_are_read(file: Path) -> None:
    extension = struct.pack("<HHI", 22, 16, 4) + struct.pack("<H", 1) + bytes(14)
    file.write_bytes(
        wav(chunk(b"LIST", b"odd"), form(tag=0xFFFE, more=extension), chunk(b"data", struct.pack("<h", 16384)))
    )
    assert read_wav(file).samples.tolist() == [0.5]


def test_samples_to_the_end_of_the_file_are_read(file: Path) -> None:
    file.write_bytes(wav(form()) + b"data\xff\xff\xff\xff" + struct.pack("<2h", 16384, -16384))
    assert read_wav(file).samples.tolist() == [0.5, -0.5]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a WAV file"),
        (b"ID3 is what an MP3 begins with", "not a WAV file"),
        (wav(), "no samples"),
        (wav(form()), "no samples"),
        (wav(form(), chunk(b"data", b"")), "no samples"),
        (wav(chunk(b"data", b"\0\0"), form()), "before their format"),
        (wav(chunk(b"fmt ", b"short")), "a format of 5 bytes"),
        (wav(form(bits=24), chunk(b"data", b"\0" * 6)), "24-bit samples"),
        (wav(form(tag=2, bits=4), chunk(b"data", b"\0")), "4-bit samples of format 2"),
        (wav(form(channels=6), chunk(b"data", b"\0" * 12)), "6 channels"),
        (wav(form(channels=0), chunk(b"data", b"\0\0")), "0 channels"),
        (wav(form(rate=0), chunk(b"data", b"\0\0")), "0 samples per second"),
        (wav(form(), chunk(b"data", b"\0\0\0")), "no whole number"),
        (wav(form(), b"data\x00\x01\x00\x00\0\0"), "cut off: its 'data' chunk has 2 of 256 bytes"),
        (wav(form(tag=3, bits=32), chunk(b"data", struct.pack("<f", float("nan")))), "no finite numbers"),
        (wav(form(tag=0xFFFE)), "ends early"),
    ],
)
def test_a_bad_file_is_told_by_name_and_reason(file: Path, data: bytes, reason: str) -> None:
    file.write_bytes(data)
    with pytest.raises(BadAudio, match=reason) as caught:
        read_wav(file)
    assert str(file) in str(caught.value)


def test_a_file_that_is_not_there(file: Path) -> None:
    with pytest.raises(BadAudio, match="No such file"):
        read_wav(file)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 80), byte=st.integers(0, 255), cut=st.integers(0, 100))
def test_a_damaged_file_is_read_or_refused(file: Path, at: int, byte: int, cut: int) -> None:
    data = bytearray(wav(form(channels=2), chunk(b"LIST", b"abc"), chunk(b"data", bytes(32))))
    data[at % len(data)] = byte
    file.write_bytes(data[: len(data) - cut] if cut < len(data) else b"")
    try:
        clip = read_wav(file)
    except BadAudio:
        return
    assert clip.samples.ndim == 1
    assert len(clip.samples) > 0
