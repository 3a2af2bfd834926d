"""What is heard is what is there."""

import numpy as np
import pytest

from hootbus.bus.demo.hearing import hear
from hootbus.bus.demo.pieces import PIECES, SAMPLE_RATE, pieces
from hootbus.workers.standard.demo_types import AudioFeatures


def heard(samples: "np.ndarray[tuple[int], np.dtype[np.float32]]") -> AudioFeatures:
    return hear("clip", SAMPLE_RATE, samples, lambda done: None)


@pytest.mark.parametrize("seconds", [1.0, 2.5, 4.0, 30.0])
def test_the_tempo_of_the_pieces_is_found(seconds: float) -> None:
    found = [heard(clip.samples).tempoBpm for clip in pieces(seconds)]
    assert found == pytest.approx([tempo for _, tempo, _ in PIECES], abs=2.0)


def test_a_higher_piece_is_brighter() -> None:
    march, dance = (heard(clip.samples) for clip in pieces(2.0))
    assert march.centroidHz < dance.centroidHz


def test_a_sine_has_its_peak_its_rms_and_its_pitch() -> None:
    sine = (0.5 * np.sin(2 * np.pi * 1000.0 * np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE)).astype(np.float32)
    features = heard(sine)
    assert features.peak == pytest.approx(0.5, abs=1e-3)
    assert features.rms == pytest.approx(0.5 / np.sqrt(2), abs=1e-3)
    assert features.centroidHz == pytest.approx(1000.0, rel=0.05)


def test_noise_and_silence_have_no_beat() -> None:
    noise = np.random.default_rng(1).standard_normal(4 * SAMPLE_RATE).astype(np.float32)
    assert heard(noise).tempoBpm == 0.0
    silence = heard(np.zeros(SAMPLE_RATE, np.float32))
    assert (silence.peak, silence.rms, silence.centroidHz, silence.tempoBpm) == (0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize("count", [0, 1, 2, 100, 5000])
def test_a_clip_of_any_length_is_heard(count: int) -> None:
    features = heard(np.ones(count, np.float32))
    assert features.sampleCount == count
    assert np.isfinite([features.rms, features.centroidHz, features.tempoBpm]).all()


def test_progress_ends_at_the_whole() -> None:
    told: list[float] = []
    hear("clip", SAMPLE_RATE, pieces(4.0)[0].samples, told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0
