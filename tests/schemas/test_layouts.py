"""The compiled schemas against the layouts that other peers rely on, written down a second time.

Cap'n Proto places a field by its ordinal and type alone, so names, ordinals and types are the layout. Where our own
codecs read at fixed offsets, the offsets are checked too.
"""

import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hootbus.schemas import read_capnp, schema_of, standard, type_id, write_capnp
from hootbus.schemas.copies import CAPNP_IMPORTS
from hootbus.schemas.loaded import LOADED

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
    "tools": """
        ToolCall(name args typed:Typed) Typed(typeId:uint64 value:?)
        Tool(name title description argsSchema resultSchema requestType:uint64 replyType:uint64 readOnly:bool
            idempotent:bool additive:bool closed:bool)
        Tools(tools:[Tool]) ToolResult(content:[Content] isError:bool) Blob(mediaType bytes:data)
    """,
    "garden": """
        Seek(beat:float64) SetTempo(bpm:float64)
        CreateRegion(position:float64 duration:float64 behaviorType contentId) DeleteRegion(regionId)
        MoveRegion(regionId newPosition:float64) GetRegions(start:float64 end:float64)
        TransportSeek(positionBeats:float64) TimelineQuery(fromBeats:float64 toBeats:float64)
        TimelineAddMarker(positionBeats:float64 markerType metadata)
        TimelineEvent(eventType:TimelineEventType positionBeats:float64 tempo:float64 metadata)
        Position(state:uint16 positionBeats:float64 tempoBpm:float64 timestamp:Timestamp regionIds:[text] loopRegionId)
        Region(regionId position:float64 duration:float64 behaviorType contentId) Regions(regions:[Region])
        Marker(markerId positionBeats:float64 markerType metadata) Markers(markers:[Marker])
        MoveMarker(markerId newPositionBeats:float64) DeleteMarker(markerId)
    """,
    "jobs": """
        JobInfo(jobId status:JobStatus source result error createdAt:uint64 startedAt:uint64 completedAt:uint64)
        JobStoreStats(total:uint32 pending:uint32 running:uint32 completed:uint32 failed:uint32 cancelled:uint32)
        JobPoll(jobIds:[text] timeoutMs:uint64 mode:PollMode) JobCancel(jobId) JobList(status) JobStatusRequest(jobId)
        JobInfos(jobs:[JobInfo])
    """,
    "broadcast": """
        ConfigUpdate(key value) ShutdownBroadcast(reason) ScriptInvalidate(hash) JobStateChanged(jobId state result)
        Progress(jobId percent:float32 message) ArtifactCreated(artifactId contentHash tags:[text] creator)
        TransportStateChanged(state positionBeats:float64 tempoBpm:float64)
        MarkerReached(positionBeats:float64 markerType metadata)
        BeatTick(timestamp:Timestamp beat:uint64 positionBeats:float64 tempoBpm:float64) Log(level message source)
    """,
    "proof": """
        ProofState(schemaVersion:uint16 terms:[Term] goals:[Goal])
        Goal(context:Context target:uint32 tried:[uint32]) Context(hypotheses:[Hypothesis])
        Hypothesis(name term:uint32) Term(kind:uint16 name parts:[uint32])
        Tactic(schemaVersion:uint16 kind:uint16 premise:uint32)
        Graph(nodeKinds:[uint16] featureWidth:uint32 features:[float32] edgeStarts:[uint32] edgeTargets:[uint32]
            goal:uint32 premises:[uint32])
        EmbeddingRequest(schemaVersion:uint16 graph:Graph rounds:uint16)
        EmbeddingResponse(schemaVersion:uint16 width:uint32 embeddings:[float32])
        RankingRequest(schemaVersion:uint16 graph:Graph width:uint32 embeddings:[float32])
        RankingResponse(schemaVersion:uint16 scores:[float32])
        Suggestion(schemaVersion:uint16 tactic:Tactic score:float32)
        RefutationRequest(schemaVersion:uint16 graph:Graph)
        CounterModel(schemaVersion:uint16 worlds:uint32 sees:[uint8] holds:[uint8])
    """,
}

ENUMS = {
    "common.WorkerType": "hootenanny chaosgarden vibeweaver",
    "garden.TimelineEventType": "sectionChange beatMarker cuePoint generateTransition",
    "garden.TransportState": "stopped playing paused",
    "jobs.JobStatus": "pending running complete failed cancelled",
    "jobs.PollMode": "any all",
    "proof.TermKind": "atom falsehood conjunction disjunction implication",
    "proof.TacticKind": "exact absurd assume split left right destruct cases apply",
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
    "tools.Content": "text:text json:text data:Blob typed:Typed",
}

# The methods in the order of their ordinals, as `name(body of the request)->body of the reply`; nothing: an empty body.
INTERFACES = {
    "garden.Transport": """
        status()->Position play()->Position pause()->Position stop()->Position seek(Seek)->Position
        setTempo(SetTempo)->Position
    """,
    "garden.Timeline": """
        createRegion(CreateRegion)->Region moveRegion(MoveRegion)->Region deleteRegion(DeleteRegion)->
        getRegions(GetRegions)->Regions addMarker(TimelineAddMarker)->Marker moveMarker(MoveMarker)->Marker
        deleteMarker(DeleteMarker)-> getMarkers(TimelineQuery)->Markers
    """,
    "garden.Garden": "",
    "tools.ToolHost": "listTools()->Tools callTool(ToolCall)->ToolResult",
    "jobs.Jobs": """
        status(JobStatusRequest)->JobInfo list(JobList)->JobInfos poll(JobPoll)->JobInfos cancel(JobCancel)->JobInfo
        stats()->JobStoreStats
    """,
    # `peak` and `bodies` give structs that have no name of their own.
    "demo.Audio": "analyse(AudioClip)->AudioFeatures peak(AudioClip)-> bodies()->",
}

