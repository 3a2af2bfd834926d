# Events as Hootenanny sends them: one bare frame each, told apart by the arm alone.
@0x93cf6e9f99bc5134;

using Common = import "common.capnp";

struct Broadcast {
  # `AnyStruct` where the bus passes the content on without looking.
  union {
    configUpdate @0 :ConfigUpdate;
    shutdown @1 :ShutdownBroadcast;
    scriptInvalidate @2 :ScriptInvalidate;
    jobStateChanged @3 :JobStateChanged;
    progress @4 :Progress;
    artifactCreated @5 :ArtifactCreated;
    transportStateChanged @6 :TransportStateChanged;
    markerReached @7 :MarkerReached;
    beatTick @8 :BeatTick;
    log @9 :Log;
    streamHeadPosition @10 :AnyStruct;
    streamChunkFull @11 :AnyStruct;
    streamError @12 :AnyStruct;
    deviceConnected @13 :AnyStruct;
    deviceDisconnected @14 :AnyStruct;
    audioAttached @15 :AnyStruct;
    audioDetached @16 :AnyStruct;
    audioUnderrun @17 :AnyStruct;
  }
}

struct ConfigUpdate {
  key @0 :Text;
  value @1 :Text;
}

struct ShutdownBroadcast {
  reason @0 :Text;
}

struct ScriptInvalidate {
  hash @0 :Text;
}

struct JobStateChanged {
  jobId @0 :Text;
  state @1 :Text;
  result @2 :Text;
}

struct Progress {
  jobId @0 :Text;
  percent @1 :Float32;
  message @2 :Text;
}

struct ArtifactCreated {
  artifactId @0 :Text;
  contentHash @1 :Text;
  tags @2 :List(Text);
  creator @3 :Text;
}

struct TransportStateChanged {
  state @0 :Text;
  positionBeats @1 :Float64;
  tempoBpm @2 :Float64;
}

struct MarkerReached {
  positionBeats @0 :Float64;
  markerType @1 :Text;
  metadata @2 :Text;
}

struct BeatTick {
  timestamp @0 :Common.Timestamp;
  beat @1 :UInt64;
  positionBeats @2 :Float64;
  tempoBpm @3 :Float64;
}

struct Log {
  level @0 :Text;
  message @1 :Text;
  source @2 :Text;
}
