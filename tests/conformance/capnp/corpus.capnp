# Every type, every kind of default, and every way to put types together.
@0xd3a5c7e9f1b28046;

enum Colour {
  red @0;
  green @1;
  blue @2;
}

const answer :UInt32 = 42;
const motto :Text = "constants \"too\"";
const ration :Data = 0x"00 ff 10";
const primes :List(UInt16) = [2, 3, 5];
const origin :Point = (x = -1, y = 1);

struct Point {
  x @0 :Int32;
  y @1 :Int32;
}

# Numbers as they are when nobody set them, and with defaults at their bounds.
struct Numbers {
  i8 @0 :Int8;
  i16 @1 :Int16;
  i32 @2 :Int32;
  i64 @3 :Int64;
  u8 @4 :UInt8;
  u16 @5 :UInt16;
  u32 @6 :UInt32;
  u64 @7 :UInt64;
  f32 @8 :Float32;
  f64 @9 :Float64;
  yes @10 :Bool;
  nothing @11 :Void;
  colour @12 :Colour;
  i8Least @13 :Int8 = -128;
  i16Least @14 :Int16 = -32768;
  i32Least @15 :Int32 = -2147483648;
  i64Least @16 :Int64 = -9223372036854775808;
  u8Most @17 :UInt8 = 255;
  u16Most @18 :UInt16 = 65535;
  u32Most @19 :UInt32 = 4294967295;
  u64Most @20 :UInt64 = 18446744073709551615;
  f32Infinite @21 :Float32 = inf;
  f64Infinite @22 :Float64 = -inf;
  f32NotANumber @23 :Float32 = nan;
  f64NotANumber @24 :Float64 = nan;
  f32Zero @25 :Float32 = -0.0;
  f64Zero @26 :Float64 = -0.0;
  f64Pi @27 :Float64 = 3.141592653589793;
  on @28 :Bool = true;
  blue @29 :Colour = blue;
  named @30 :UInt32 = .answer;
  i8Most @31 :Int8 = 127;
  f32Third @32 :Float32 = 0.33333334;
}

# Pointers, each with a default.
struct Defaults {
  text @0 :Text = "grüße\n\t\"\\\x07 \xe2\x82\xac";
  data @1 :Data = 0x"de ad 00 be ef";
  numbers @2 :List(Int16) = [-32768, 0, 32767];
  floats @3 :List(Float64) = [inf, -0.0, 1e-300];
  bools @4 :List(Bool) = [true, false, true, true, false, true, false, true, true];
  texts @5 :List(Text) = ["", "a", "ü"];
  voids @6 :List(Void) = [void, void, void];
  colours @7 :List(Colour) = [blue, red];
  nested @8 :List(List(UInt8)) = [[1, 2], [], [3]];
  point @9 :Point = (x = 7);
  points @10 :List(Point) = [(x = 1), (y = 2)];
  motto @11 :Text = .motto;
  ration @12 :Data = .ration;
  primes @13 :List(UInt16) = .primes;
  origin @14 :Point = .origin;
  tree @15 :Tree = (name = "root", children = [(name = "leaf"), (children = [()])]);
  shape @16 :Shape = (circle = 2.5);
  empty @17 :Text = "";
  nobody @18 :List(Text) = [];
}

struct Lists {
  voids @0 :List(Void);
  bools @1 :List(Bool);
  i8s @2 :List(Int8);
  i16s @3 :List(Int16);
  i32s @4 :List(Int32);
  i64s @5 :List(Int64);
  u8s @6 :List(UInt8);
  u16s @7 :List(UInt16);
  u32s @8 :List(UInt32);
  u64s @9 :List(UInt64);
  f32s @10 :List(Float32);
  f64s @11 :List(Float64);
  texts @12 :List(Text);
  datas @13 :List(Data);
  colours @14 :List(Colour);
  points @15 :List(Point);
  shapes @16 :List(Shape);
  trees @17 :List(Tree);
  empties @18 :List(Empty);
  matrix @19 :List(List(Float32));
  cube @20 :List(List(List(Int8)));
  bitmaps @21 :List(List(Bool));
  voidLists @22 :List(List(Void));
  poems @23 :List(List(Text));
  palettes @24 :List(List(Colour));
  polygons @25 :List(List(Point));
  text @26 :Text;
  data @27 :Data;
}

