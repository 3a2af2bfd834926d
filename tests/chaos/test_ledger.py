"""The judge himself: a ledger that is right balances, and each kind of wrong is named."""

from pathlib import Path

import pytest

from chaos.ledger import GIVEN_UP, OK, WRONG, Book, Entries, Unbalanced, balance

RIGHT = """
asked a.1 once
asked a.2 often
asked a.3 once
asked a.4 once
asked b.1 once
did a.1 11
did a.2 11
did a.2 12
did b.1 12
came a.1 ok
came a.2 ok
came a.3 unknown_service
came a.4 given_up
"""


def entries(tmp_path: Path, text: str) -> Entries:
    (tmp_path / "book").write_text(text.lstrip())
    found = Entries()
    found.read([tmp_path / "book"])
    return found


def test_a_ledger_that_is_right_balances(tmp_path: Path) -> None:
    sums = balance(entries(tmp_path, RIGHT), killed=["b"])
    assert (sums.asked, sums.executed, sums.untold) == (5, 4, 1)
    assert sums.outcomes == {OK: 2, "unknown_service": 1, GIVEN_UP: 1}
    assert sums.of_repeatable == {OK: 1}


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ("came a.1 ok", "a.1 has 2 outcomes: ['ok', 'ok']"),
        ("asked a.5 once", "a.5 has 0 outcomes: []"),
        ("did a.1 12", "a.1 was carried out 2 times and may be once"),
        ("asked a.5 often\ncame a.5 ok", "a.5 is ok, and nobody has carried it out"),
        ("did a.3 11", "a.3 is unknown_service, and was carried out"),
        ("did c.1 11", "c.1 was carried out, and nobody asked"),
        ("came c.1 ok", "c.1 has an outcome, and nobody asked"),
        (f"asked a.5 often\ncame a.5 {WRONG}", "a.5 came to 'wrong'"),
    ],
)
def test_whatever_is_wrong_is_named(tmp_path: Path, more: str, complaint: str) -> None:
    with pytest.raises(Unbalanced) as caught:
        balance(entries(tmp_path, RIGHT + more), killed=["b"])
    assert str(caught.value).splitlines() == ["1 entries are wrong", complaint]


def test_a_client_that_was_not_killed_owes_an_outcome(tmp_path: Path) -> None:
    with pytest.raises(Unbalanced, match=r"b\.1 has 0 outcomes"):
        balance(entries(tmp_path, RIGHT))


def test_what_a_book_writes_is_what_the_judge_reads(tmp_path: Path) -> None:
    book = Book(tmp_path / "book")
    book.asked("a.1", idempotent=True)
    book.did("a.1")
    book.came("a.1", OK)
    found = Entries()
    found.read([tmp_path / "book"])
    assert balance(found).of_repeatable == {OK: 1}
