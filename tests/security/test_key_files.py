"""Keys in files: made, read, and refused where others can get at them."""

import os
import stat
from pathlib import Path

import pytest
import zmq

from hootbus.bus.access import Rights
from hootbus.bus.keyring import Keyring
from hootbus.frames.keys import Keys, KeysError, new_pair, read_public, resolve_keys


def test_a_pair_is_made_that_only_its_owner_reads(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        public, secret = new_pair("alice", tmp_path / "keys")
    finally:
        os.umask(before)
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
    keys = Keys.load(secret)
    assert zmq.curve_public(keys.secret) == keys.public == read_public(public)
    assert sorted(path.name for path in public.parent.iterdir()) == ["alice.key", "alice.key_secret"]


@pytest.mark.parametrize("left", ["alice.key", "alice.key_secret"])
def test_a_key_that_exists_is_never_replaced(tmp_path: Path, left: str) -> None:
    (tmp_path / left).write_text("precious")
    with pytest.raises(KeysError, match=f"{left} exists"):
        new_pair("alice", tmp_path)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(left, "precious")]


@pytest.mark.parametrize("name", ["", "../alice", "a/b", ".hidden", "x" * 65, "é"])
def test_a_name_that_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(KeysError, match="no name for a key"):
        new_pair(name, tmp_path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o777])
def test_a_secret_that_others_can_get_at_is_refused_with_what_to_do(tmp_path: Path, mode: int) -> None:
    _, secret = new_pair("alice", tmp_path)
    secret.chmod(mode)
    with pytest.raises(KeysError, match=f"chmod 600 {secret}"):
        Keys.load(secret)


def test_a_secret_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, secret = new_pair("alice", tmp_path)
    monkeypatch.setattr(os, "getuid", lambda: 4242)
    with pytest.raises(KeysError, match="belongs to another user"):
        Keys.load(secret)


def test_what_is_no_key_is_said(tmp_path: Path) -> None:
    public, secret = new_pair("alice", tmp_path)
    public.chmod(0o600)
    with pytest.raises(KeysError, match="has no secret key"):
        Keys.load(public)
    other, _ = new_pair("bob", tmp_path)
    secret.write_text(secret.read_text().replace(read_public(public).decode(), read_public(other).decode()))
    with pytest.raises(KeysError, match="not that of its secret one"):
        Keys.load(secret)
    # The third is what a copy that has just begun looks like.
    for text in ("", 'curve\n  public-key = "short"\n', "curve\n    public-key", "\0" * 100, "x" * 100_000):
        public.write_text(text)
        with pytest.raises(KeysError):
            read_public(public)
    with pytest.raises(KeysError, match="No such file"):
        read_public(tmp_path / "nobody.key")


def test_a_public_key_in_the_secrets_place_is_said_and_no_mode_of_it(tmp_path: Path) -> None:
    public, secret = new_pair("alice", tmp_path)
    with pytest.raises(KeysError, match="has no secret key"):
        Keys.load(public)
    with pytest.raises(KeysError, match="is a secret key"):
        Keys.load(secret, new_pair("broker", tmp_path)[1])


