"""What can change between two versions of a schema: each kind of change with its verdict, and what it means in words.

The verdict is about the two versions living side by side, on one bus, in both directions. What is fine in the bytes but
changes their JSON form or the programs written against the schema is said to need care.
"""

import enum
from typing import Final

import msgspec


class Verdict(enum.StrEnum):
    """Whether a change does harm."""

    COMPATIBLE = "compatible"
    CARE = "care"
    BREAKING = "breaking"


class Change(msgspec.Struct, frozen=True):
    """A difference between two versions of a schema.

    `kind` is one of `KINDS` and stays the same from version to version of hootbus; the rest is for people. `file` and
    `where` ("Clip.sampleRate") name what has changed, as the old version calls it, or the new one if it is new.
    `old_reader` is what a program with the old schema meets in a message written with the new one, `old_writer` what
    its own messages cause where the new one reads them.
    """

    verdict: Verdict
    file: str
    where: str
    kind: str
    reason: str
    old_reader: str
    old_writer: str

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


class Kind(msgspec.Struct, frozen=True):
    """A kind of change. In the words, `{was}` and `{now}` stand for what is different."""

    code: str
    verdict: Verdict
    reason: str
    old_reader: str
    old_writer: str

    def change(self, file: str, where: str, was: object = "", now: object = "") -> Change:
        """A change of this kind."""
        words = (each.format(was=was, now=now) for each in (self.reason, self.old_reader, self.old_writer))
        return Change(self.verdict, file, where, self.code, *words)


KINDS: Final[dict[str, Kind]] = {}

NOTHING: Final = "nothing different"
_NAMES: Final = "nothing different in the bytes; in JSON it is an unknown name"


def _kind(code: str, verdict: Verdict, reason: str, old_reader: str, old_writer: str) -> Kind:
    assert code not in KINDS, code
    KINDS[code] = kind = Kind(code, verdict, reason, old_reader, old_writer)
    return kind


def _compatible(code: str, reason: str, old_reader: str = NOTHING, old_writer: str = NOTHING) -> Kind:
    return _kind(code, Verdict.COMPATIBLE, reason, old_reader, old_writer)


def _care(code: str, reason: str, old_reader: str, old_writer: str) -> Kind:
    return _kind(code, Verdict.CARE, reason, old_reader, old_writer)


def _breaking(code: str, reason: str, old_reader: str, old_writer: str) -> Kind:
    return _kind(code, Verdict.BREAKING, reason, old_reader, old_writer)


# Fields

FIELD_ADDED: Final = _compatible(
    "field-added", "new field", "does not see it", "leaves it unset: the new reader gets its default, {now}"
)
FIELD_RETIRED: Final = _compatible("field-retired", "retired: it is called {now} now, and keeps its place")
FIELD_RENAMED: Final = _care("field-renamed", "renamed from {was} to {now}", _NAMES, _NAMES)
FIELD_NAME_REUSED: Final = _care(
    "field-name-reused",
    "the name is another field's now; what had it is called {now}",
    "nothing different in the bytes, but what it knows by this name is {now}; in JSON it meets the other field's value",
    "nothing different in the bytes, but what it writes by this name is {now}; in JSON it is taken for the other field",
)
GROUP_RENAMED: Final = _care("group-renamed", "the group is called {now}, not {was}", _NAMES, _NAMES)
FIELD_REGROUPED: Final = _care(
    "field-moved-between-groups",
    "moved from {was} to {now}, in the same bits",
    "nothing different in the bytes; in JSON it is in another place",
    "nothing different in the bytes; in JSON it is in another place",
)
FIELD_REMOVED: Final = _breaking(
    "field-removed",
    "removed; rename it to removed… instead, so that its number and place stay taken",
    "always reads its default",
    "what it writes there is never read, and the next field to be added will take it for its own",
)
FIELD_RENUMBERED: Final = _breaking(
    "field-renumbered",
    "its number was @{was} and is @{now}, so it lies elsewhere",
    "reads the bits of something else",
    "its value is read as something else",
)
FIELD_RENUMBERED_IN_PLACE: Final = _care(
    "field-renumbered-in-place", "its number was @{was} and is @{now}; it happens to lie where it was", NOTHING, NOTHING
)
FIELD_MOVED: Final = _breaking(
    "field-moved",
    "it lies elsewhere in the struct, at {now}, not {was}: something before it has changed",
    "reads the bits of something else",
    "its value is read as something else",
)
FIELD_TYPE_CHANGED: Final = _breaking(
    "field-type-changed",
    "was {was}, is {now}",
    "reads the bits of a value as {was} that were written as {now}, or gets an error",
    "its {was} is read as {now}, or refused",
)
FIELD_SPECIALISED: Final = _care(
    "field-specialised",
    "was {was}, says now what that has to be: {now}",
    NOTHING,
    "what it writes there is refused or misread if it is no {now}",
)
FIELD_WIDENED: Final = _care(
    "field-widened", "was {was}, may be more: {now}", "gets an error where it is no {was}", NOTHING
)
FIELD_GENERIC: Final = _care(
    "field-made-generic",
    "was {was}, is the parameter {now}",
    "gets an error where the parameter stands for anything but {was}",
    "nothing different where the parameter stands for {was}",
)
FIELD_RESPELLED: Final = _care(
    "field-respelled",
    "was {was}, is {now}, which is the same bits",
    "the same bits, as {was}; their JSON form may differ",
    "the same bits, as {now}; their JSON form may differ",
)
TEXT_TO_DATA: Final = _care(
    "field-text-to-data",
    "was {was}, is {now}",
    "gets an error where the bytes do not end with a zero byte or are not UTF-8",
    "the zero byte that ends its text is the last of the bytes",
)
DATA_TO_TEXT: Final = _breaking(
    "field-data-to-text",
    "was {was}, is {now}",
    "gets a zero byte more, which ends the text",
    "its bytes are refused unless they end with a zero byte and are UTF-8",
)
FIELD_FROM_VOID: Final = _care(
    "field-void-to-value", "had no value, is {now}", "does not see the value", "the new reader gets its default"
)
FIELD_TO_VOID: Final = _breaking(
    "field-value-to-void", "was {was}, has no value any more", "always reads its default", "its value is never read"
)
ELEMENTS_TO_STRUCTS: Final = _care(
    "list-elements-to-structs",
    "was {was}, is {now}, whose first field they are",
    "reads the first field of each element, in a list with gaps; the canonical form is another",
    "each element is a struct that has the first field and the defaults of the others",
)
ELEMENTS_FROM_STRUCTS: Final = _breaking(
    "list-elements-from-structs",
    "was {was}, is {now}, only their first field",
    "each element is a struct that has the first field and the defaults of the others",
    "of each element only the first field is read",
)
DEFAULT_CHANGED: Final = _breaking(
    "field-default-changed",
    "the default was {was}, is {now}",
    "reads another value than was written: a value is told by how it differs from the default",
    "another value is read than it wrote: a value is told by how it differs from the default",
)
POINTER_DEFAULT_CHANGED: Final = _breaking(
    "field-pointer-default-changed",
    "the default has changed",
    "reads the old default where nothing was set",
    "where it has set nothing, the new default is read",
)

