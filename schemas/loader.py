"""Loading `.capnp` files, once each, in one parser that is never given up.

Three facts shape this. A schema whose parser was collected dangles, so there is one parser, for the life of the
process. A file that does not compile, or whose id is taken, aborts the process inside Cap'n Proto, so a file that is
not our own is compiled in a child process first, after everything this process has loaded, and from the same copy (see
copies). And every load of one file makes new Python classes, so a second load answers with the first one's module.
"""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Final

import capnp

from hootbus.schemas.copies import CAPNP_IMPORTS, PACKAGED, Copies, Copy, is_packaged
from hootbus.schemas.errors import SchemaError
from hootbus.schemas.structs import StructType, is_struct_type
from hootbus.schemas.tokens import has_id, tokens_of

CHECK_SECONDS_MAX: Final = 30.0

# What the child runs: load all files in order, and leave no core file behind when Cap'n Proto aborts. It has a quarter
# of our stack, so that what is not nested too deeply for the child is not so here, in whatever thread.
CHECK: Final = """
import json, resource, sys
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
work = json.load(sys.stdin)
sys.path.append(work["imports"])
import capnp
stack, most = resource.getrlimit(resource.RLIMIT_STACK)
resource.setrlimit(resource.RLIMIT_STACK, (2 << 20 if stack == resource.RLIM_INFINITY else stack // 4, most))
parser = capnp.SchemaParser()
for file in work["files"]:
    parser.load(file, imports=[work["imports"]])
"""

# "hootbus-9f86d081/name.capnp:3: failed: Not defined: Foo", where name.capnp is the copy, and 3 its line from 0.
COMPLAINT: Final = re.compile(r"(?P<copy>[\w.+-]+\.capnp):(?P<line>\d+): failed: (?P<message>.+)")

DUPLICATE: Final = re.compile(r"Duplicate ID @0x(?P<id>[0-9a-f]+)\.")


class Loader:
    """A parser, and the modules of the files it has loaded."""

    def __init__(self) -> None:
        # Cap'n Proto asks for it too, and aborts if that folder was deleted.
        os.getcwd()
        self._parser = capnp.SchemaParser()
        self._modules: dict[Path, ModuleType] = {}
        self._copies = Copies()
        self._loaded: list[str] = []
        self._lock = threading.Lock()

    def load(self, path: Path, imports: Sequence[str | Path]) -> ModuleType:
        with self._lock:
            real = self._copies.file(path)
            if real not in self._modules:
                if not os.path.isfile(real):
                    raise SchemaError(real, 0, 0, "not a file" if os.path.exists(real) else "no such file")
                if is_packaged(real):
                    self._modules[real] = self._load(real)
                else:
                    self._load_checked(path.absolute(), [*(os.path.abspath(folder) for folder in imports)])
            return self._modules[real]

    def schema_of(self, type_id: int) -> StructType | None:
        found = self._parser.modules_by_id.get(type_id)
        return found if is_struct_type(found) else None

    def _load_checked(self, path: Path, imports: Sequence[str]) -> None:
        """Load the file and those it imports, each as a module: a peer may send any of their structs."""
        copies = self._copies.take(path, [*imports, CAPNP_IMPORTS])
        schemas = [copy for copy in copies if not copy.key.embedded]
        with self._copies.laid_out(copies) as folder:
            check([*self._loaded, *(str(folder / copy.name) for copy in schemas)], [*copies, *self._copies.kept])
            for copy in schemas:
                self._modules[copy.key.path] = module = self._load(folder / copy.name)
                module.__file__ = str(copy.key.path)
                module.__path__ = [str(copy.key.path.parent)]
        self._copies.keep(copies)

    def _load(self, file: Path) -> ModuleType:
        module: ModuleType = self._parser.load(str(file), imports=[CAPNP_IMPORTS])
        self._loaded.append(str(file))
        return module


def check(files: Sequence[str], copies: Sequence[Copy]) -> None:
    """Compile the files in a child process. Raises SchemaError of the copy with a mistake, else of the first."""
    work = json.dumps({"files": files, "imports": CAPNP_IMPORTS})
    try:
        child = subprocess.run(
            # Python with nothing but the standard library, to which CHECK adds capnp: it starts in a third of the time.
            [sys.executable, "-I", "-S", "-c", CHECK],
            input=work,
            capture_output=True,
            text=True,
            errors="replace",
            # Ours may have been deleted; see Loader.
            cwd="/",
            timeout=CHECK_SECONDS_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SchemaError(copies[0].key.path, 0, 0, f"not compiled within {CHECK_SECONDS_MAX:.0f} s") from error
    if child.returncode:
        raise fault(child.returncode, child.stderr, copies)


def fault(status: int, said: str, copies: Sequence[Copy]) -> SchemaError:
    """What the compiler has said before it aborted, of the file that was read and not of its copy."""
    by_name = {copy.name: copy for copy in copies}
    for complaint in COMPLAINT.finditer(said):
        if copy := by_name.get(complaint["copy"]):
            place = copy.original.position(int(complaint["line"]))
            return SchemaError(copy.key.path, *place, _explained(complaint["message"], copy, copies))
    if status in (-signal.SIGSEGV, -signal.SIGBUS):
        return SchemaError(copies[0].key.path, 0, 0, "nested too deeply: the compiler has overflowed its stack")
    last = said.strip().splitlines()[-1:] or [f"the compiler ended with status {status}"]
    return SchemaError(copies[0].key.path, 0, 0, last[0])


def _explained(message: str, blamed: Copy, copies: Sequence[Copy]) -> str:
    """What the compiler has said, and of an id that is taken, by which other file."""
    taken = DUPLICATE.match(message)
    if taken is None:
        return message
    number = int(taken["id"], 16)
    for own in sorted(PACKAGED.glob("*.capnp")):
        if has_id(tokens_of(own.read_bytes()), number):
            return f"Duplicate ID @{number:#x}: hootbus brings a schema with this id already, {own}"
    for copy in copies:
        if copy is not blamed and has_id(copy.original.tokens, number):
            return f"Duplicate ID @{number:#x}: {copy.key.path} has it, too"
    return message


_LOADER: Final = Loader()


def load(path: str | Path, imports: Sequence[str | Path] = ()) -> ModuleType:
    """The module of a `.capnp` file: its structs, enums, interfaces and constants are its attributes.

    `imports` are the folders in which `import "/..."` looks. The files that it imports are loaded with it. The same
    file gives the same module every time, also if it has changed since; a copy of one of hootbus's own files, with its
    name and bytes, gives that one's. It takes some 60 ms, as a child process compiles the file first. Raises
    SchemaError, and OSError if there is no room for temporary files.
    """
    return _LOADER.load(Path(path), imports)


def load_packaged(name: str) -> ModuleType:
    """One of our own files, which the tests have compiled: no child process needed."""
    return _LOADER.load(PACKAGED / f"{name}.capnp", ())


def schema_of(type_id: int) -> StructType | None:
    """The struct with this type id in the files loaded so far, nested ones and those of imported files among them."""
    return _LOADER.schema_of(type_id)
