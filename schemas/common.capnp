# What several of the other schemas use. The layouts agree with Hootenanny's, so that both read each other's bytes.
@0x82def2b5e40441be;

struct Uuid {
  # The 16 bytes of a UUID as two halves, each read little-endian from the bytes as they stand.
  low @0 :UInt64;  # bytes 0 to 7
  high @1 :UInt64;  # bytes 8 to 15
}

struct Timestamp {
  nanos @0 :UInt64;  # nanoseconds since 1970-01-01 00:00 UTC
}

struct Error {
  # How a request failed. The words a code may be are the protocol's (docs/protocol.md); a number travels in the options.
  code @0 :Text;
  message @1 :Text;  # one line, for people
  details @2 :Text;  # whatever else helps, often JSON; may be empty
}

struct Hello {
  # The first request of a peer to a service that is not attached to its broker, which then cannot compare their schemas.
  supportedMajors @0 :List(UInt16);  # at most 64, from 1 on
  preferredMajor @1 :UInt16;  # agreed on if both have it, else the highest that both have; 0: no matter
}

struct HelloAck {
  # The service's answer. Without a major that both have it is the error `schema_mismatch`.
  agreedMajor @0 :UInt16;
  agreedMinor @1 :UInt16;  # the service's, of that major
}

enum WorkerType {
  # Hootenanny's kinds of worker. The bus routes by service name and looks at this for nothing.
  hootenanny @0;
  chaosgarden @1;
  vibeweaver @2;
}