# Byte offsets in the frame, whose first word is the root pointer.
OFFSETS = {
    "options.Options": "deadlineMs:uint32@8 flags:uint16@12 status:uint16@14 schemaId:uint64@16 sequence:uint32@24 "
    "credit:uint32@28 fingerprint:uint64@32",
    "event.EventHeader": "contentType:uint16@8 flags:uint16@10 count:uint32@12 sequence:uint64@16 timeNs:uint64@24 "
    "publisher:uint64@32 schemaId:uint64@40",
}
WIDTHS = {"uint16": 2, "uint32": 4, "uint64": 8}
SCHEMAS = Path(__file__).parents[2] / "schemas"
MODULES = [name for name, value in vars(standard).items() if isinstance(value, ModuleType)]


def declared() -> list[tuple[str, str]]:
    pattern = re.compile(r"(\w+)\((.*?)\)", re.DOTALL)
    return [(f"{file}.{name}", fields) for file, text in STRUCTS.items() for name, fields in pattern.findall(text)]


def struct(name: str) -> Any:  # noqa: ANN401  # as pycapnp has it
    file, _, member = name.partition(".")
    return getattr(getattr(standard, file), member)


def named(struct_id: int) -> str:
    """The name of a struct by its type id; of one without a name, as `()` makes them, nothing."""
    name = LOADED.node(struct_id).name
    return "" if "$" in name else name


def spelled(kind: object) -> str:
    """A field's type as the tables above spell it."""
    which = str(kind.which())  # type: ignore[attr-defined]  # pycapnp's reader of a schema type, which has no types
    inner = getattr(kind, which, None)
    if which == "struct":
        return named(inner.typeId)  # type: ignore[union-attr]  # as above
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


@pytest.mark.parametrize(("name", "methods"), INTERFACES.items())
def test_an_interface_has_these_methods_at_these_ordinals(name: str, methods: str) -> None:
    file, _, member = name.partition(".")
    interface = getattr(getattr(standard, file), member)
    assert [
        f"{method.name}({named(method.paramStructType)})->{named(method.resultStructType)}"
        for method in interface.schema.node.interface.methods
    ] == methods.split()


def test_a_garden_is_a_transport_and_a_timeline() -> None:
    assert [parent.id for parent in standard.garden.Garden.schema.node.interface.superclasses] == [
        standard.garden.Transport.schema.node.id,
        standard.garden.Timeline.schema.node.id,
    ]


@pytest.mark.parametrize(("name", "fields"), OFFSETS.items())
def test_a_frame_read_without_capnp_has_its_fields_at_these_offsets(name: str, fields: str) -> None:
    node = struct(name).schema.node.struct
    found = {
        f"{field.name}:{field.slot.type.which()}@{8 + field.slot.offset * WIDTHS[field.slot.type.which()]}"
        for field in node.fields
    }
    assert found == set(fields.split())
    assert node.pointerCount == 0


def test_the_options_are_four_words_and_the_event_header_is_five() -> None:
    assert standard.options.Options.schema.node.struct.dataWordCount == 4
    assert standard.event.EventHeader.schema.node.struct.dataWordCount == 5
    assert len(standard.event.EventHeader.new_message(sequence=1).to_segments()[0]) == 48


@pytest.mark.skipif(shutil.which("capnp") is None, reason="no capnp command (apt install capnproto)")
@pytest.mark.parametrize("name", MODULES)
def test_the_capnp_command_compiles_what_we_load(name: str) -> None:
    command = ["capnp", "compile", "-o-", "-I", CAPNP_IMPORTS, str(SCHEMAS / f"{name}.capnp")]
    done = subprocess.run(command, capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout


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


# Parts of a state or a graph. Whatever is sent by itself says what its sender means by it.
PARTS = "Goal Context Hypothesis Term Graph".split()


def test_every_root_of_a_proof_search_begins_with_its_version_and_no_part_has_one() -> None:
    first = {name: by_ordinal(f"proof.{name}")[0] for name in re.findall(r"(\w+)\(", STRUCTS["proof"])}
    assert {name for name, field in first.items() if field != "schemaVersion:uint16"} == set(PARTS)


def test_open_kinds_are_numbers_that_a_newer_peer_may_go_beyond() -> None:
    newer = 60_000
    for root in (standard.proof.Term, standard.proof.Tactic):
        assert read_capnp(write_capnp(root.new_message(kind=newer)), root).kind == newer


# Each method with what it takes and gives; of a stream there is no result.
PROOF_SERVICES = {
    "Prover": """
        embed EmbeddingRequest -> EmbeddingResponse;
        rank RankingRequest -> RankingResponse;
        suggest (state :ProofState, sink :SuggestionSink) -> stream;
        refute RefutationRequest -> CounterModel;
    """,
    "SuggestionSink": "put Suggestion -> stream;",
}


@pytest.mark.skipif(shutil.which("capnp") is None, reason="no capnp command (apt install capnproto)")
def test_the_services_of_a_proof_search_are_what_capnp_itself_reads() -> None:
    done = subprocess.run(
        ["capnp", "compile", f"-I{CAPNP_IMPORTS}", "-ocapnp", SCHEMAS / "proof.capnp"],
        capture_output=True,
        text=True,
        check=True,
    )
    # Without comments, ordinals and spaces.
    said = re.sub(r"#.*|@\w+|\s", "", done.stdout)
    for name, methods in PROOF_SERVICES.items():
        assert f"interface{name}{{{''.join(methods.split())}}}" in said
