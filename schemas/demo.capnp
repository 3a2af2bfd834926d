# What `hoot demo` sends: a piece of audio, and what was heard in it.
@0xda1537374d5c2311;

struct AudioClip {
  title @0 :Text;
  sampleRate @1 :UInt32;  # per second
  samples @2 :List(Float32);  # mono, full scale is -1 to 1
}

struct AudioFeatures {
  title @0 :Text;
  peak @1 :Float32;  # largest magnitude
  rms @2 :Float32;
  centroidHz @3 :Float32;  # the spectrum's centre of gravity
  tempoBpm @4 :Float32;  # 0: no beat found
  sampleCount @5 :UInt64;
}

interface Audio {
  analyse @0 AudioClip -> AudioFeatures;
  # What is heard in a clip.

  peak @1 AudioClip -> (peak :Float32);
  # The largest magnitude in a clip; as little work as can be done with samples.

  bodies @2 () -> (pid :UInt32, inPlace :UInt64, copied :UInt64);
  # How many bodies the process has read where they lay, and how many it had to copy first.
}
