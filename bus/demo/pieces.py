"""Two short pieces of music made by arithmetic, so that it is known what a listener should hear."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from hootbus.bus.demo.wav import Clip

SAMPLE_RATE: Final = 44_100
# Title, beats per minute, and the pitch of the notes in Hz.
PIECES: Final = (("march", 120.0, 220.0), ("dance", 174.0, 440.0))

_NOTE_S: Final = 0.25
_ATTACK_S: Final = 0.004
_DECAY: Final = 18.0
_OVERTONES: Final = (1.0, 0.5, 0.25)


def pieces(seconds: float) -> list[Clip]:
    """One clip for each of PIECES, this long."""
    return [Clip(f"{title}.wav", SAMPLE_RATE, _beats(seconds, tempo, pitch)) for title, tempo, pitch in PIECES]


def _beats(seconds: float, tempo_bpm: float, pitch_hz: float) -> NDArray[np.float32]:
    """A struck note on every beat, each fourth one louder."""
    piece = np.zeros(round(seconds * SAMPLE_RATE))
    note = _note(pitch_hz)
    for beat in range(int(seconds * tempo_bpm / 60.0) + 1):
        start = round(beat * 60.0 / tempo_bpm * SAMPLE_RATE)
        part = note[: max(0, len(piece) - start)]
        piece[start : start + len(part)] += part * (0.8 if beat % 4 == 0 else 0.55)
    return piece.astype(np.float32)


def _note(pitch_hz: float) -> NDArray[np.float64]:
    at = np.arange(round(_NOTE_S * SAMPLE_RATE)) / SAMPLE_RATE
    envelope = np.minimum(at / _ATTACK_S, 1.0) * np.exp(-_DECAY * at)
    tone = np.sum(
        [strength * np.sin(2 * np.pi * pitch_hz * (number + 1) * at) for number, strength in enumerate(_OVERTONES)],
        axis=0,
    )
    return np.asarray(envelope * tone / sum(_OVERTONES))
