# What a recorder is asked, under `hoot.recorder`. Replayed events themselves travel as they are (docs/protocol.md).
@0xe1a7c5d2984f6b03;

struct ReplayRequest {
  topics @0 :List(Text);  # the beginnings of those that are wanted; none: all
  count @1 :UInt32;  # of each topic the last so many events; 0: all that are kept
}

struct RecorderStatus {
  topics @0 :UInt32;  # of which there is something
  events @1 :UInt64;  # that are kept
  bytes @2 :UInt64;  # that they take
  recorded @3 :UInt64;  # events that came since it started
  lost @4 :UInt64;  # events that did not reach it, by gaps in their sequences
  malformed @5 :UInt64;  # messages that were no events
  evicted @6 :List(Evicted);  # events that are no longer kept, by bound
  replays @7 :UInt64;  # requests for events that were answered
}

struct Evicted {
  name @0 :Text;  # topics, events_per_topic or bytes
  value @1 :UInt64;
}
