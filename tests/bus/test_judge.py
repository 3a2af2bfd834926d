"""The judge: a claim must be true, and go together with what is spoken. And the court, in which his process may die."""

import fcntl
import os
import signal
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from cli.shell import until
from hootbus.bus.court import Court
from hootbus.bus.judge import LENGTH, Shelf, judge, judge_from
from hootbus.bus.judgement import DIFFERENCES_MAX, WORD_CHARS_MAX, Case, Claim, Finding, Verdict
from hootbus.schemas import Method
from hootbus.schemas.compiling import compile_files
from hootbus.schemas.fingerprint import fingerprint
from hootbus.schemas.model import Schema
from hootbus.schemas.transfer import write_request

CLIP, REPORT = 0xA000000000000001, 0xA000000000000002
MANY = DIFFERENCES_MAX + 5
TEXTS = {
    "first": "rate @0 :Int32;",
    "second": "rate @0 :Int32; gain @1 :Float32;",
    "major": "rate @0 :Text;",
    "many": "".join(f"f{number} @{number} :Int32;" for number in range(MANY)),
    "many others": "".join(f"f{number} @{number} :Text;" for number in range(MANY)),
}


@pytest.fixture(scope="module")
def claims(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Claim]:
    """A claim that is true, for each version."""
    found = {}
    for name, fields in TEXTS.items():
        path = Path(tmp_path_factory.mktemp("judge"), "clip.capnp")
        text = (
            f"@0xa0000000000000f1; struct Clip @{CLIP:#x} {{ {fields} }} struct Report @{REPORT:#x} {{ a @0 :Text; }}"
        )
        path.write_text(text)
        schema = compile_files([path])
        method = Method(
            name="play",
            request_type=CLIP,
            reply_type=REPORT,
            request_fingerprint=fingerprint(schema, CLIP),
            reply_fingerprint=fingerprint(schema, REPORT),
        )
        found[name] = Claim((method,), write_request(schema.closure([CLIP, REPORT])))
    return found


def changed(claim: Claim, **fields: object) -> Claim:
    """The claim, with its only method changed."""
    (method,) = claim.methods
    return Claim((structs.replace(method, **fields),), claim.nodes)


def test_a_true_claim_is_fine_and_its_types_have_names(claims: dict[str, Claim]) -> None:
    assert judge(Case(claims["first"])) == Verdict(Finding.FINE, names=(("Clip", "Report"),))


def test_a_type_that_is_not_stated_has_no_name(claims: dict[str, Claim]) -> None:
    silent = changed(claims["first"], reply_type=0, reply_fingerprint=0)
    assert judge(Case(silent, (claims["first"],))) == Verdict(Finding.FINE, names=(("Clip", ""),))


def test_versions_of_which_one_adds_to_the_other_go_together_whichever_came_first(claims: dict[str, Claim]) -> None:
    for new, known in (("first", "second"), ("second", "first"), ("first", "first")):
        assert judge(Case(claims[new], (claims[known],))).finding is Finding.FINE


def test_a_changed_field_does_not_and_is_named(claims: dict[str, Claim]) -> None:
    found = judge(Case(claims["major"], (claims["first"], claims["second"])))
    assert found.finding is Finding.INCOMPATIBLE
    assert found.words[0] == "Clip.rate: was Int32, is Text"
    assert found.words.count("Clip.rate: was Int32, is Text") == 1


def test_methods_of_other_names_are_not_compared(claims: dict[str, Claim]) -> None:
    assert judge(Case(changed(claims["major"], name="other"), (claims["first"],))).finding is Finding.FINE


def test_so_many_differences_are_said_and_how_many_more_there_are(claims: dict[str, Claim]) -> None:
    found = judge(Case(claims["many others"], (claims["many"],)))
    assert len(found.words) == DIFFERENCES_MAX + 1
    assert found.words[-1].endswith("more differences")
    assert max(map(len, found.words)) <= WORD_CHARS_MAX


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"request_fingerprint": 1}, "Clip has the fingerprint"),
        ({"request_type": 5}, "nothing with the id @0x0000000000000005"),
        ({"reply_type": CLIP}, "Clip has the fingerprint"),
    ],
)
def test_a_lie_is_found_out(claims: dict[str, Claim], fields: dict[str, int], said: str) -> None:
    found = judge(Case(changed(claims["first"], **fields)))
    assert found.finding is Finding.UNSOUND
    assert said in found.words[0]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_bytes_are_judged(claims: dict[str, Claim], data: st.DataObject) -> None:
    nodes = bytearray(claims["first"].nodes)
    for at in data.draw(st.lists(st.integers(0, len(nodes) - 1), min_size=1, max_size=8)):
        nodes[at] = data.draw(st.integers(0, 255))
    found = judge(Case(Claim(claims["first"].methods, bytes(nodes)), (claims["second"],)))
    assert found.finding in (Finding.FINE, Finding.UNSOUND, Finding.INCOMPATIBLE)


def test_a_known_version_is_read_once_and_a_claim_is_not_kept(claims: dict[str, Claim]) -> None:
    shelf = Shelf()
    first, second = claims["first"], claims["second"]
    judge(Case(first), shelf.read)
    assert len(shelf) == 0
    judge(Case(second, (first,)), shelf.read)
    kept = shelf.read(first.nodes)
    found = judge(Case(claims["major"], (first,)), shelf.read)
    assert found == judge(Case(claims["major"], (first,)))
    assert len(shelf) == 1
    assert shelf.read(bytes(bytearray(first.nodes))) is kept


