"""Compiles the hot path with mypyc; everything else about packaging is in pyproject.toml.

The modules named here stay ordinary Python and are installed as such too: where there is no C compiler, or
HOOTBUS_COMPILE=0 asks for it, they run uncompiled and behave the same, at half the speed (docs/performance.md).
"""

import os
import sys
from pathlib import Path
from typing import Final

from setuptools import Extension, setup  # type: ignore[import-untyped]  # likewise
from setuptools.command.build_ext import build_ext  # type: ignore[import-untyped]  # it brings no types

# What every request passes through. Left outside is what a program sees in `help()` or may inherit from, as mypyc has
# neither, and most of msgspec's structs, which are C already.
COMPILED: Final = (
    "bus/admission.py",
    "bus/core.py",
    "bus/endings.py",
    "bus/gathers.py",
    "bus/latencies.py",
    "bus/lazyheap.py",
    "bus/ledger.py",
    "bus/outcomes.py",
    "bus/quarantine.py",
    "bus/queues.py",
    "bus/requests.py",
    "bus/roster.py",
    "bus/state.py",
    "bus/streams.py",
    "bus/tally.py",
    "bus/versions.py",
    "frames/deadlines.py",
    "frames/message.py",
    "frames/options.py",
    "frames/value.py",
    "schemas/arena.py",
    "schemas/canonical.py",
    "schemas/dicts.py",
    "schemas/fields.py",
    "schemas/pointers.py",
    "schemas/validate.py",
    "schemas/values.py",
    "schemas/writer.py",
    "workers/account.py",
    "workers/calls.py",
    "workers/client_session.py",
    "workers/connection.py",
    "workers/execution.py",
    "workers/flow.py",
    "workers/handler.py",
    "workers/inflows.py",
    "workers/link.py",
    "workers/outgoing.py",
    "workers/pending.py",
    "workers/replies.py",
    "workers/serving.py",
    "workers/understanding.py",
    "workers/worker_session.py",
)
# mypyc puts all of them into one library, so that they call each other directly; their own files only point to it.
LIBRARY: Final = "hootbus.frames._hot"
# Other commands, which installers call as well, only ask for names and versions.
BUILDING: Final = {"build", "build_ext", "bdist_wheel", "editable_wheel", "install"}
# The packages under the names that users import them by: links to the folders.
NAMED: Final = Path(".dev/hootbus")


class BuildCompiled(build_ext):  # type: ignore[misc]  # setuptools brings no types
    """Leaves out the modules' own files if their library could not be built: they would point to nothing."""

    def build_extension(self, extension: Extension) -> None:
        library = Path(self.get_ext_fullpath(f"{LIBRARY}__mypyc"))
        source = extension.name.removeprefix("hootbus.").replace(".", "/") + ".py"
        if source in COMPILED and not library.exists():
            return
        super().build_extension(extension)


def compiled() -> list[Extension]:
    """The extensions; none where they are not wanted, or mypyc is not there, or nothing is built."""
    if os.environ.get("HOOTBUS_COMPILE") == "0" or not BUILDING & set(sys.argv):
        return []
    try:
        from mypyc.build import mypycify
    except ImportError:
        return []
    link_packages()
    os.environ["MYPYPATH"] = str(NAMED.parent)
    # Of what others wrote nothing need be known: values from there are checked as they arrive.
    options = ["--config-file=", "--namespace-packages", "--explicit-package-bases", "--ignore-missing-imports"]
    paths = [str(NAMED / path) for path in COMPILED]
    try:
        extensions = mypycify(
            [*options, *paths], opt_level=os.environ.get("HOOTBUS_OPT_LEVEL", "3"), group_name=LIBRARY
        )
    except SystemExit:
        # What is wrong it has said; it ends the whole installation by itself.
        print("hootbus: the hot path is not compiled: slower, same behaviour", file=sys.stderr)
        return []
    for extension in extensions:
        extension.optional = True
    return extensions


def link_packages() -> None:
    """Makes the links where they are missing, as in an unpacked source distribution."""
    NAMED.mkdir(parents=True, exist_ok=True)
    for folder in ("bus", "frames", "schemas", "workers"):
        link = NAMED / folder
        if not link.exists():
            link.symlink_to(Path("../..") / folder)


os.chdir(Path(__file__).resolve().parent)
setup(ext_modules=compiled(), cmdclass={"build_ext": BuildCompiled})
