"""The compiled schemas against the layouts that other peers rely on, written down a second time.

Cap'n Proto places a field by its ordinal and type alone, so names, ordinals and types are the layout. Where our own
codecs read at fixed offsets, the offsets are checked too.
"""

import re
from types import ModuleType

import pytest

from hootbus.schemas import StructType, schema_of, standard, type_id

# Fields in the order of their ordinals; without a type: Text; capitals: a struct or enum; [T]: a list.
STRUCTS = {
    "common": """
        Uuid(low:uint64 high:uint64) Timestamp(nanos:uint64) Error(code message details)
    """,
    "envelope": """
        Envelope(id:Uuid traceparent payload:Payload)
        WorkerRegistration(workerId:Uuid workerType:WorkerType workerName capabilities:[text] hostname version
            slots:uint32 methods:[Method] extensionVersion:uint16 lostAfterMs:uint32 pid:uint32)
        Method(name isDefault:bool requestType:uint64 replyType:uint64 requestFingerprint:uint64
            replyFingerprint:uint64)
        Pong(workerId:Uuid uptimeSecs:uint64) ShutdownRequest(reason)
    """,
    "tools": "ToolCall(name args)",
    "garden": """
        Seek(beat:float64) SetTempo(bpm:float64)
        CreateRegion(position:float64 duration:float64 behaviorType contentId) DeleteRegion(regionId)
        MoveRegion(regionId newPosition:float64) GetRegions(start:float64 end:float64)
        TransportSeek(positionBeats:float64) TimelineQuery(fromBeats:float64 toBeats:float64)
        TimelineAddMarker(positionBeats:float64 markerType metadata)
        TimelineEvent(eventType:TimelineEventType positionBeats:float64 tempo:float64 metadata)
    """,
    "jobs": """
        JobInfo(jobId status:JobStatus source result error createdAt:uint64 startedAt:uint64 completedAt:uint64)
        JobStoreStats(total:uint32 pending:uint32 running:uint32 completed:uint32 failed:uint32 cancelled:uint32)
        JobPoll(jobIds:[text] timeoutMs:uint64 mode:PollMode) JobCancel(jobId) JobList(status) JobStatusRequest(jobId)
    """,
    "broadcast": """
        ConfigUpdate(key value) ShutdownBroadcast(reason) ScriptInvalidate(hash) JobStateChanged(jobId state result)
        Progress(jobId percent:float32 message) ArtifactCreated(artifactId contentHash tags:[text] creator)
        TransportStateChanged(state positionBeats:float64 tempoBpm:float64)
        MarkerReached(positionBeats:float64 markerType metadata)
        BeatTick(timestamp:Timestamp beat:uint64 positionBeats:float64 tempoBpm:float64) Log(level message source)
    """,
}

ENUMS = {
    "common.WorkerType": "hootenanny chaosgarden vibeweaver",
    "garden.TimelineEventType": "sectionChange beatMarker cuePoint generateTransition",
    "jobs.JobStatus": "pending running complete failed cancelled",
    "jobs.PollMode": "any all",
}

# Each arm's type at the arm's place; ? is AnyStruct.
UNIONS = {
    "envelope.Payload": """
        register:WorkerRegistration ping:void pong:Pong shutdown:ShutdownRequest toolRequest:? gardenStatus:void
        gardenPlay:void gardenPause:void gardenStop:void gardenSeek:Seek gardenSetTempo:SetTempo
        removedGardenQuery:void gardenEmergencyPause:void gardenCreateRegion:CreateRegion
        gardenDeleteRegion:DeleteRegion gardenMoveRegion:MoveRegion gardenGetRegions:GetRegions transportPlay:void
        transportStop:void transportSeek:TransportSeek transportStatus:void timelineQuery:TimelineQuery
        timelineAddMarker:TimelineAddMarker timelineEvent:TimelineEvent toolResponse:? error:Error streamStart:?
        streamSwitchChunk:? streamStop:? toolCall:ToolCall
    """,
    "broadcast.Broadcast": """
        configUpdate:ConfigUpdate shutdown:ShutdownBroadcast scriptInvalidate:ScriptInvalidate
        jobStateChanged:JobStateChanged progress:Progress artifactCreated:ArtifactCreated
        transportStateChanged:TransportStateChanged markerReached:MarkerReached beatTick:BeatTick log:Log
        streamHeadPosition:? streamChunkFull:? streamError:? deviceConnected:? deviceDisconnected:? audioAttached:?
        audioDetached:? audioUnderrun:?
    """,
}

