# The header frame of an event: one segment without a table, 48 bytes, read at fixed offsets like the options.
@0xbca42c19d57afd22;

struct EventHeader {
  contentType @0 :UInt16;
  flags @1 :UInt16;
  count @2 :UInt32;  # events in the body, if the flags say that they are joined
  sequence @3 :UInt64;  # of the first of them, counted per publisher and topic
  timeNs @4 :UInt64;  # nanoseconds since 1970-01-01 00:00 UTC
  publisher @5 :UInt64;
  schemaId @6 :UInt64;  # type id of the body's root struct; 0: not said
}
