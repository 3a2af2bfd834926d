# Hootenanny's audio engine: what its transport, regions and timeline are told. Beats are counted from the start.
@0xd7430bb8b74c3eab;

struct Seek {
  beat @0 :Float64;
}

struct SetTempo {
  bpm @0 :Float64;
}

struct CreateRegion {
  position @0 :Float64;  # in beats
  duration @1 :Float64;  # in beats
  behaviorType @2 :Text;
  contentId @3 :Text;
}

struct DeleteRegion {
  regionId @0 :Text;
}

struct MoveRegion {
  regionId @0 :Text;
  newPosition @1 :Float64;
}

struct GetRegions {
  start @0 :Float64;
  end @1 :Float64;
}

struct TransportSeek {
  positionBeats @0 :Float64;
}

struct TimelineQuery {
  fromBeats @0 :Float64;
  toBeats @1 :Float64;
}

struct TimelineAddMarker {
  positionBeats @0 :Float64;
  markerType @1 :Text;
  metadata @2 :Text;
}

struct TimelineEvent {
  eventType @0 :TimelineEventType;
  positionBeats @1 :Float64;
  tempo @2 :Float64;
  metadata @3 :Text;
}

enum TimelineEventType {
  sectionChange @0;
  beatMarker @1;
  cuePoint @2;
  generateTransition @3;
}