struct Empty {}

struct Tree {
  name @0 :Text;
  children @1 :List(Tree);
  parent @2 :Tree;
}

# Groups, a union without a name, and unions that have one.
struct Shape {
  area @0 :Float64;
  union {
    nothing @1 :Void;
    circle @2 :Float64;
    square @3 :Float64 = 1.5;
    label @4 :Text;
    corners @5 :List(Point);
    colour @6 :Colour = green;
    filled @7 :Bool = true;
    rectangle :group {
      width @8 :UInt16;
      height @9 :UInt16 = 9;
      title @10 :Text;
    }
    inner @11 :Shape;
  }
  origin :group {
    x @12 :Int16;
    y @13 :Int16;
    deeper :group {
      name @14 :Text = "deep";
      tags @15 :List(Text);
    }
  }
  state :union {
    off @16 :Void;
    level @17 :UInt8 = 200;
    speed :group {
      now @18 :Float32;
      limit @19 :Float32 = 130;
      union {
        metric @20 :Void;
        imperial @21 :Text;
      }
    }
  }
}

struct Outer {
  inner @0 :Inner;
  kind @1 :Inner.Kind = odd;
  deepest @2 :Inner.Innermost;

  struct Inner {
    value @0 :Int64;
    innermost @1 :Innermost;
    enum Kind {
      even @0;
      odd @1;
    }
    struct Innermost {
      kind @0 :Kind;
    }
  }
}

struct Box(T) {
  value @0 :T;
  label @1 :Text;
  wrapped @2 :Wrap;

  struct Wrap {
    inside @0 :T;
    again @1 :Box(T);
  }
}

struct Pair(First, Second) {
  first @0 :First;
  second @1 :Second;
  swapped @2 :Pair(Second, First);
}

struct Generics {
  text @0 :Box(Text);
  point @1 :Box(Point);
  numbers @2 :Box(List(Int32));
  boxed @3 :Box(Box(Text));
  pair @4 :Pair(Text, List(Point));
  wrap @5 :Box(Data).Wrap;
  boxes @6 :List(Box(Text));
  tree @7 :Box(Tree);
}

interface Service {
  call @0 (question :Text) -> (answer :Text);
}

# What text and JSON cannot say: built with pycapnp.
struct Anything {
  any @0 :AnyPointer;
  struct @1 :AnyStruct;
  list @2 :AnyList;
  capability @3 :Capability;
  service @4 :Service;
  services @5 :List(Service);
  unbound @6 :Box;
  name @7 :Text;
}

# The same struct before and after its owner went on with it.
struct Before {
  name @0 :Text;
  levels @1 :List(Int32);
  ratio @2 :Float32;
  colour @3 :OldColour;
  point @4 :OldPoint;
  titles @5 :List(Text);
  counted @6 :UInt16;
  points @7 :List(OldPoint);

  enum OldColour {
    red @0;
    green @1;
  }

  struct OldPoint {
    x @0 :Int32;
  }
}

struct After {
  name @0 :Text;
  levels @1 :List(Level);
  union {
    ratio @2 :Float32;
    exact @8 :Float64;
    unknown @9 :Void;
  }
  colour @3 :Colour;
  point @4 :Point;
  titles @5 :List(Title);
  counted @6 :UInt16;
  points @7 :List(Point);
  added @10 :List(Tree);
  weight @11 :Float64 = 0.5;
  note @12 :Text = "none";
  big @13 :UInt64;

  struct Level {
    value @0 :Int32;
    name @1 :Text;
    weight @2 :Float64 = 2.5;
  }

  struct Title {
    text @0 :Text;
    language @1 :Text = "en";
  }
}
