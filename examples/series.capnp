@0xd3a2f1b65c0e4977;

struct Series {
  name @0 :Text;
  values @1 :List(Float64);
}

struct Summary {
  count @0 :UInt64;
  mean @1 :Float64;
}
