# A transport and its timeline: what plays, where it is, and what lies along the way. Positions and lengths are in beats
# from the start, 0 or more; tempo is in beats per minute.
#
# What the requests of Hootenanny's audio engine have in common with ours keeps its layout, so both read each other's
# bytes. The interfaces at the end say which request gets which reply.
@0xd7430bb8b74c3eab;

using Common = import "common.capnp";

struct Seek {
  beat @0 :Float64;
}

struct SetTempo {
  bpm @0 :Float64;
}

struct CreateRegion {
  position @0 :Float64;
  duration @1 :Float64;
  behaviorType @2 :Text;  # see Region
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
  # Those with some part between the two; an `end` of 0 is the end of the timeline.
  start @0 :Float64;
  end @1 :Float64;
}

struct TransportSeek {
  # The same bytes as `Seek`, under the name it has in `Payload.transportSeek`.
  positionBeats @0 :Float64;
}

struct TimelineQuery {
  # What lies from one position to the other, both included; a `toBeats` of 0 is the end of the timeline.
  fromBeats @0 :Float64;
  toBeats @1 :Float64;
}

struct TimelineAddMarker {
  positionBeats @0 :Float64;
  markerType @1 :Text;
  metadata @2 :Text;  # whatever its author wants to find there again, often JSON
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

# From here on hootbus's own.

enum TransportState {
  stopped @0;
  playing @1;
  paused @2;  # as stopped, but it plays on from where it is
}

struct Position {
  # Where a transport was at a moment. While it plays it is `tempoBpm / 60` beats further with each second since then.
  state @0 :UInt16;  # a TransportState, as a number: a newer peer may know further ones
  positionBeats @1 :Float64;
  tempoBpm @2 :Float64;
  timestamp @3 :Common.Timestamp;  # the moment
  regionIds @4 :List(Text);  # the regions it was in, by position
  loopRegionId @5 :Text;  # the one from whose end it will go back, as things stand; empty: none
}

struct Region {
  # A stretch of the timeline. It has its first position and not its last, so two can meet without overlapping.
  regionId @0 :Text;  # given by the service
  position @1 :Float64;
  duration @2 :Float64;
  behaviorType @3 :Text;
  # What becomes of it. One word is the transport's own, "loop": from the region's end it goes back to the beginning,
  # as often as it gets there. Any other is for those who follow, as what to play.
  contentId @4 :Text;  # what it is about, in the words of whoever made it
}

struct Regions {
  regions @0 :List(Region);  # by position
}

struct Marker {
  # A point of the timeline, told with `Broadcast.markerReached` when the transport gets there.
  markerId @0 :Text;  # given by the service
  positionBeats @1 :Float64;
  markerType @2 :Text;  # a word of its author's, such as "chorus"
  metadata @3 :Text;
}

struct Markers {
  markers @0 :List(Marker);  # by position
}

struct MoveMarker {
  markerId @0 :Text;
  newPositionBeats @1 :Float64;
}

struct DeleteMarker {
  markerId @0 :Text;
}

# The services. A method is called as `SERVICE/method`: its parameter struct is the body of the request, its result
# struct that of the reply, and `()` is an empty body. A position, tempo, length or id that will not do is answered
# `bad_body`, and nothing has changed then.

interface Transport {
  # Each replies where the transport is afterwards. What happens is told as well, each as a `Broadcast`:
  #
  #   under SERVICE.transport  transportStateChanged: after any of these methods but `status`, and when a loop goes
  #                            back; `state` is a word of TransportState
  #   under SERVICE.beat       beatTick: with every whole beat it reaches, the one it begins on included;
  #                            `timestamp` is the beat's moment, `beat` its number
  #   under SERVICE.marker     markerReached: for every marker it reaches, once in each pass
  #
  # What lies at the end of a loop is not reached: what lies at its beginning is, in its place.
  status @0 () -> Position;
  play @1 () -> Position;
  pause @2 () -> Position;
  stop @3 () -> Position;  # goes back to 0
  seek @4 Seek -> Position;  # goes on from there if it plays
  setTempo @5 SetTempo -> Position;  # from now on; the position stays
}

interface Timeline {
  createRegion @0 CreateRegion -> Region;
  moveRegion @1 MoveRegion -> Region;
  deleteRegion @2 DeleteRegion -> ();
  getRegions @3 GetRegions -> Regions;
  addMarker @4 TimelineAddMarker -> Marker;
  moveMarker @5 MoveMarker -> Marker;
  deleteMarker @6 DeleteMarker -> ();
  getMarkers @7 TimelineQuery -> Markers;
}

interface Garden extends (Transport, Timeline) {
  # Both under one name: a timeline, and the transport that runs along it.
}
