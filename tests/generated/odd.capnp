# Whatever is difficult to say in Python: names that are taken, defaults of every kind, generics in generics.
@0xe2d59a3c7b1f4086;

using Other = import "other.capnp";

annotation unit(field) :Text;
annotation note(*) :Note;
annotation marked(*) :Void;

struct Note $marked {
  text @0 :Text;
  level @1 :Step = right;
}

enum Step $note(text = "of an enum") {
  # How it goes on.
  left @0;
  right @1;  # the other way
  split @2;
  class @3 $marked;
  raw @4;
}

const answer :Int32 = 42;
const ratio :Float64 = inf;
const greeting :Text = "héllo \"you\"";
const bits :Data = 0x"00 ff 5c";
const primes :List(UInt16) = [2, 3, 5];
const start :Step = split;
const origin :Point = (x = 1.5, tags = ["a", "b"]);

struct Point {
  # Where something is.
  #
  # With a \ backslash, """quotes""" and a second paragraph.
  x @0 :Float32 $unit("mm");  # to the right
  y @1 :Float32 = -0.5;
  tags @2 :List(Text);
}

struct Words {
  # Fields that are called as Python calls things, and as generated code does.
  from @0 :Text;
  class @1 :Int8;
  which @2 :Bool;
  self @3 :UInt64;
  list @4 :List(Int64);
  str @5 :Text;
  bytes @6 :Data;
  property @7 :Point;
  float @8 :Float64 = nan;
  type @9 :Step = class;
  body @10 :Text;
  name @11 :Text;
  none @12 :Void;
  cls @13 :Int64;
}

struct Defaults {
  flag @0 :Bool = true;
  small @1 :Int8 = -128;
  large @2 :UInt64 = 18446744073709551615;
  single @3 :Float32 = 0.1;
  double @4 :Float64 = -inf;
  step @5 :Step = raw;
  text @6 :Text = "it's";
  data @7 :Data = "\x00'\"";
  numbers @8 :List(Int32) = [1, -2, 3];
  steps @9 :List(Step) = [right, split];
  matrix @10 :List(List(Int8)) = [[1], [], [2, 3]];
  point @11 :Point = (x = 2, tags = ["deep"]);
  points @12 :List(Point) = [(x = 1), (y = 2)];
  shape @13 :Shape = (circle = (radius = 3, centre = (index = 9)));
  place :group {
    row @14 :Int32 = 7;
    text @15 :Text = "in a group";
  }
  box @16 :Box(Point) = (content = (x = 4));
  boxes @17 :Box(List(Step)) = (content = [raw]);
}

struct Heir {
  # Whose default is one of itself, once by way of another struct.
  name @0 :Text;
  next @1 :Heir = (name = "nobody");
  others @2 :List(Heir) = [(name = "somebody")];
  will :group {
    estate @3 :Estate = (owner = (name = "state"));
  }
  held @4 :Estate = (owner = (next = (), others = [], will = (estate = ()), held = ()));
}

struct Estate {
  owner @0 :Heir;
}

struct Shape {
  name @0 :Text;
  union {
    nothing @1 :Void;
    circle :group {
      radius @2 :Float32;
      centre @3 :Point;
    }
    polygon @4 :List(Point);
    step @5 :Step = split;
    inner @6 :Shape;
    title @7 :Text;
  }
  fill :union {
    none @8 :Void;
    colour @9 :Other.Colour;
  }

  struct Point {
    # Not the one of the file.
    index @0 :UInt32;
  }
  corner @10 :Point;

  const sides :UInt8 = 4;
  enum Builder {
    hand @0;
  }
}

struct Box(T) {
  content @0 :T;

  struct Lid(S) {
    under @0 :T;
    over @1 :S;
    step @2 :Step;
  }

  interface Shelf(S) {
    take @0 Lid(Text) -> (content :T, over :S);
  }
}

struct Boxes {
  text @0 :Box(Text);
  points @1 :Box(List(Point));
  nested @2 :Box(Box(Data));
  lid @3 :Box(Text).Lid(Shape);
  plain @4 :Box;
  any @5 :AnyPointer;
  anyStruct @6 :AnyStruct;
  anyList @7 :AnyList;
  service @8 :Meter;
  pairs @9 :List(Other.Pair(Point, Other.Colour));
}

struct Tree {
  value @0 :Text;
  children @1 :List(Tree);
  back @2 :Other.Leaf;
}

interface Base {
  # What every service has.
  status @0 () -> Point;
}

interface Meter extends (Base, Other.Named) {
  # Measures.
  measure @0 (point :Point, step :Step = right, from :Text, timeout :UInt32) -> (value :Float64, unit :Text);
  # A single value.

  reset @1 () -> ();
  list @2 (below :Float64) -> (points :List(Point));
  watch @3 (every :Float64, sink :Sink) -> stream;
  # Until the reader has seen enough.
  tick @4 () -> stream;
  store @5 Words -> Shape;
  import @6 (self :Data) -> ();

  interface Sink {
    put @0 (point :Point, at :UInt64) -> stream;
  }

  struct Reading {
    value @0 :Float64;
  }
}
