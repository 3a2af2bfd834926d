# Work that outlives the request that started it: a client is told a job's id at once, and asks for it later.
@0xb4a5188779faf9b6;

struct JobInfo {
  jobId @0 :Text;
  status @1 :JobStatus;
  source @2 :Text;  # who does the work, as a tool's name
  result @3 :Text;  # JSON, once it is complete
  error @4 :Text;  # why it failed, for people
  createdAt @5 :UInt64;  # this and the next two: seconds since 1970-01-01 00:00 UTC; 0: not yet
  startedAt @6 :UInt64;
  completedAt @7 :UInt64;  # also of one that failed or was cancelled
}

enum JobStatus {
  # The last three are ends: nothing follows them.
  pending @0;
  running @1;
  complete @2;
  failed @3;
  cancelled @4;
}

struct JobStoreStats {
  # How many there are in all, and of each status.
  total @0 :UInt32;
  pending @1 :UInt32;
  running @2 :UInt32;
  completed @3 :UInt32;
  failed @4 :UInt32;
  cancelled @5 :UInt32;
}

struct JobPoll {
  # Waits for jobs to end.
  jobIds @0 :List(Text);
  timeoutMs @1 :UInt64;  # then the answer is how they stand; 0: at once
  mode @2 :PollMode;
}

enum PollMode {
  any @0;  # until one of them has ended
  all @1;
}

struct JobCancel {
  jobId @0 :Text;
}

struct JobList {
  status @0 :Text;  # a word of JobStatus; empty: all
}

struct JobStatusRequest {
  jobId @0 :Text;
}

# From here on hootbus's own.

struct JobInfos {
  jobs @0 :List(JobInfo);  # in the order asked for, else the oldest first
}

interface Jobs {
  # What becomes of jobs. They are begun by whoever does the work, each in its own way.
  #
  # A method is called as `SERVICE/method`: its parameter struct is the body of the request, its result struct that of
  # the reply, and `()` is an empty body. A job that is not known is answered `bad_body`. What happens meanwhile is told
  # as `Broadcast.jobStateChanged` and `Broadcast.progress`.
  status @0 JobStatusRequest -> JobInfo;
  list @1 JobList -> JobInfos;
  poll @2 JobPoll -> JobInfos;
  cancel @3 JobCancel -> JobInfo;  # one that has ended stays as it is
  stats @4 () -> JobStoreStats;
}
