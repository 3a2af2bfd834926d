"""Records: out of messages, into JSON, and back, with every odd value that there is on the way."""

import math
import pickle
from types import ModuleType
from typing import Final, TypeAlias

import pytest

from conformance import everything
from generated import odd_capnp, odd_types, other_bus, other_capnp, other_types
from hootbus.schemas import BodyError, Enumerant, FieldError, read_capnp, write_fields, write_struct
from hootbus.schemas.canonical import canonical_body
from hootbus.schemas.enumerant import EnumValue
from hootbus.schemas.records import UNSET, Record
from hootbus.workers.generated import ServiceClient

Modules: TypeAlias = tuple[ModuleType, ModuleType]

RECORDS: Final[list[Record]] = [
    odd_types.Point(x=math.inf, y=-0.0, tags=["", "é\n"]),
    odd_types.Words(from_="a", class_=-128, which_=True, self=2**64 - 1, bytes=b"\0\xff"),
    odd_types.Words(list=[-(2**63)], float=math.nan),
    odd_types.Words(type=odd_capnp.Step(17), property=odd_types.Point()),
    odd_types.Defaults(),
    odd_types.Defaults(
        flag=False, small=0, large=0, single=0.0, double=0.0, step=odd_capnp.Step.left, text="", data=b"", numbers=[],
        steps=[odd_capnp.Step(9)], matrix=[[], [0]], point=odd_types.Point(), points=[], shape=odd_types.Shape(),
    ),
    odd_types.Shape(nothing=None),
    odd_types.Shape(circle=odd_types.Shape.Circle(radius=1.5, centre=odd_types.Shape.Point(index=7))),
    odd_types.Shape(polygon=[odd_types.Shape.Point()], fill=odd_types.Shape.Fill(colour=other_types.Colour(red=1))),
    odd_types.Shape(corner=odd_types.Shape.Point(index=2**32 - 1)),
    odd_types.Shape(inner=odd_types.Shape(inner=odd_types.Shape(title=""))),
    odd_types.Tree(children=[odd_types.Tree(value="leaf"), odd_types.Tree(children=[odd_types.Tree()])]),
    odd_types.Tree(back=other_types.Leaf(tree=odd_types.Tree())),
    odd_types.Boxes(
        text=odd_types.Box(content="text"),
        points=odd_types.Box(content=[odd_types.Point(x=1.0)]),
        nested=odd_types.Box(content=odd_types.Box(content=b"inside")),
        lid=odd_types.Box.Lid(under="u", over=odd_types.Shape(title="t"), step=odd_capnp.Step.class_),
        pairs=[other_types.Pair(steps=1)],
    ),
]  # fmt: skip


def same(one: Record, other: Record) -> bool:
    """As bytes, since a NaN is not equal to itself."""
    return canonical_body(one.to_capnp().buffer) == canonical_body(other.to_capnp().buffer)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__qualname__)
def test_a_record_comes_back_from_a_message_and_from_json(record: Record) -> None:
    kind = type(record)
    there = kind.from_capnp(read_capnp(record.to_capnp().buffer, kind.capnp_type))
    assert same(there, record)
    assert same(kind.from_json(record.to_json()), record)


def test_a_message_with_everything_in_it_is_the_same_by_its_record(generated_forms: Modules) -> None:
    capnp, types = generated_forms
    fields = {name: value for name, value in everything.EVERYTHING.items() if name != "any"}
    body = write_fields(capnp.Everything, fields).buffer
    record = types.Everything.from_capnp(read_capnp(body, capnp.Everything))
    # A NaN is not equal to itself.
    assert repr(types.Everything.from_capnp(read_capnp(record.to_capnp().buffer, capnp.Everything))) == repr(record)
    assert repr(types.Everything.from_json(record.to_json())) == repr(record)


def test_a_record_has_the_defaults_of_the_schema() -> None:
    empty = write_struct(odd_capnp.Defaults).buffer
    assert odd_types.Defaults.from_capnp(read_capnp(empty, odd_capnp.Defaults)) == odd_types.Defaults()
    assert odd_types.Defaults().point == odd_types.Point(x=2.0, tags=["deep"])
    assert odd_types.Defaults().shape.which() == "circle"
    assert odd_types.Defaults().matrix == [[1], [], [2, 3]]
    # Each record has its own.
    odd_types.Defaults().numbers.append(4)
    assert odd_types.Defaults().numbers == [1, -2, 3]


