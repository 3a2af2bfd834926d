"""Annotations that are applied: those that say how the JSON form looks, and all others, on which nothing depends."""

from typing import Final

from hootbus.schemas import model
from hootbus.schemas.evolution import changes
from hootbus.schemas.evolution.versions import Report

# Of Cap'n Proto's own `/capnp/compat/json.capnp`: name, flatten, discriminator, base64, hex.
JSON_FORM: Final = frozenset(
    {0xFA5B_1FD6_1C2E_7C3D, 0x82D3_E852_AF03_36BF, 0xCFA7_94E8_D19A_0162, 0xD7D8_7945_0A25_3E4B, 0xF061_E22F_0AE5_C7B5}
)


def report_annotations(
    report: Report, member: str, old: tuple[model.Annotation, ...], new: tuple[model.Annotation, ...]
) -> None:
    """Reports what has changed about the annotations of a node, or of a member of it."""
    # As text, as a value may be NaN.
    was, now = ({(each.id, repr(each.value)) for each in found} for found in (old, new))
    changed = {number for number, _ in was ^ now}
    if changed & JSON_FORM:
        report.add(changes.JSON_FORM, member)
    if changed - JSON_FORM:
        report.add(changes.ANNOTATIONS_APPLIED, member)
