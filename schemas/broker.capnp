# What the broker says of itself, under `hoot.broker`, `hoot.events` and `hoot.quarantine`.
@0xc46ed5492b248d09;

struct Status {
  broker @0 :Text;  # the instance: another one behind the same address has another id
  version @1 :Text;
  state @2 :Text;
  pid @3 :UInt32;
  uptimeSecs @4 :UInt64;
  services @5 :UInt32;
  workers @6 :UInt32;
  queued @7 :UInt32;
  inFlight @8 :UInt32;
  heldBytes @9 :UInt64;  # bodies of requests queued and in flight
  counters @10 :List(Counter);
  errors @11 :List(Counter);  # answered by the broker, by error code
  dropped @12 :List(Counter);  # neither delivered nor answered, by reason
  failures @13 :List(Counter);  # answered by workers, by error code
  reached @14 :List(Counter);  # how often each limit held something back
}

struct Counter {
  name @0 :Text;
  value @1 :UInt64;
}

struct Service {
  name @0 :Text;
  workers @1 :UInt32;
  slots @2 :UInt32;
  free @3 :UInt32;
  queued @4 :UInt32;
  queuedBytes @5 :UInt64;
  inFlight @6 :UInt32;
  requests @7 :UInt64;
  replies @8 :UInt64;
  errors @9 :UInt64;
  methods @10 :List(Text);
  versions @11 :List(Version);  # of its methods' types, as its workers state them
  pending @12 :UInt32;  # workers whose schema is still to be judged
  refused @13 :UInt64;  # workers that were not let in, for their schema
  dropped @14 :List(Counter);  # as in Status
  unjudged @15 :UInt32;  # workers that state types nobody has judged, as the broker looks at nobody's schema (--insecure)
}

struct Version {
  workers @0 :UInt32;  # how many speak it
  methods @1 :List(TypedMethod);
}

struct TypedMethod {
  name @0 :Text;
  isDefault @1 :Bool;  # takes requests that name the service alone
  request @2 :Text;  # the type's name; empty: not said
  reply @3 :Text;
  requestType @4 :UInt64;  # type ids and fingerprints; 0: not said
  replyType @5 :UInt64;
  requestFingerprint @6 :UInt64;
  replyFingerprint @7 :UInt64;
}

struct Services {
  services @0 :List(Service);
  dropped @1 :List(Counter);  # what belongs to none of them
}

struct Latencies {
  bounds @0 :List(Float64);  # seconds; the same for all services
  services @1 :List(ServiceLatencies);
}

struct ServiceLatencies {
  name @0 :Text;
  waited @1 :Histogram;  # from a request's acceptance until a worker gets it, each time one does
  took @2 :Histogram;  # from its acceptance until its worker's reply
}

struct Histogram {
  # How many took how long, since the service was first offered.
  counts @0 :List(UInt64);  # of at most the bound at the same place, and more than the one before; the last: longer than all
  totalSecs @1 :Float64;
}

struct Worker {
  id @0 :Text;
  service @1 :Text;
  name @2 :Text;
  hostname @3 :Text;
  version @4 :Text;
  state @5 :Text;
  pid @6 :UInt32;
  slots @7 :UInt32;
  inFlight @8 :UInt32;
  done @9 :UInt64;
  silentMs @10 :UInt64;
  connectedSecs @11 :UInt64;
  extension @12 :Bool;  # speaks more than HOOT01
}

struct Workers {
  workers @0 :List(Worker);
}

struct Drain {
  state @0 :Text;
  inFlight @1 :UInt32;
  queued @2 :UInt32;
}

struct EchoRequest {
  topic @0 :Text;  # where to publish, so that a subscriber knows its subscriptions hold
}

struct SchemaRequest {
  service @0 :Text;
}

struct ServiceSchema {
  versions @0 :List(VersionSchema);  # the one that most workers speak comes first
}

struct VersionSchema {
  version @0 :Version;
  nodes @1 :Data;  # a CodeGeneratorRequest of Cap'n Proto's schema.capnp, with all nodes that its types need
}

struct Comparison {
  # A client's question whether the workers of a service understand it.
  target @0 :Text;  # the service frame of its requests
  requestType @1 :UInt64;  # as in TypedMethod
  replyType @2 :UInt64;
  requestFingerprint @3 :UInt64;
  replyFingerprint @4 :UInt64;
  nodes @5 :Data;  # as in VersionSchema
}

struct Compared {
  # They do, all of them, until another version comes. If not, the answer is the error `schema_mismatch`.
  target @0 :Text;
}

struct QuarantinedRequest {
  id @0 :Text;  # as in q1
  service @1 :Text;  # its service frame
  contentType @2 :Text;
  bytes @3 :UInt64;  # of its body and attachments
  held @4 :Bool;  # else there was no room for them
  strikes @5 :UInt32;  # workers that went down with it
  ageSecs @6 :UInt64;
  retrying @7 :Bool;
}

struct Quarantine {
  requests @0 :List(QuarantinedRequest);
}

struct QuarantineQuestion {
  id @0 :Text;
  all @1 :Bool;  # in place of an id, for what is to be dropped
}

struct QuarantineShown {
  request @0 :QuarantinedRequest;
  body @1 :Data;  # empty if it is not held, or larger than 4 MiB
  attachments @2 :UInt32;
}

struct QuarantineDropped {
  dropped @0 :UInt32;
}