def test_the_name_of_all_others_rights_is_no_keys(tmp_path: Path) -> None:
    with pytest.raises(KeysError, match="rights of all others"):
        new_pair("default", tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_secret_is_in_no_repr(tmp_path: Path) -> None:
    keys = Keys.load(new_pair("alice", tmp_path)[1])
    assert keys.secret.decode() not in f"{keys} {keys!r}"


def test_the_environment_names_the_keys_and_half_of_them_is_a_mistake(tmp_path: Path) -> None:
    _, secret = new_pair("alice", tmp_path)
    broker, _ = new_pair("broker", tmp_path)
    whole = {"HOOT_KEY": str(secret), "HOOT_BROKER_KEY": str(broker)}
    keys = Keys.from_environment(whole)
    assert keys == Keys.load(secret, broker)
    assert Keys.from_environment({}) is None
    for variable in whole:
        with pytest.raises(KeysError, match=f"{variable} is not"):
            Keys.from_environment({name: path for name, path in whole.items() if name != variable})
    with pytest.raises(KeysError, match="broker's public key is missing"):
        resolve_keys(Keys.load(secret))


# The files of a broker


def keyring(tmp_path: Path, rights: str = "", names: tuple[str, ...] = ("alice", "bob")) -> Keyring:
    allow = tmp_path / "allow"
    allow.mkdir(mode=0o700)
    for name in names:
        public, _ = new_pair(name, tmp_path / name)
        (allow / public.name).write_bytes(public.read_bytes())
    file = tmp_path / "rights.toml"
    file.write_text(rights)
    for path in (file, *allow.iterdir()):
        path.chmod(0o644)
    return Keyring(allow, file)


def test_a_key_has_the_defaults_rights_where_its_own_table_says_nothing(tmp_path: Path) -> None:
    ring = keyring(tmp_path, '[default]\ncall = ["text"]\n[alice]\noffer = ["audio.*"]\nadmin = true\n')
    ring.read()
    assert ring.rights_of("alice") == Rights(offer=("audio.*",), call=("text",), admin=True)
    assert ring.rights_of("bob") == Rights(call=("text",))


@pytest.mark.parametrize(
    ("rights", "said"),
    [
        ("[alice]\nofer = []\n", r"\[alice\].*ofer.*there are offer, call"),
        ("[alice]\npublish = 1\n", r"\[alice\].*bool"),
        ('[alice]\noffer = "text"\n', r"\[alice\].*array"),
        ("admin = true\n", "'admin' stands in no table"),
        ("[alice", "rights.toml"),
        ("[defaults]\ncall = []\n", r"\[defaults\] is about no key.*\[default\]"),
        ("[Default]\ncall = []\n", r"\[Default\] is about no key.*\[default\]"),
    ],
)
def test_a_mistake_in_the_rights_is_said_and_nobody_gets_any(tmp_path: Path, rights: str, said: str) -> None:
    with pytest.raises(KeysError, match=said):
        keyring(tmp_path, rights).read()


def test_rights_of_nobody_are_noted(tmp_path: Path) -> None:
    ring = keyring(tmp_path, "[alcie]\nadmin = true\n")
    ring.read()
    (note,) = ring.notes
    assert "[alcie] is about no key" in note


def test_what_breaks_while_it_serves_leaves_the_rights_as_they_were(tmp_path: Path) -> None:
    ring = keyring(tmp_path, "[alice]\nadmin = true\n")
    before = ring.read()
    rights, allow = tmp_path / "rights.toml", tmp_path / "allow"
    rights.write_text("[alice]\nadmin = perhaps\n")
    (allow / "bob.key").write_text("half of it")
    assert ring.changed()
    assert len(ring.reread()) == 2
    assert not ring.changed()
    after = ring.access()
    assert set(after.principals()) == set(before.principals())
    assert ring.rights_of("alice").admin


def test_a_key_whose_file_is_gone_is_out_whatever_else_is_broken(tmp_path: Path) -> None:
    ring = keyring(tmp_path)
    ring.read()
    (tmp_path / "rights.toml").write_text("[")
    (tmp_path / "allow" / "bob.key").unlink()
    assert ring.reread()
    assert set(ring.named()) == {"alice"}


@pytest.mark.parametrize("which", ["allow", "rights.toml", "allow/alice.key"])
def test_files_that_others_may_write_to_decide_about_nobody(tmp_path: Path, which: str) -> None:
    ring = keyring(tmp_path)
    (tmp_path / which).chmod(0o777)
    with pytest.raises(KeysError, match="others may write to"):
        ring.read()


def test_one_key_has_one_name(tmp_path: Path) -> None:
    ring = keyring(tmp_path)
    allow = tmp_path / "allow"
    (allow / "carol.key").write_bytes((allow / "alice.key").read_bytes())
    with pytest.raises(KeysError, match=r"carol\.key: this key is let in under another name"):
        ring.read()


@pytest.mark.parametrize("which", ["rights.toml", "allow/alice.key"])
def test_a_pipe_where_a_file_should_be_holds_nobody_up(tmp_path: Path, which: str) -> None:
    ring = keyring(tmp_path)
    ring.read()
    (tmp_path / which).unlink()
    os.mkfifo(tmp_path / which, 0o600)
    (complaint,) = ring.reread()
    assert "is no ordinary file" in complaint
    assert set(ring.named()) == {"alice", "bob"}


@pytest.mark.parametrize("rights", ["a = " + "[" * 100_000, "#" * 5_000_000, "a = '\udcff'"])
def test_rights_that_cannot_be_read_are_a_mistake_like_any_other(tmp_path: Path, rights: str) -> None:
    ring = keyring(tmp_path)
    ring.read()
    (tmp_path / "rights.toml").write_text(rights, errors="surrogateescape")
    (complaint,) = ring.reread()
    assert "rights.toml" in complaint
