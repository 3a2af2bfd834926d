"""Loading `.capnp` files, once each, in one parser that is never given up.

Three facts shape this. A schema whose parser was collected dangles, so there is one parser, for the life of the
process. A file that does not compile, or whose id is taken, aborts the process inside Cap'n Proto, so a file that is
not our own is compiled in a child process first, after everything this process has loaded. And every load of one file
makes new Python classes, so a second load answers with the first one's module.
"""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Final

import capnp

from hootbus.schemas.errors import SchemaError
from hootbus.schemas.structs import StructType, is_struct_type

PACKAGED: Final = Path(__file__).resolve().parent
CHECK_SECONDS_MAX: Final = 30.0

# For `import "/capnp/c++.capnp"`, and because `-> stream` makes the compiler look for `/capnp/stream.capnp`.
CAPNP_IMPORTS: Final = str(Path(capnp.__file__).resolve().parent.parent)

# What the child runs: load all files in order, and leave no core file behind when Cap'n Proto aborts.
CHECK: Final = """
import json, resource, sys
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
work = json.load(sys.stdin)
sys.path[:] = work["path"]
import capnp
parser = capnp.SchemaParser()
for file, imports in work["files"]:
    parser.load(file, imports=imports)
"""

# "dir/name.capnp:3: failed: Not defined: Foo", the line counted from 0.
COMPLAINT: Final = re.compile(r"(?P<file>[^\s:]+):(?P<line>\d+): failed: (?P<message>.+)")


class Loader:
    """A parser, and the modules of the files it has loaded."""

    def __init__(self) -> None:
        self._parser = capnp.SchemaParser()
        self._modules: dict[Path, ModuleType] = {}
        self._loaded: list[tuple[str, list[str]]] = []
        self._lock = threading.Lock()

    def load(self, path: Path, imports: Sequence[str | Path], *, trusted: bool) -> ModuleType:
        path = path.resolve()
        with self._lock:
            if path in self._modules:
                return self._modules[path]
            if not path.is_file():
                raise SchemaError(path, 0, "no such file")
            entry = (str(path), [*(str(Path(folder).resolve()) for folder in imports), CAPNP_IMPORTS])
            if not trusted:
                check(path, [*self._loaded, entry])
            module: ModuleType = self._parser.load(entry[0], imports=entry[1])
            self._modules[path] = module
            self._loaded.append(entry)
            return module

    def schema_of(self, type_id: int) -> StructType | None:
        found = self._parser.modules_by_id.get(type_id)
        return found if is_struct_type(found) else None


def check(path: Path, files: Sequence[tuple[str, list[str]]]) -> None:
    """Compile the files, the last of them being `path`, in a child process. Raises SchemaError if that fails."""
    work = json.dumps({"path": sys.path, "files": files})
    try:
        child = subprocess.run(
            [sys.executable, "-c", CHECK],
            input=work,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=CHECK_SECONDS_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SchemaError(path, 0, f"not compiled within {CHECK_SECONDS_MAX:.0f} s") from error
    if child.returncode == 0:
        return
    complaint = COMPLAINT.search(child.stderr)
    if complaint is None:
        said = child.stderr.strip().splitlines()
        raise SchemaError(path, 0, said[-1] if said else f"the compiler ended with status {child.returncode}")
    line, message = int(complaint["line"]) + 1, complaint["message"]
    if Path(complaint["file"]).name != path.name:
        # The fault is in a file that this one imports; its line there is no line of ours.
        raise SchemaError(path, 0, f"{complaint['file']}:{line}: {message}")
    raise SchemaError(path, line, message)


_LOADER: Final = Loader()


def load(path: str | Path, imports: Sequence[str | Path] = ()) -> ModuleType:
    """The module of a `.capnp` file: its structs, enums and constants are its attributes.

    `imports` are the folders in which `import "/..."` looks. The same file gives the same module every time, also if
    it has changed since. Raises SchemaError.
    """
    return _LOADER.load(Path(path), imports, trusted=False)


def load_packaged(name: str) -> ModuleType:
    """One of our own files, which the tests have compiled: no child process needed."""
    return _LOADER.load(PACKAGED / f"{name}.capnp", (), trusted=True)


def schema_of(type_id: int) -> StructType | None:
    """The struct with this type id among the files loaded so far (a file that was only imported is not among them)."""
    return _LOADER.schema_of(type_id)
