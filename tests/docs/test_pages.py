"""The README and the guide, done word for word; and what else they claim that can be compared."""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
import pytest

from docs.blocks import CONSOLE, FILES, SERVES, TEXT, Block, read_blocks
from docs.reader import SETUP, Reader
from hootbus.bus.cli.app import hoot
from hootbus.bus.limits import INTERVALS, Limits
from hootbus.frames.errors import ERRORS
from hootbus.workers.limits import UNCOUNTED
from hootbus.workers.limits import Limits as PeerLimits

ROOT: Final = Path(__file__).parents[2]
README: Final = ROOT / "README.md"
GUIDE: Final = ROOT / "docs" / "guide.md"
PROTOCOL: Final = ROOT / "docs" / "protocol.md"
TYPES: Final = ROOT / "docs" / "types.md"
SECURITY: Final = ROOT / "docs" / "security.md"
PAGES: Final = (
    README,
    GUIDE,
    PROTOCOL,
    TYPES,
    SECURITY,
    ROOT / "docs" / "schemas.md",
    ROOT / "docs" / "stability.md",
    ROOT / "CHANGELOG.md",
)

_BLOCKS: Final = [block for page in (README, GUIDE, TYPES, SECURITY) for block in read_blocks(page)]
_SHELL: Final = ("printf", "mkdir", "cp", "rm", "while", "grep")
_GUIDE_SECTIONS: Final = list(dict.fromkeys(block.section for block in read_blocks(GUIDE)))
# As the guide's first lines say: a broker runs.
_BROKER: Final = Block((CONSOLE, SERVES), '$ hoot broker\n{"ready":true,...}\n', GUIDE.name, "")


@pytest.fixture
def bus() -> Iterator[str]:
    """A private address; short, as a socket's path has few bytes."""
    with tempfile.TemporaryDirectory(prefix="hoot") as folder:
        yield f"ipc://{folder}/bus"


def starts_a_broker(block: Block) -> bool:
    return block.serves and any(command.line.startswith("hoot broker") for command in block.commands())


def test_the_readme(tmp_path: Path, bus: str) -> None:
    with Reader(tmp_path, bus) as reader:
        reader.follow(read_blocks(README))


def test_the_page_on_types(tmp_path: Path, bus: str) -> None:
    with Reader(tmp_path, bus) as reader:
        reader.follow([_BROKER, *read_blocks(TYPES)])


def test_the_page_on_security(tmp_path: Path, bus: str) -> None:
    with Reader(tmp_path, bus) as reader:
        reader.follow(read_blocks(SECURITY))


@pytest.mark.parametrize("section", _GUIDE_SECTIONS)
def test_the_guide(section: str, tmp_path: Path, bus: str) -> None:
    blocks = [block for block in read_blocks(GUIDE) if block.section == section]
    with Reader(tmp_path, bus) as reader:
        reader.follow(blocks if any(map(starts_a_broker, blocks)) else [_BROKER, *blocks])


@pytest.mark.parametrize("block", _BLOCKS, ids=lambda block: block.place)
def test_every_block_is_a_file_a_terminal_or_visibly_text(block: Block) -> None:
    assert block.language in {*FILES, CONSOLE, TEXT}
    if block.language in FILES:
        assert re.fullmatch(r"[\w.-]+\.(py|capnp|toml)", block.file), "its first line names no file"
    if block.language == CONSOLE:
        assert block.commands()


@pytest.mark.parametrize(
    "block", [block for block in _BLOCKS if block.language in FILES], ids=lambda block: block.place
)
def test_every_file_is_run_or_imported_by_one_that_is(block: Block) -> None:
    section = [other for other in _BLOCKS if other.place.partition(":")[0] == block.place.partition(":")[0]]
    users = [other.text for other in section if other is not block]
    stem = Path(block.file).stem
    used = rf"\b{re.escape(block.file)}\b|\bhoot worker .*\b{stem}:|\bfrom {stem} import|\bimport {stem}\b"
    assert any(re.search(used, text) for text in users)


def test_make_targets_that_are_named_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = [command for block in _BLOCKS if block.language == CONSOLE for command in block.commands()]
    made = {command.line.split()[1] for command in commands if command.program == "make"}
    assert {"demo", "check"} <= made <= targets
    assert {command.program for command in commands} <= {*SETUP, *_SHELL, "hoot", "python"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_that_are_named_exist(page: Path) -> None:
    assert set(re.findall(r"`hoot ([a-z]+)", page.read_text())) <= set(hoot.list_commands(click.Context(hoot)))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        file, _, anchor = target.partition("#")
        if ":" in file:
            continue
        linked = page.parent / file if file else page
        assert linked.exists(), target
        if anchor:
            assert anchor in {slug(line) for line in linked.read_text().splitlines() if line.startswith("#")}, target


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lstrip("# ").lower()).replace(" ", "-")


@pytest.mark.parametrize("page", [GUIDE, PROTOCOL], ids=lambda page: page.name)
def test_the_errors_are_those_of_the_code(page: Path) -> None:
    text = page.read_text()
    if page == PROTOCOL:
        listed = {(int(number), code) for number, code in re.findall(r"^\| (\d+) \| ([a-z_]+) \|", text, re.MULTILINE)}
        assert {(error.number, error.code) for error in ERRORS} <= listed
    else:
        listed_names = re.findall(r"^\| `(\w+)` \| `([a-z_]+)` \|", text, re.MULTILINE)
        assert sorted(listed_names) == sorted((error.__name__, error.code) for error in ERRORS)


_SETTINGS: Final = {"`--limit`": (Limits, INTERVALS, "`hoot status`"), "`Limits`": (PeerLimits, UNCOUNTED, None)}


@pytest.mark.parametrize("setting", _SETTINGS)
def test_the_limits_that_the_guide_lists_are_all_there_are_with_their_counters(setting: str) -> None:
    kind, uncounted, counter = _SETTINGS[setting]
    row = rf"^\| `([a-z_]+)` \| ([\d .]+) \| {re.escape(setting)} \| ([^|]+) \| "
    listed = re.findall(row, GUIDE.read_text(), re.MULTILINE)
    told = {name: float(value.replace(" ", "")) for name, value, _ in listed}
    assert told == {name: float(getattr(kind(), name)) for name in kind.__struct_fields__}
    for name, _, counted in listed:
        assert (counted == "—") == (name in uncounted), name
        assert counter is None or counted in (counter, "—"), name