# Unions

ARM_ADDED: Final = _care(
    "union-member-added", "new member of the union", "does not know it where it is set: which() is ({now})", NOTHING
)
ARM_REMOVED: Final = _breaking(
    "union-member-removed",
    "no longer a member of the union; rename it to removed… instead",
    NOTHING,
    "where it has set it, the new reader does not know what is set",
)
ARM_RENUMBERED: Final = _breaking(
    "union-member-renumbered",
    "its number in the union was {was}, is {now}",
    "takes another member for it",
    "another member is taken for it",
)
UNION_ADDED: Final = _compatible(
    "union-added", "new union", "does not see it", "the new reader finds its first member set, with its default"
)
UNION_MOVED: Final = _breaking(
    "union-moved",
    "which member is set is said elsewhere in the struct: something before the union has changed",
    "takes other members for set than were set",
    "other members are taken for set than it has set",
)
INTO_UNION: Final = _care(
    "field-moved-into-union",
    "has become a member of a new union",
    "reads what lies in its place where another member is set, perhaps of another type",
    "the field is set, as before",
)
INTO_UNION_LATE: Final = _breaking(
    "field-moved-into-union-late",
    "has become member {now} of a union: only one field can, which then is member 0",
    "reads what lies in its place where another member is set",
    "its value is lost: the new reader finds member 0 set",
)
INTO_OLD_UNION: Final = _breaking(
    "field-moved-into-existing-union",
    "has become a member of a union that was there already",
    "reads its default or what lies in its place, whichever member is set",
    "its value is lost, or overwritten by a member's",
)
OUT_OF_UNION: Final = _breaking(
    "field-moved-out-of-union",
    "is no longer a member of the union",
    "may find another member set while this one has a value",
    "where another member is set, its bits are read as this field's",
)

# Enums

ENUMERANT_ADDED: Final = _care(
    "enumerant-added",
    "new enumerant",
    "meets a value it has no name for, ({now}); some languages raise an error",
    NOTHING,
)
ENUMERANT_RETIRED: Final = _compatible("enumerant-retired", "retired: it is called {now} now, and keeps its number")
ENUMERANT_RENAMED: Final = _care("enumerant-renamed", "renamed from {was} to {now}", _NAMES, _NAMES)
ENUMERANT_NAME_REUSED: Final = _care(
    "enumerant-name-reused",
    "the name is another enumerant's now; what had it is called {now}",
    "nothing different in the bytes, but what it knows by this name is {now}; in JSON it takes the other one for it",
    "nothing different in the bytes, but what it writes by this name is {now}; in JSON it is taken for the other one",
)
ENUMERANT_REMOVED: Final = _breaking(
    "enumerant-removed",
    "removed; rename it to removed… instead, so that its number stays taken",
    NOTHING,
    "where it uses it, the new reader has no name for it",
)
ENUMERANT_RENUMBERED: Final = _breaking(
    "enumerant-renumbered",
    "its number was @{was}, is @{now}",
    "takes another enumerant for it",
    "another enumerant is taken for it",
)

