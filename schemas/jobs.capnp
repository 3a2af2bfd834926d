# Work that outlives the request that started it.
@0xb4a5188779faf9b6;

struct JobInfo {
  jobId @0 :Text;
  status @1 :JobStatus;
  source @2 :Text;
  result @3 :Text;
  error @4 :Text;
  createdAt @5 :UInt64;  # this and the next two: seconds since 1970; 0: not yet
  startedAt @6 :UInt64;
  completedAt @7 :UInt64;
}

enum JobStatus {
  pending @0;
  running @1;
  complete @2;
  failed @3;
  cancelled @4;
}

struct JobStoreStats {
  total @0 :UInt32;
  pending @1 :UInt32;
  running @2 :UInt32;
  completed @3 :UInt32;
  failed @4 :UInt32;
  cancelled @5 :UInt32;
}

struct JobPoll {
  jobIds @0 :List(Text);
  timeoutMs @1 :UInt64;
  mode @2 :PollMode;
}

enum PollMode {
  any @0;  # answer when one of them has ended
  all @1;
}

struct JobCancel {
  jobId @0 :Text;
}

struct JobList {
  status @0 :Text;  # empty: all
}

struct JobStatusRequest {
  jobId @0 :Text;
}
