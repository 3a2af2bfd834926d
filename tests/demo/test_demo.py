"""`hoot demo` as its user sees it."""

import tempfile
from pathlib import Path

import pytest

from cli.shell import is_alive, run, started, until
from hootbus.bus.demo.pieces import pieces
from hootbus.bus.demo.wav import write_wav


def test_the_whole_thing_works_and_nothing_is_copied() -> None:
    ran = run("demo", "--seconds", "2")
    assert (ran.status, ran.err) == (0, "")
    assert "bodies  402 of 402 read in place, 0 copied" in ran.out
    assert "event  march.wav: 120." in ran.out


def test_it_is_one_json_document_for_programs() -> None:
    ran = run("demo", "--seconds", "1", "--json")
    assert (ran.status, ran.err) == (0, "")
    report = ran.json
    assert report["ok"]
    assert [round(piece["features"]["tempoBpm"] / 2) * 2 for piece in report["pieces"]] == [120, 174]
    assert all(piece["same_as_json"] for piece in report["pieces"])
    assert report["bodies"]["copied"] == 0
    assert report["bodies"]["in_place"] == report["bodies"]["sent"] == 402
    assert len(report["bodies"]["workers"]) == 2
    assert report["events"]["lost"] == 0
    assert report["events"]["results"] == 4
    assert not Path(report["bus"].removeprefix("ipc://")).exists()


@pytest.mark.parametrize(("channels", "as_float"), [(1, False), (2, True)])
def test_it_takes_audio_of_its_users(tmp_path: Path, channels: int, as_float: bool) -> None:
    file = tmp_path / "song.wav"
    write_wav(file, pieces(3.0)[1], channels=channels, as_float=as_float)
    ran = run("demo", "--audio", str(file), "--json")
    (piece,) = ran.json["pieces"]
    assert ran.status == 0
    assert piece["title"] == "song.wav"
    assert piece["features"]["tempoBpm"] == pytest.approx(174.0, abs=2.0)


def test_a_file_that_is_no_audio_is_a_clear_error(tmp_path: Path) -> None:
    file = tmp_path / "song.wav"
    file.write_bytes(b"not at all")
    ran = run("demo", "--audio", str(file))
    assert (ran.status, ran.out) == (1, "")
    assert ran.err == f"bad_audio: {file}: not a WAV file\n"


def test_no_process_outlives_a_demo_that_is_killed(tmp_path: Path) -> None:
    # A killed demo cannot tidy up; this is where it leaves its sockets.
    with (
        tempfile.TemporaryDirectory() as left,
        started("demo", "--seconds", "30", env={"TMPDIR": left}, log=tmp_path / "log") as demo,
    ):
        until(lambda: len(descendants(demo.pid)) >= 4, "broker, supervisor and two workers run")
        family = descendants(demo.pid)
        demo.process.kill()
        until(lambda: not any(map(is_alive, family)), "all are gone")


def descendants(pid: int) -> set[int]:
    """The processes below this one."""
    try:
        children = {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
    except FileNotFoundError:
        return set()
    return children.union(*map(descendants, children))
