"""Names of a schema as Python's: the same word wherever that is possible, and never one that is taken.

Cap'n Proto's names have no underscore, which is what keeps the two apart: a name that Python needs for itself gets one
behind it, what a generated module needs besides gets one in front.
"""

import keyword
import posixpath
import re
from collections.abc import Iterator
from typing import Final

from hootbus.schemas import model
from hootbus.schemas.readers import attribute_name

_ARGUMENTS: Final = frozenset({"self", "cls"})


def plain_name(name: str) -> str:
    """The name of a declaration, an argument or a method: as it is, unless it is a word of Python's."""
    return name + "_" if keyword.iskeyword(name) else name


def argument_name(name: str) -> str:
    """The name of a field as a keyword of a function."""
    return name + "_" if name in _ARGUMENTS else attribute_name(name)


def class_name(name: str, taken: frozenset[str]) -> str:
    """What the class of a group or of a parameter list is called, among others of the same scope."""
    made = plain_name(name[:1].upper() + name[1:])
    while made in taken:
        made += "_"
    return made


def params_name(node: model.Node) -> tuple[str, str]:
    """Of a method's parameter list: the interface's path in the file, and the name of the list's class there.

    "Prover.embed$Params" is `EmbedParams` in `Prover`.
    """
    scope, _, name = node.path.rpartition(".")
    method, _, kind = name.partition("$")
    return scope, method[:1].upper() + method[1:] + kind


def module_path(file_name: str) -> str:
    """The path of a file's generated modules without their endings: "studio/clip" for "studio/clip.capnp"."""
    parts = posixpath.normpath(file_name.removesuffix(".capnp")).strip("/").split("/")
    return "/".join(_module_name(part) for part in parts if part not in ("", ".", ".."))


def local_path(importing: str, name: str) -> str:
    """The name of a file as the importing one's folder has it; "/..." stands for itself."""
    return name if name.startswith("/") else posixpath.join(posixpath.dirname(importing), name)


def _module_name(part: str) -> str:
    made = re.sub(r"\W", "_", part, flags=re.ASCII)
    return f"_{made}" if made[:1].isdigit() else made


def declared_names(schema: model.Schema, file_id: int) -> frozenset[str]:
    """Every name that a file declares, wherever in it: no import of a generated module may take one of them."""
    found: set[str] = set()
    for node in nodes_within(schema, file_id):
        found.update(nested.name for nested in node.nested)
        found.update(f"_{parameter}" for parameter in node.parameters)
        body = node.body
        if isinstance(body, model.Struct):
            found.update(field.name for field in body.fields)
            found.update(
                field.name[:1].upper() + field.name[1:] for field in body.fields if isinstance(field.place, model.Group)
            )
        elif isinstance(body, model.Enum):
            found.update(enumerant.name for enumerant in body.enumerants)
        elif isinstance(body, model.Interface):
            found.update(method.name for method in body.methods)
    return frozenset(found)


def nodes_within(schema: model.Schema, node_id: int) -> Iterator[model.Node]:
    """A node, all that is declared in it, the groups of its structs and the parameter lists of its methods."""
    node = schema.node(node_id)
    yield node
    for nested in node.nested:
        # A reader of a newer schema than the one it came with may miss some.
        if schema.find(nested.id) is not None:
            yield from nodes_within(schema, nested.id)
    for inner in inner_ids(schema, node):
        yield from nodes_within(schema, inner)


def inner_ids(schema: model.Schema, node: model.Node) -> Iterator[int]:
    """What belongs to a node without a name of its own: groups, parameter lists."""
    body = node.body
    if isinstance(body, model.Struct):
        yield from (field.place.id for field in body.fields if isinstance(field.place, model.Group))
    elif isinstance(body, model.Interface):
        for method in body.methods:
            for kind in (method.request, method.reply):
                if is_parameter_list(schema.node(kind.id)):
                    yield kind.id


def is_parameter_list(node: model.Node) -> bool:
    """Whether a struct is one that a method's parentheses have made."""
    return not node.scope_id and isinstance(node.body, model.Struct)
