"""What is heard in a piece of audio: peak, loudness, brightness, tempo. numpy alone, in blocks of bounded memory."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hootbus.workers.standard.demo_types import AudioFeatures

_WINDOW: Final = 2048
_HOP: Final = 256
# Windows transformed at once: a few megabytes.
_BLOCK: Final = 256
_TEMPO_MIN: Final = 60.0
_TEMPO_MAX: Final = 240.0
# Of tempi that fit equally well (a tempo and its half always do) the likelier: near this one, within an octave or so.
_TEMPO_USUAL: Final = 140.0
_TEMPO_OCTAVES: Final = 1.0
_LOUDER: Final = 100.0
_SILENCE: Final = 1e-9

Samples = NDArray[np.float32]


def hear(title: str, sample_rate: int, samples: Samples, progress: Callable[[float], None]) -> AudioFeatures:
    """Listens to mono samples; `progress` is told the part done, from 0 to 1."""
    if not len(samples):
        return AudioFeatures(title=title)
    brightness, onsets = _spectrum(samples, sample_rate, progress)
    return AudioFeatures(
        title=title,
        peak=float(np.max(np.abs(samples))),
        rms=float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))),
        centroidHz=brightness,
        tempoBpm=_tempo(onsets, sample_rate / _HOP),
        sampleCount=len(samples),
    )


def _spectrum(samples: Samples, rate: int, progress: Callable[[float], None]) -> tuple[float, NDArray[Any]]:
    """The spectrum's centre of gravity in Hz, and how much each window has that the one before had not."""
    # Half a window of silence on either side, so that a beat on the very first sample is an onset, too.
    padded = np.pad(samples, _WINDOW // 2 + _HOP)
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP]
    shape = np.hanning(_WINDOW).astype(np.float32)
    total = np.zeros(_WINDOW // 2 + 1)
    last = np.zeros((1, _WINDOW // 2 + 1))
    onsets = []
    for start in range(0, len(windows), _BLOCK):
        magnitude = np.abs(np.fft.rfft(windows[start : start + _BLOCK] * shape, axis=1))
        total += magnitude.sum(axis=0)
        # Ears hear ratios: a quiet note's onset counts nearly as much as a loud one's.
        loudness = np.log1p(_LOUDER * magnitude / _WINDOW)
        onsets.append(np.maximum(np.diff(loudness, axis=0, prepend=last), 0.0).sum(axis=1))
        last = loudness[-1:]
        progress(min(1.0, (start + _BLOCK) / len(windows)))
    weight = total.sum()
    frequencies = np.fft.rfftfreq(_WINDOW, 1.0 / rate)
    return float(frequencies @ total / weight) if weight > _SILENCE else 0.0, np.concatenate(onsets)


def _tempo(onsets: NDArray[Any], windows_per_s: float) -> float:
    """The beat whose period makes the onsets look most like themselves; 0 if there is none."""
    shortest = int(np.floor(60.0 / _TEMPO_MAX * windows_per_s))
    longest = min(int(np.ceil(60.0 / _TEMPO_MIN * windows_per_s)), len(onsets) - 2)
    centred = onsets - onsets.mean()
    power = float(centred @ centred)
    if longest - shortest < 2 or power < _SILENCE:
        return 0.0
    spectrum = np.fft.rfft(centred, 2 * len(centred))
    likeness = np.fft.irfft(spectrum * spectrum.conj())[: longest + 2]
    # Of few beats fewer pairs are a long period apart; what counts is how alike those are that are there.
    likeness /= power * (1.0 - np.arange(longest + 2) / len(centred))
    lags = np.arange(shortest, longest + 1)
    octaves = np.log2(60.0 * windows_per_s / lags / _TEMPO_USUAL)
    best = int(lags[np.argmax(likeness[lags] * np.exp(-0.5 * np.square(octaves / _TEMPO_OCTAVES)))])
    if likeness[best] < 0.1:
        return 0.0
    before, at, after = likeness[best - 1 : best + 2]
    bend = before - 2.0 * at + after
    # The parabola through three points has its top between them; a slope without one stays where it is.
    shift = 0.5 * (before - after) / bend if bend < 0.0 else 0.0
    return float(60.0 * windows_per_s / (best + np.clip(shift, -0.5, 0.5)))