def test_what_was_not_asked_for_the_longest_leaves_the_shelf(claims: dict[str, Claim]) -> None:
    first, second, major = (claims[name].nodes for name in ("first", "second", "major"))
    for shelf in (Shelf(count=2), Shelf(size=len(first + second + major) - 1)):
        kept, gone = shelf.read(first), shelf.read(second)
        shelf.read(first)
        shelf.read(major)
        assert len(shelf) == 2
        assert shelf.read(first) is kept
        assert shelf.read(second) is not gone


def test_a_schema_that_is_larger_than_the_shelf_is_read_and_not_kept(claims: dict[str, Claim]) -> None:
    shelf = Shelf(size=8)
    assert shelf.read(claims["first"].nodes).find(CLIP) is not None
    assert len(shelf) == 0


def test_what_is_kept_makes_room_for_the_case(claims: dict[str, Claim]) -> None:
    class Full(Shelf):
        def read(self, nodes: bytes) -> Schema:
            super().read(nodes)
            raise MemoryError

    shelf = Full()
    assert judge_from(shelf, Case(claims["second"], (claims["first"],))).finding is Finding.FINE
    assert len(shelf) == 0


# The court


@pytest.fixture
def hear() -> Iterator[Callable[[float], tuple[Court, "Queue[Verdict]"]]]:
    """Opens courts that end with the test."""
    opened: list[Court] = []

    def open_court(seconds: float) -> tuple[Court, "Queue[Verdict]"]:
        verdicts: Queue[Verdict] = Queue()
        court = Court(seconds, verdicts.put)
        opened.append(court)
        return court, verdicts

    yield open_court
    for court in opened:
        court.close()


Hear = Callable[[float], tuple[Court, "Queue[Verdict]"]]


def pid_of(court: Court) -> int:
    pid = court.pid
    assert pid is not None
    return pid


def test_the_court_judges_one_case_after_the_other_in_one_process(hear: Hear, claims: dict[str, Claim]) -> None:
    court, verdicts = hear(60.0)
    court.judge(Case(claims["first"]))
    assert verdicts.get(timeout=60.0).finding is Finding.FINE
    pid = pid_of(court)
    court.judge(Case(claims["major"], (claims["first"],)))
    court.judge(Case(Claim((), b"nonsense")))
    found = [verdicts.get(timeout=60.0).finding for _ in range(2)]
    assert found == [Finding.INCOMPATIBLE, Finding.UNSOUND]
    assert pid_of(court) == pid


def test_a_judge_who_died_meanwhile_is_replaced(hear: Hear, claims: dict[str, Claim]) -> None:
    court, verdicts = hear(60.0)
    for _ in range(2):
        court.judge(Case(claims["first"]))
        assert verdicts.get(timeout=60.0).finding is Finding.FINE
        os.kill(pid_of(court), signal.SIGKILL)


def test_one_who_dies_over_a_case_is_replaced_once(hear: Hear, claims: dict[str, Claim]) -> None:
    court, verdicts = hear(60.0)
    court.judge(Case(claims["first"]))
    verdicts.get(timeout=60.0)
    # It will not answer before it is killed.
    os.kill(pid_of(court), signal.SIGSTOP)
    court.judge(Case(claims["second"]))
    os.kill(pid_of(court), signal.SIGKILL)
    assert verdicts.get(timeout=60.0).finding is Finding.FINE


def test_one_who_takes_too_long_has_not_judged_and_is_replaced(hear: Hear, claims: dict[str, Claim]) -> None:
    court, verdicts = hear(60.0)
    court.judge(Case(claims["first"]))
    verdicts.get(timeout=60.0)
    court._seconds = 0.03
    os.kill(pid_of(court), signal.SIGSTOP)
    court.judge(Case(claims["first"]))
    assert verdicts.get(timeout=60.0) == Verdict(Finding.UNHEARD, ("the machine has no time for it",))
    court._seconds = 60.0
    court.judge(Case(claims["first"]))
    assert verdicts.get(timeout=60.0).finding is Finding.FINE


@pytest.mark.skipif(sys.platform != "linux", reason="not every kernel limits a process's time")
def test_one_whose_time_is_used_up_is_not_given_the_case_again(hear: Hear, claims: dict[str, Claim]) -> None:
    court, verdicts = hear(60.0)
    court.judge(Case(claims["first"]))
    verdicts.get(timeout=60.0)
    os.kill(pid_of(court), signal.SIGSTOP)
    case = Case(claims["first"])
    court.judge(case)
    # It has the case then: else the next judge would be given it.
    until(lambda: unread_by(court) == LENGTH.size + len(msgspec.msgpack.encode(case)), "the case is handed over")
    # As the kernel does when the limit is reached.
    os.kill(pid_of(court), signal.SIGXCPU)
    os.kill(pid_of(court), signal.SIGCONT)
    assert verdicts.get(timeout=60.0) == Verdict(Finding.TOO_LONG, ("it takes longer than 60 s",))


def unread_by(court: Court) -> int:
    """Bytes that wait for the judge."""
    assert court._child is not None
    assert court._child.stdin is not None
    return int.from_bytes(fcntl.ioctl(court._child.stdin, termios.FIONREAD, bytes(4)), sys.byteorder)


def test_it_closes_in_the_midst_of_a_case(hear: Hear, claims: dict[str, Claim]) -> None:
    court, verdicts = hear(60.0)
    court.judge(Case(claims["first"]))
    verdicts.get(timeout=60.0)
    os.kill(pid_of(court), signal.SIGSTOP)
    court.judge(Case(claims["first"]))
    court.close()
    assert court.pid is None
    assert verdicts.empty()
