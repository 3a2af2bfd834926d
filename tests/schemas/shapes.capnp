# Every shape that a path to a list of numbers can take.
@0xb6f0c3d1a97e5d42;

struct Shapes {
  floats @0 :List(Float32);
  longs @1 :List(Int64) = [1, -2];
  colours @2 :List(Colour);
  blob @3 :Data;
  flags @4 :List(Bool);
  title @5 :Text;
  names @6 :List(Text);
  inner @7 :Inner;
  preset @8 :Inner = (values = [7, 8]);

  union {
    left @9 :List(Int16);
    right :group {
      values @10 :List(UInt8);
      weight @11 :Float64;
    }
    neither @12 :Void;
  }

  plain :group {
    doubles @13 :List(Float64);
  }

  any @14 :AnyPointer;
}

struct Inner {
  values @0 :List(UInt32);
  deeper @1 :Inner;
}

enum Colour {
  red @0;
  green @1;
  blue @2;
}

# A list of numbers, before and after it became a list of structs.
struct Before {
  levels @0 :List(Int32);
}

struct After {
  levels @0 :List(Level);
}

struct Level {
  value @0 :Int32;
  name @1 :Text;
}

# After, as a peer knows it for whom a level has no name yet.
struct Older {
  levels @0 :List(OlderLevel);
}

struct OlderLevel {
  value @0 :Int32;
}

struct Nothings {
  voids @0 :List(Void);
  empties @1 :List(Empty);
}

struct Empty {
}

# What a bomb is made of.
struct Tree {
  children @0 :List(Tree);
}

# Each step into it leads to another type.
struct Onion(T) {
  next @0 :Onion(Onion(T));
}

struct Palette {
  colours @0 :List(Colour);
  swatches @1 :List(Swatch);
}

struct Swatches {
  swatches @0 :List(Swatch);
}

# Much in few bits.
struct Swatch {
  first @0 :Colour;
  second @1 :Colour;
  third @2 :Colour;
  fourth @3 :Colour;
}

struct Choices {
  choices @0 :List(Choice);
}

struct Choice {
  union {
    nothing @0 :Void;
    text @1 :Text;
  }
}

struct Octets {
  octets @0 :List(UInt8);
}

# Names that Python has uses for.
struct Named {
  which @0 :Int32;
  mro @1 :Int32;
  class @2 :Int32;
}
