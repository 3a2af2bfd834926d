"""`hoot keys`: makes keys, and shows who is let in."""

from pathlib import Path
from typing import Final

import click

from hootbus.bus.cli.output import print_json, print_table
from hootbus.bus.cli.settings import json_option, reporting, setting

_EPILOG: Final = """\b
Examples:
  hoot keys new broker
  hoot keys new alice
  mkdir -m 700 allowed && cp alice.key allowed/
  hoot broker --key broker.key_secret --allow allowed/
  hoot status --key alice.key_secret --broker-key broker.key
"""
_NEW_EPILOG: Final = """\b
Examples:
  hoot keys new broker
  hoot keys new alice --dir ~/.config/hootbus
\b
NAME.key_secret is for its owner alone, and never leaves the machine. NAME.key
is for everybody: a peer's goes into the folder of the broker's --allow, the
broker's to every peer, as --broker-key.
"""


@click.group(epilog=_EPILOG)
def keys() -> None:
    """Keys for a bus that asks who you are (docs/security.md)."""


@keys.command(epilog=_NEW_EPILOG)
@click.argument("name")
@setting("--dir", type=click.Path(file_okay=False), default=".", show_default=True, help="Where to put both files.")
@json_option
def new(name: str, dir: str, json: bool) -> None:
    """Make a key pair: NAME.key and NAME.key_secret."""
    from hootbus.frames.keys import new_pair

    with reporting(json):
        public, secret = new_pair(name, Path(dir))
    if json:
        print_json({"public": str(public), "secret": str(secret)})
    else:
        click.echo(f"{public}         for everybody")
        click.echo(f"{secret}  for its owner alone")


@keys.command("list", epilog="\b\nExamples:\n  hoot keys list --allow keys/ --rights rights.toml")
@setting(
    "--allow",
    type=click.Path(exists=True, file_okay=False),
    default=".",
    show_default=True,
    metavar="FOLDER",
    help="As the broker's.",
)
@setting("--rights", type=click.Path(exists=True, dir_okay=False), metavar="FILE.toml", help="As the broker's.")
@json_option
def list_(allow: str, rights: str | None, json: bool) -> None:
    """Show whom a broker lets in with these files, and what they may do. Fails if it would not start with them."""
    from hootbus.bus.keyring import Keyring, described

    keyring = Keyring(Path(allow), Path(rights) if rights else None)
    with reporting(json):
        keyring.read()
    shown = [described(name, key, keyring.rights_of(name)) for name, key in sorted(keyring.named().items())]
    if json:
        print_json({"keys": shown, "notes": keyring.notes})
        return
    columns = ("name", "key", "offer", "call", "publish", "subscribe", "admin")
    rows = [[_cell(key[column]) for column in columns] for key in shown]
    print_table(columns, rows, empty=f"nobody: put public keys into {allow}")
    for note in keyring.notes:
        click.echo(note, err=True)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "-"
    return " ".join(value) or "-" if isinstance(value, list | tuple) else str(value)
