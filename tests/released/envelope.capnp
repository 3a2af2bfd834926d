# What peers say to the bus itself, and what every Hootenanny peer wraps its messages in.
@0xb1bb24e6743d105a;

using Common = import "common.capnp";
using Garden = import "garden.capnp";
using Tools = import "tools.capnp";

struct Envelope {
  id @0 :Common.Uuid;  # the request id of the frame around it
  traceparent @1 :Text;
  payload @2 :Payload;  # a struct of its own: a group here would be laid out differently
}

struct Payload {
  # `AnyStruct` stands where the bus has no use for the content: any struct is the same bytes under it.
  union {
    register @0 :WorkerRegistration;
    ping @1 :Void;
    pong @2 :Pong;
    shutdown @3 :ShutdownRequest;
    toolRequest @4 :AnyStruct;

    gardenStatus @5 :Void;
    gardenPlay @6 :Void;
    gardenPause @7 :Void;
    gardenStop @8 :Void;
    gardenSeek @9 :Garden.Seek;
    gardenSetTempo @10 :Garden.SetTempo;
    removedGardenQuery @11 :Void;  # keeps its ordinal; nobody sends it any more
    gardenEmergencyPause @12 :Void;
    gardenCreateRegion @13 :Garden.CreateRegion;
    gardenDeleteRegion @14 :Garden.DeleteRegion;
    gardenMoveRegion @15 :Garden.MoveRegion;
    gardenGetRegions @16 :Garden.GetRegions;

    transportPlay @17 :Void;
    transportStop @18 :Void;
    transportSeek @19 :Garden.TransportSeek;
    transportStatus @20 :Void;

    timelineQuery @21 :Garden.TimelineQuery;
    timelineAddMarker @22 :Garden.TimelineAddMarker;
    timelineEvent @23 :Garden.TimelineEvent;

    toolResponse @24 :AnyStruct;
    error @25 :Common.Error;
    streamStart @26 :AnyStruct;
    streamSwitchChunk @27 :AnyStruct;
    streamStop @28 :AnyStruct;
    toolCall @29 :Tools.ToolCall;
  }
}

struct WorkerRegistration {
  # The body of READY. The service's name is in the frame, not here.
  workerId @0 :Common.Uuid;
  workerType @1 :Common.WorkerType;
  workerName @2 :Text;
  capabilities @3 :List(Text);
  hostname @4 :Text;
  version @5 :Text;

  # From here on hootbus's own; a peer that does not know these fields leaves the defaults.
  slots @6 :UInt32 = 1;  # how many requests it takes at once
  methods @7 :List(Method);  # none: it answers to the bare service name only
  extensionVersion @8 :UInt16;  # 0: HOOT01 as Hootenanny speaks it
  lostAfterMs @9 :UInt32;  # silence after which it counts as lost; 0: the broker's own limit
  pid @10 :UInt32;
}

struct Method {
  name @0 :Text;
  isDefault @1 :Bool;  # takes requests that name the service alone
  requestType @2 :UInt64;  # type id of the body's root struct; 0: not said
  replyType @3 :UInt64;
  requestFingerprint @4 :UInt64;  # tells versions of one type apart; 0: not said
  replyFingerprint @5 :UInt64;
}

struct Pong {
  workerId @0 :Common.Uuid;  # of the broker instance, if the broker answers
  uptimeSecs @1 :UInt64;
}

struct ShutdownRequest {
  reason @0 :Text;
}