# Byte offsets in the frame, whose first word is the root pointer.
OFFSETS = {
    "options.Options": "deadlineMs:uint32@8 flags:uint16@12 status:uint16@14 schemaId:uint64@16 sequence:uint32@24 "
    "credit:uint32@28",
    "event.EventHeader": "contentType:uint16@8 flags:uint16@10 count:uint32@12 sequence:uint64@16 timeNs:uint64@24 "
    "publisher:uint64@32 schemaId:uint64@40",
}
WIDTHS = {"uint16": 2, "uint32": 4, "uint64": 8}
MODULES = [name for name, value in vars(standard).items() if isinstance(value, ModuleType)]


def declared() -> list[tuple[str, str]]:
    pattern = re.compile(r"(\w+)\((.*?)\)", re.DOTALL)
    return [(f"{file}.{name}", fields) for file, text in STRUCTS.items() for name, fields in pattern.findall(text)]


def struct(name: str) -> StructType:
    file, _, member = name.partition(".")
    found: StructType = getattr(getattr(standard, file), member)
    return found


def spelled(kind: object) -> str:
    """A field's type as the tables above spell it."""
    which = str(kind.which())  # type: ignore[attr-defined]  # pycapnp's reader of a schema type, which has no types
    inner = getattr(kind, which, None)
    if which == "struct":
        found = schema_of(inner.typeId)  # type: ignore[union-attr]  # as above
        assert found is not None
        return str(found.schema.node.displayName).rpartition(":")[2].rpartition(".")[2]
    if which == "enum":
        return "enum"
    if which == "list":
        return f"[{spelled(inner.elementType)}]"  # type: ignore[union-attr]  # as above
    if which == "anyPointer":
        assert inner.unconstrained.which() == "struct"  # type: ignore[union-attr]  # as above
        return "?"
    return which


def by_ordinal(name: str) -> list[str]:
    """`field:type` of all fields, in the order of their ordinals, which must be 0, 1, 2…"""
    fields = sorted(struct(name).schema.node.struct.fields, key=lambda field: int(field.ordinal.explicit))
    assert [field.ordinal.explicit for field in fields] == list(range(len(fields)))
    return [f"{field.name}:{spelled(field.slot.type)}" for field in fields]


@pytest.mark.parametrize(("name", "fields"), declared())
def test_a_struct_has_these_fields_at_these_ordinals(name: str, fields: str) -> None:
    expected = [field if ":" in field else f"{field}:text" for field in fields.split()]
    enums = {enum.partition(".")[2] for enum in ENUMS}
    assert by_ordinal(name) == [
        f"{field}:{'enum' if kind in enums else kind}" for field, kind in (entry.split(":") for entry in expected)
    ]


@pytest.mark.parametrize(("name", "enumerants"), ENUMS.items())
def test_an_enum_has_these_values_in_this_order(name: str, enumerants: str) -> None:
    file, _, member = name.partition(".")
    enum = getattr(getattr(standard, file), member)
    assert dict(enum.schema.enumerants) == {value: ordinal for ordinal, value in enumerate(enumerants.split())}


@pytest.mark.parametrize(("name", "arms"), UNIONS.items())
def test_a_union_has_these_arms_at_these_ordinals_and_nothing_else(name: str, arms: str) -> None:
    assert by_ordinal(name) == arms.split()
    node = struct(name).schema.node.struct
    assert {field.name: field.discriminantValue for field in node.fields} == {
        arm.partition(":")[0]: ordinal for ordinal, arm in enumerate(arms.split())
    }
    assert (node.discriminantOffset, node.dataWordCount, node.pointerCount) == (0, 1, 1)


@pytest.mark.parametrize(("name", "fields"), OFFSETS.items())
def test_a_frame_read_without_capnp_has_its_fields_at_these_offsets(name: str, fields: str) -> None:
    node = struct(name).schema.node.struct
    found = {
        f"{field.name}:{field.slot.type.which()}@{8 + field.slot.offset * WIDTHS[field.slot.type.which()]}"
        for field in node.fields
    }
    assert found == set(fields.split())
    assert node.pointerCount == 0


def test_the_options_are_three_words_and_the_event_header_is_five() -> None:
    assert standard.options.Options.schema.node.struct.dataWordCount == 3
    assert standard.event.EventHeader.schema.node.struct.dataWordCount == 5
    assert len(standard.event.EventHeader.new_message(sequence=1).to_segments()[0]) == 48


def test_one_slot_is_what_a_registration_without_slots_means() -> None:
    assert standard.envelope.WorkerRegistration.new_message().slots == 1


@pytest.mark.parametrize("name", MODULES)
def test_every_struct_of_our_own_is_found_by_its_type_id(name: str) -> None:
    structs = [value for value in vars(getattr(standard, name)).values() if hasattr(value, "new_message")]
    assert structs
    for found in structs:
        assert type_id(found) >> 63 == 1
        assert schema_of(type_id(found)) is found


def test_an_unknown_type_id_names_no_struct() -> None:
    assert schema_of(0) is None
