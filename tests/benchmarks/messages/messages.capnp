# The messages that the benchmarks of bodies send.
@0xec10c719ffc46e12;

# A graph as a neural network on graphs takes it: a row of features for each node, and the edges as two index lists.
struct Graph {
  id @0 :Text;
  label @1 :Text;
  width @2 :UInt32;  # features per node
  features @3 :List(Float32);  # one row per node, row after row
  sources @4 :List(UInt32);  # of each edge, the node it leaves
  targets @5 :List(UInt32);  # and the one it leads to
}

# The same with the arrays as bytes, which is what pycapnp is fastest with. What is in them both ends must know.
struct PackedGraph {
  id @0 :Text;
  label @1 :Text;
  width @2 :UInt32;
  features @3 :Data;
  sources @4 :Data;
  targets @5 :Data;
}

struct Reading {
  sensor @0 :Text;
  unit @1 :Text;
  at @2 :UInt64;
  value @3 :Float64;
}

struct Samples {
  samples @0 :List(Float32);
}

struct PackedSamples {
  samples @0 :Data;
}
