# A body with one long list, to be read in place.
@0xb1c4d1a5e0f7c263;

struct Clip {
  samples @0 :List(Float32);
}