# Interfaces

METHOD_ADDED: Final = _compatible("method-added", "new method", "a worker of old is not asked for it", "never calls it")
METHOD_REMOVED: Final = _breaking(
    "method-removed", "removed", "whoever calls it is refused as unknown", "whoever calls it is refused as unknown"
)
METHOD_RENAMED: Final = _breaking(
    "method-renamed",
    "renamed to {now}; on the bus methods are called by their names",
    "whoever calls it is refused as unknown",
    "whoever calls it is refused as unknown",
)
METHOD_RENUMBERED: Final = _breaking(
    "method-renumbered",
    "its number was @{was}, is @{now}; Cap'n Proto's own RPC calls methods by number",
    "nothing different on the bus; over RPC another method answers",
    "nothing different on the bus; over RPC another method is called",
)
METHOD_TYPE_CHANGED: Final = _breaking(
    "method-type-changed",
    "its {was}, is {now}",
    "reads the reply as another type",
    "its request is read as another type",
)
SUPERCLASS_ADDED: Final = _compatible("superclass-added", "extends {now}, too")
SUPERCLASS_REMOVED: Final = _breaking(
    "superclass-removed",
    "no longer extends {was}",
    "whoever calls its methods is refused as unknown",
    "whoever calls its methods is refused as unknown",
)
SUPERCLASS_CHANGED: Final = _breaking(
    "superclass-changed",
    "extended {was}, extends {now}",
    "meets other types where it calls its methods",
    "other types are met where it calls its methods",
)

# Types

TYPE_ADDED: Final = _compatible("type-added", "new {now}")
TYPE_REMOVED: Final = _breaking(
    "type-removed", "removed", "gets no messages of it any more", "nobody can read what it writes"
)
TYPE_RENAMED: Final = _care(
    "type-renamed",
    "renamed to {now}; its id has stayed",
    "nothing different in the bytes; programs that name it have to be changed",
    "nothing different in the bytes; programs that name it have to be changed",
)
TYPE_MOVED: Final = _care(
    "type-moved",
    "moved to {now}; its id has stayed",
    "nothing different in the bytes; programs that import it have to be changed",
    "nothing different in the bytes; programs that import it have to be changed",
)
TYPE_ID_CHANGED: Final = _breaking(
    "type-id-changed",
    "its id was {was}, is {now}: to the bus it is another type",
    "refuses its messages",
    "its messages are refused",
)
TYPE_RENAMED_WITHOUT_ID: Final = _breaking(
    "type-renamed-without-id",
    "is {now} now, with another id: to the bus it is another type; write `{was}` behind the new name",
    "refuses its messages",
    "its messages are refused",
)
TYPE_KIND_CHANGED: Final = _breaking(
    "type-kind-changed", "was {was}, is {now}", "reads nothing that makes sense", "nothing it writes makes sense"
)
FILE_ID_CHANGED: Final = _care(
    "file-id-changed",
    "the file's id was {was}, is {now}; the ids of types that do not say their own follow from it",
    NOTHING,
    NOTHING,
)
PARAMETERS_CHANGED: Final = _care(
    "type-parameters-changed",
    "its parameters were ({was}), are ({now})",
    "nothing different in the bytes, but where a field says so",
    "nothing different in the bytes, but where a field says so",
)

# Constants and annotations

CONST_ADDED: Final = _compatible("const-added", "new constant")
CONST_CHANGED: Final = _care(
    "const-changed",
    "the constant has another value or type",
    "programs go on with the old value until they are built again",
    "programs go on with the old value until they are built again",
)
CONST_REMOVED: Final = _care(
    "const-removed",
    "the constant is removed",
    "programs that name it do not build",
    "programs that name it do not build",
)
ANNOTATION_ADDED: Final = _compatible("annotation-declaration-added", "new annotation")
ANNOTATION_CHANGED: Final = _care(
    "annotation-declaration-changed",
    "the annotation has another type, or may stand elsewhere",
    "nothing different in the bytes; schemas that use it may not compile",
    "nothing different in the bytes; schemas that use it may not compile",
)
ANNOTATION_REMOVED: Final = _care(
    "annotation-declaration-removed",
    "the annotation is removed",
    "nothing different in the bytes; schemas that use it do not compile",
    "nothing different in the bytes; schemas that use it do not compile",
)
ANNOTATIONS_APPLIED: Final = _compatible("annotations-changed", "its annotations have changed")
JSON_FORM: Final = _care(
    "json-form-changed",
    "its annotations change its JSON form",
    "nothing different in the bytes; in JSON it is not understood",
    "nothing different in the bytes; in JSON it is not understood",
)