def test_a_default_of_a_generic_struct_has_what_its_parameter_stands_for() -> None:
    assert odd_types.Defaults().box == odd_types.Box(content=odd_types.Point(x=4.0))
    assert odd_types.Defaults().boxes.content == [odd_capnp.Step.raw_]


def test_a_default_that_leads_to_itself_is_none() -> None:
    heir = odd_types.Heir()
    assert (heir.next, heir.others, heir.held, heir.will.estate) == (None, None, None, None)
    reader = read_capnp(heir.to_capnp().buffer, odd_capnp.Heir)
    assert odd_types.Heir.from_capnp(reader) == heir
    # To a reader it is what the schema says.
    assert (reader.next.name, reader.next.next.name, reader.others[0].name) == ("nobody", "nobody", "somebody")
    given = odd_types.Heir(next=odd_types.Heir(name="a"), others=[])
    assert odd_types.Heir.from_capnp(read_capnp(given.to_capnp().buffer, odd_capnp.Heir)) == given


def test_a_parameter_that_leads_nowhere_is_none() -> None:
    empty = write_struct(odd_capnp.Boxes, text={}, points={}).buffer
    boxes = odd_types.Boxes.from_capnp(read_capnp(empty, odd_capnp.Boxes))
    assert (boxes.text, boxes.points) == (odd_types.Box(), odd_types.Box())


def test_names_that_generated_modules_import_are_the_schemas_all_the_same() -> None:
    record = other_types.Record(
        inner=other_types.Record.Record(at=1), outer=[other_types.Record(inner=other_types.Record.Record(at=2))]
    )
    assert same(other_types.Record.from_json(record.to_json()), record)
    union = other_types.ClassVar(final=other_types.Final(any=None))
    assert other_types.ClassVar.from_capnp(read_capnp(union.to_capnp().buffer, other_capnp.ClassVar)) == union
    assert issubclass(other_bus.ServiceClient, ServiceClient)


def test_a_member_that_leads_nowhere_is_set_all_the_same() -> None:
    shape = odd_types.Shape(inner=None)
    there = odd_types.Shape.from_capnp(read_capnp(shape.to_capnp().buffer, odd_capnp.Shape))
    assert (there.which(), there.inner) == ("inner", None)


def test_of_a_union_one_member_is_set() -> None:
    assert odd_types.Shape().which() == "nothing"
    shape = odd_types.Shape(title="t")
    assert (shape.which(), shape.circle) == ("title", UNSET)
    shape.polygon = []
    with pytest.raises(FieldError, match="only one member"):
        shape.to_capnp()
    shape.title = UNSET
    assert odd_types.Shape.from_capnp(read_capnp(shape.to_capnp().buffer, odd_capnp.Shape)).which() == "polygon"


def test_what_only_newer_peers_know_is_survived_and_not_made_up(generated_forms: Modules) -> None:
    capnp, types = generated_forms
    newer = write_struct(capnp.New, colour=17, colours=[0, 9], three=4).buffer
    record = types.Old.from_capnp(read_capnp(newer, capnp.Old))
    assert (record.colour, record.colour.raw, record.colours[1].known) == ("(17)", 17, False)
    assert (record.which(), record.which().raw) == ("(2)", 2)
    with pytest.raises(FieldError, match="not known here"):
        record.to_capnp()


def test_json_that_does_not_fit_is_refused_with_its_path() -> None:
    with pytest.raises(BodyError, match=r"property\.x"):
        odd_types.Words.from_json('{"property": {"x": "far"}}')
    with pytest.raises(BodyError, match="no such field"):
        odd_types.Words.from_json('{"form": ""}')
    with pytest.raises(BodyError, match="UTF-8"):
        odd_types.Words.from_json(b"\xff")


def test_an_enum_is_a_class_that_readers_values_are_of() -> None:
    step = read_capnp(write_struct(odd_capnp.Words, type="split").buffer, odd_capnp.Words).type
    assert step == "split"
    assert step == odd_capnp.Step.split_
    assert isinstance(step, odd_capnp.Step)
    assert isinstance(odd_capnp.Step(17), odd_capnp.Step)
    assert not isinstance(Enumerant(0, "red"), odd_capnp.Step)
    assert not isinstance("split", odd_capnp.Step)
    assert [str(each) for each in odd_capnp.Step] == ["left", "right", "split", "class", "raw"]
    assert odd_capnp.Step("raw").raw == 4
    assert pickle.loads(pickle.dumps(odd_capnp.Step(1))) == odd_capnp.Step.right
    assert issubclass(odd_capnp.Step, EnumValue)
    with pytest.raises(ValueError, match="sideways"):
        odd_capnp.Step("sideways")
