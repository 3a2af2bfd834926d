# Every type, every default, everything that the text and JSON forms spell in their own way.
@0xd8a1c0e3b7f24691;

enum Colour {
  red @0;
  green @1;
  blue @2;
}

struct Inner {
  number @0 :Int32;
  name @1 :Text;
  children @2 :List(Inner);
}

struct Box(T) {
  content @0 :T;
}

struct Pair(First, Second) {
  first @0 :First;
  second @1 :Second;
}

interface Service {}

struct Everything {
  # Not in the order of the numbers: text goes by the numbers, so does JSON.
  nothing @3 :Void;
  flag @0 :Bool;
  int8 @1 :Int8;
  uint64 @2 :UInt64;
  int16 @4 :Int16;
  int32 @5 :Int32;
  int64 @6 :Int64;
  uint8 @7 :UInt8;
  uint16 @8 :UInt16;
  uint32 @9 :UInt32;
  float32 @10 :Float32;
  float64 @11 :Float64;
  text @12 :Text;
  data @13 :Data;
  colour @14 :Colour;
  inner @15 :Inner;

  union {
    left @16 :Text;
    right :group {
      x @17 :Int16;
      y @18 :List(Int16);
    }
    neither @19 :Void;
    weight @20 :Float64;
    deep @21 :Everything;
  }

  place :group {
    row @22 :Int32;
    label @23 :Text;
    union {
      plain @24 :Int32;
      named @25 :Text;
      shape :union {
        circle @26 :Float32;
        square @27 :Void;
      }
    }
  }

  defaults :group {
    flag @28 :Bool = true;
    int8 @29 :Int8 = -3;
    uint64 @30 :UInt64 = 18446744073709551615;
    float32 @31 :Float32 = 0.1;
    float64 @32 :Float64 = -1.5e300;
    notFinite @33 :Float64 = inf;
    colour @34 :Colour = blue;
    text @35 :Text = "by default";
    data @36 :Data = 0x"00 ff";
    list @37 :List(Int16) = [1, -2];
    inner @38 :Inner = (number = 7, name = "seven");
  }

  voids @39 :List(Void);
  flags @40 :List(Bool);
  int8s @41 :List(Int8);
  int16s @42 :List(Int16);
  int32s @43 :List(Int32);
  int64s @44 :List(Int64);
  uint8s @45 :List(UInt8);
  uint16s @46 :List(UInt16);
  uint32s @47 :List(UInt32);
  uint64s @48 :List(UInt64);
  float32s @49 :List(Float32);
  float64s @50 :List(Float64);
  texts @51 :List(Text);
  datas @52 :List(Data);
  colours @53 :List(Colour);
  inners @54 :List(Inner);
  matrix @55 :List(List(Int32));
  boxes @56 :List(Box(Data));
  box @57 :Box(Text);
  pair @58 :Pair(Inner, Box(List(Int64)));
  any @59 :AnyPointer;
  service @60 :Service;
}

# What a newer peer sends, and what an older one makes of it.
struct New {
  colour @0 :UInt16;
  colours @1 :List(UInt16);
  union {
    one @2 :Void;
    two @3 :Void;
    three @4 :Int32;
  }
}

struct Old {
  colour @0 :Colour;
  colours @1 :List(Colour);
  union {
    one @2 :Void;
    two @3 :Void;
  }
}

# Unions whose first member is a pointer of each kind, for what there is to say of it when it is null.
struct Null {
  union {
    text @0 :Text;
    other @1 :Void;
  }
  list :union {
    numbers @2 :List(Int32);
    other @3 :Void;
  }
  struct :union {
    inner @4 :Inner;
    other @5 :Void;
    deeper @6 :Null;
  }
}

# A union whose first member leads back to it: written by its defaults it would have no end.
struct Endless {
  number @0 :Int8;
  union {
    next @1 :Endless;
    other @2 :Void;
  }
}
