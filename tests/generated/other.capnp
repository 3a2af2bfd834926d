# The other half of a pair of files that import each other.
@0x9c1d6b8e40f2a735;

using Odd = import "odd.capnp";

struct Leaf {
  tree @0 :Odd.Tree;
  place @1 :Odd.Shape.Point;
}

struct Pair(First, Second) {
  steps @0 :Int32;
}

struct Colour {
  red @0 :UInt8;
  green @1 :UInt8;
  blue @2 :UInt8 = 255;
}

interface Named {
  name @0 () -> Leaf;
}

# What generated modules import is called so.

struct ClassVar {
  union {
    final @0 :Final;
    field @1 :Text;
  }
}

struct Final(Any) {
  any @0 :Any;
}

struct Record {
  # And there is another one within.
  struct Record {
    at @0 :UInt8;
  }
  inner @0 :Record;
  outer @1 :List(import "other.capnp".Record);
}

interface Service {
  serve @0 ClassVar -> Record;
}
