"""What pycapnp raises, told to people: without its insides, and nothing taken from what others say."""

from collections.abc import Callable

import pytest

from hootbus.schemas import CapnpError, reason_of, standard

AudioClip = standard.demo.AudioClip


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (lambda: AudioClip.new_message(nope=1), "struct has no such member; name = nope"),
        (lambda: AudioClip.new_message(sampleRate=-1), "Value out-of-range for requested type.; value = -1"),
        (lambda: AudioClip.new_message().nope, "struct has no such member; name = nope"),
    ],
)
def test_what_pycapnp_says_is_said_without_its_insides(mistake: Callable[[], object], words: str) -> None:
    with pytest.raises((CapnpError, AttributeError)) as raised:
        mistake()
    assert "stack" in str(raised.value), "or there is nothing to take out"
    assert reason_of(raised.value) == words
    assert reason_of(RuntimeError(f"it went wrong: {raised.value}")) == f"it went wrong: {words}"


@pytest.mark.parametrize("text", ["two\n  lines. failed: expected a; b", "of a kitchen\nstack: plates", ""])
def test_what_others_say_stays_as_it_is(text: str) -> None:
    assert reason_of(ValueError(text)) == text


def test_of_a_whole_file_the_beginning_is_said() -> None:
    assert set(reason_of(ValueError("x" * 100_000_000))) == {"x"}
