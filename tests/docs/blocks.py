"""A Markdown page as its reader meets it: the fenced blocks in order, each under its heading.

The convention of README.md and docs/guide.md: a block of code names its file in a comment in the first line; a
`console` block has commands behind `$ ` and what they print below; `console serves` is a terminal that is left
running; `text` is nothing that runs.
"""

from pathlib import Path
from typing import Final

import msgspec

FILES: Final = {"python": "# ", "capnp": "# ", "toml": "# "}
CONSOLE: Final = "console"
SERVES: Final = "serves"
TEXT: Final = "text"
_FENCE: Final = "```"
_PROMPT: Final = "$ "
_HEADING: Final = "## "


class Command(msgspec.Struct, frozen=True):
    """A line behind a prompt, and what the page says it prints."""

    line: str
    shown: str

    @property
    def program(self) -> str:
        """The first word that sets no variable."""
        return next(word for word in self.line.split() if "=" not in word)


class Block(msgspec.Struct, frozen=True):
    """A fenced block: the words behind the fence, its lines, and where it stands."""

    words: tuple[str, ...]
    text: str
    place: str
    section: str

    @property
    def language(self) -> str:
        return self.words[0] if self.words else ""

    @property
    def serves(self) -> bool:
        """Whether its commands go on running while the reader reads on."""
        return SERVES in self.words

    @property
    def file(self) -> str:
        """The name in the comment of the first line, empty if there is none."""
        mark = FILES.get(self.language)
        first = self.text.partition("\n")[0]
        return first.removeprefix(mark).strip() if mark and first.startswith(mark) else ""

    def commands(self) -> list[Command]:
        """Of a console block: its commands. Output in front of the first one is a mistake of the page."""
        found: list[tuple[str, list[str]]] = []
        for line in self.text.splitlines():
            if line.startswith(_PROMPT):
                found.append((line.removeprefix(_PROMPT), []))
            else:
                assert found, f"{self.place}: output without a command"
                found[-1][1].append(line)
        return [Command(line, "\n".join(shown)) for line, shown in found]


def read_blocks(page: Path) -> list[Block]:
    """The page's fenced blocks."""
    blocks: list[Block] = []
    section = ""
    opened: tuple[int, tuple[str, ...]] | None = None
    lines: list[str] = []
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if line.startswith(_FENCE):
            if opened is None:
                opened, lines = (number, tuple(line.removeprefix(_FENCE).split())), []
            else:
                begin, words = opened
                blocks.append(Block(words, "\n".join(lines) + "\n", f"{page.name}:{begin}", section))
                opened = None
        elif opened is not None:
            lines.append(line)
        elif line.startswith(_HEADING):
            section = line.removeprefix(_HEADING)
    assert opened is None, f"{page.name}: the block of line {opened} is never closed"
    return blocks
