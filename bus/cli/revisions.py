"""Schema files as somebody names them: a file, a folder, or either as it was in a revision of git."""

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import click

_GIT_SECONDS_MAX: Final = 60.0
_ENDING: Final = ".capnp"


class Place(NamedTuple):
    """Schema files: `path` is a file or a folder. `shown` is how it was named, `root` what stands for a revision's
    tree, empty without one, and `imports` are the folders in which imports are looked for."""

    path: Path
    shown: str
    root: str
    imports: Sequence[str]

    def files(self) -> dict[str, Path]:
        """The files by the names by which those of two places are the same."""
        if self.path.is_file():
            return {self.path.name: self.path}
        found = sorted(self.path.rglob(f"*{_ENDING}"))
        inner = {path.relative_to(self.path): path for path in found if path.is_file()}
        # What lies in hidden folders is some tool's: environments, caches, copies.
        return {str(name): path for name, path in inner.items() if not any(part[0] == "." for part in name.parts)}

    def named(self, text: str) -> str:
        """A text that may name files in the temporary folder, as one who does not know of that would have it."""
        return text.replace(f"{self.root}{os.sep}", f"{self.shown.partition(':')[0]}:") if self.root else text


@contextmanager
def schema_place(text: str, imports: Sequence[str]) -> Iterator[Place]:
    """The files that FILE, FOLDER or REV:PATH names, there until the block ends. Raises BadParameter."""
    if os.path.exists(text):
        yield Place(Path(text), text, "", imports)
        return
    revision, colon, path = text.partition(":")
    if not (revision and colon) or revision.startswith("-"):
        raise click.BadParameter(f"{text}: no such file or folder, and no REV:PATH of git")
    top = Path(_git("rev-parse", "--show-toplevel").strip())
    # As git has it: from the top of the tree, or with ./ from here.
    inside = path
    if path == "." or path.startswith(("./", "../")):
        inside = os.path.normpath(os.path.join(_git("rev-parse", "--show-prefix").strip(), path))
    commit = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{tree}}", wrong=text).strip()
    with tempfile.TemporaryDirectory(prefix="hootbus-") as folder:
        root = os.path.realpath(folder)
        _check_out(top, commit, root)
        if inside.startswith("..") or not os.path.exists(os.path.join(root, inside)):
            raise click.BadParameter(f"{text}: {revision} has no schemas at {inside or 'its top'}")
        # Folders of the repository are what they were then.
        then = [_as_of_then(import_path, top, root) for import_path in imports]
        yield Place(Path(root, inside), text, root, then)


def _as_of_then(folder: str, top: Path, root: str) -> str:
    real = Path(os.path.realpath(folder))
    return os.path.join(root, real.relative_to(top)) if real.is_relative_to(top) else folder


def _check_out(top: Path, tree: str, folder: str) -> None:
    """Writes the tree's schemas, and what they embed, to a folder; the repository's own index stays as it is."""
    from hootbus.schemas.tokens import references, tokens_of

    names = set(_git("ls-tree", "-r", "-z", "--name-only", "--full-tree", tree).split("\0")) - {""}
    schemas = {name for name in names if name.endswith(_ENDING)}
    with tempfile.TemporaryDirectory(prefix="hootbus-") as beside:
        index = os.path.join(beside, "index")
        _git("read-tree", tree, cwd=top, index=index)

        def write(some: set[str]) -> None:
            # -q: a link into another repository is not there, and nobody needs it.
            _git(
                "checkout-index", "-q", "-z", "--stdin", f"--prefix={folder}/",
                cwd=top, index=index, stdin="\0".join(some),
            )  # fmt: skip

        write(schemas)
        embedded = set()
        for name in schemas:
            path = Path(folder, name)
            if path.is_file():
                for _, target, to_embed in references(tokens_of(path.read_bytes())):
                    if to_embed:
                        embedded.add(os.path.normpath(os.path.join(os.path.dirname(name), target)))
        write(embedded & names)


def _git(*arguments: str, cwd: Path | None = None, index: str = "", stdin: str = "", wrong: str = "") -> str:
    """What git says. Raises BadParameter where it refuses; `wrong` is the argument that is wrong then."""
    environment = os.environ | ({"GIT_INDEX_FILE": index} if index else {})
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=cwd,
            env=environment,
            input=stdin,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=_GIT_SECONDS_MAX,
            check=False,
        )
    except FileNotFoundError:
        raise click.BadParameter("REV:PATH needs git, which is not installed") from None
    except subprocess.TimeoutExpired:
        raise click.BadParameter(f"git {arguments[0]} took longer than {_GIT_SECONDS_MAX:.0f} s") from None
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:] or ["no such file or folder, and no revision of git's either"]
        raise click.BadParameter(f"{wrong}: {said[0]}" if wrong else said[0])
    return done.stdout
