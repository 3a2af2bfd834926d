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
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Final

import capnp

from hootbus.schemas import model
from hootbus.schemas.copies import CAPNP_IMPORTS, CAPNP_OWN, PACKAGED, Copies, Copy
from hootbus.schemas.errors import SchemaError
from hootbus.schemas.loaded import LOADED, LoadedSchema
from hootbus.schemas.structs import SchemaStruct, StructType, is_struct_type
from hootbus.schemas.tokens import has_id, references, tokens_of

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
    """A parser, and the modules of the files it has loaded.

    `loaded` is told of each. What lies in the folders `own` is known to compile. `bare` modules have nothing but what
    was parsed, `schema`. They and the parser go with the last of them; pycapnp's refer to each other and to their
    parser, which keeps its files open until garbage is collected.
    """

    def __init__(self, loaded: LoadedSchema, own: Sequence[Path] = (CAPNP_OWN,), *, bare: bool = False) -> None:
        # Cap'n Proto asks for it too, and aborts if that folder was deleted.
        os.getcwd()
        self._parser = capnp.SchemaParser()
        self._known = loaded
        self._bare = bare
        self._modules: dict[Path, ModuleType] = {}
        self._copies = Copies(own)
        self._loaded: list[str] = []
        self._lock = threading.Lock()

    def load(self, paths: Sequence[Path], imports: Sequence[str | Path]) -> list[ModuleType]:
        """The modules of the files, in order."""
        with self._lock:
            missing: list[Path] = []
            for path in paths:
                real = self._copies.file(path)
                if real in self._modules:
                    continue
                if not os.path.isfile(real):
                    raise SchemaError(real, 0, 0, "not a file" if os.path.exists(real) else "no such file")
                if self._copies.is_own(real):
                    self.load_own(real)
                else:
                    missing.append(path.absolute())
            if missing:
                self._load_checked(missing, [*(os.path.abspath(folder) for folder in imports)])
            return [self._modules[self._copies.file(path)] for path in paths]

    def schema_of(self, type_id: int) -> StructType | None:
        found = self._parser.modules_by_id.get(type_id)
        if is_struct_type(found):
            return found
        # Of a generated module, or of a file of Cap'n Proto's own that was only imported.
        node = self._known.find(type_id) if type_id else None
        is_struct = node is not None and isinstance(node.body, model.Struct) and not node.body.is_group
        return SchemaStruct(self._known, type_id) if is_struct else None

    def _load_checked(self, paths: Sequence[Path], imports: Sequence[str]) -> None:
        """Load the files and those they import, each as a module: a peer may send any of their structs."""
        copies = self._copies.take(paths, [*imports, CAPNP_IMPORTS])
        schemas = [copy for copy in copies if not copy.key.embedded]
        with self._copies.laid_out(copies) as folder:
            files = [str(folder / copy.name) for copy in schemas]
            # Whole, as here, and not only what the files take of them.
            needed = self._own_needed(each for it in schemas for each in self._copies.own_imports(it.original))
            check([*self._loaded, *files, *map(str, needed)], [*copies, *self._copies.kept])
            self._check_generated(files, [copy.key.path for copy in schemas])
            for copy, file in zip(schemas, files, strict=True):
                self._modules[copy.key.path] = module = self._load(file, copy.original.text)
                module.__file__ = str(copy.key.path)
                module.__path__ = [str(copy.key.path.parent)]
            for path in needed:
                self._modules[path] = self._load(str(path), path.read_bytes)
        self._copies.keep(copies)

    def _check_generated(self, files: Sequence[str], paths: Sequence[Path]) -> None:
        """Whether generated modules agree, found out by a parser that is given up: ours would keep the files."""
        if not self._known.has_generated:
            return
        parser = capnp.SchemaParser()
        for file, path in zip(files, paths, strict=True):
            if (clash := self._known.clash(_bare(parser, file))) is not None:
                message = f"a generated module has brought another version of {clash}"
                raise SchemaError(path, 0, 0, message)

    def _load(self, file: str, source: Callable[[], bytes]) -> ModuleType:
        module: ModuleType = (
            _bare(self._parser, file) if self._bare else self._parser.load(file, imports=[CAPNP_IMPORTS])
        )
        self._loaded.append(file)
        self._known.add(module, source)
        return module

    def imports(self, module: ModuleType) -> list[tuple[int, str]]:
        """The files that a file imports: their ids, and the names that stand there."""
        file = Path(str(module.__file__))
        original = self._copies.original(file)
        names = references(original.tokens)
        return sorted(
            (int(self._modules[original.targets[number].path].schema.node.id), name)
            for number, name, embedded in names
            if not embedded
        )

    def load_own(self, file: Path) -> None:
        """A file of ours, or of Cap'n Proto's, and those that it imports."""
        for path in self._own_needed([file]):
            self._modules[path] = self._load(str(path), path.read_bytes)

    def _own_needed(self, files: Iterable[Path]) -> list[Path]:
        """Those of the files, all of them own, and of those that they import, that are not loaded yet."""
        found: dict[Path, None] = {}
        waiting = [*files]
        while waiting:
            file = waiting.pop()
            if file not in found and file not in self._modules:
                found[file] = None
                waiting += self._copies.own_imports(self._copies.original(file))
        return [*found]


def _bare(parser: capnp.SchemaParser, file: str) -> ModuleType:
    """A module that has nothing but what was parsed, `schema`."""
    module = ModuleType(os.path.basename(file))
    schema = parser._parse_disk_file(module.__name__, file, [CAPNP_IMPORTS])
    # As pycapnp's do: what was parsed dangles without its parser.
    module.__dict__.update(schema=schema, _parser=parser)
    module.__file__ = file
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


_LOADER: Final = Loader(LOADED, own=(PACKAGED, CAPNP_OWN))


def load(path: str | Path, imports: Sequence[str | Path] = ()) -> ModuleType:
    """The module of a `.capnp` file: its structs, enums, interfaces and constants are its attributes.

    `imports` are the folders in which `import "/..."` looks. The files that it imports are loaded with it. The same
    file gives the same module every time, also if it has changed since; a copy of one of hootbus's own files, with its
    name and bytes, gives that one's. It takes some 60 ms, as a child process compiles the file first. Raises
    SchemaError, and OSError if there is no room for temporary files.
    """
    return _LOADER.load([Path(path)], imports)[0]


def load_packaged(name: str) -> ModuleType:
    """One of our own files, which the tests have compiled: no child process needed."""
    return _LOADER.load([PACKAGED / f"{name}.capnp"], ())[0]


def schema_of(type_id: int) -> StructType | None:
    """The struct with this type id in what was loaded so far, nested ones and those of imported files among them."""
    return _LOADER.schema_of(type_id)
