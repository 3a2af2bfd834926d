# What the annotations for JSON can be put on, and how they go together.
@0xe4d1a6c3b2f09857;

using Json = import "/capnp/compat/json.capnp";

struct Inner {
  a @0 :Int32 $Json.name("al/pha \x01é");
  b @1 :Text;
}

enum Colour {
  red @0 $Json.name("Rot");
  green @1;
}

struct Names {
  someField @0 :Text $Json.name("some_field");
  b64 @1 :Data $Json.base64;
  hex @2 :Data $Json.hex;
  colour @3 :Colour;
  colours @4 :List(List(Colour));
  place :group $Json.name("Platz") {
    x @5 :Float64 $Json.name("ex");
  }
  empty @6 :Data $Json.base64;
}

struct Plain {
  union {
    text @0 :Text $Json.name("txt");
    number @1 :Int32;
    nothing @2 :Void;
    inner @3 :Inner;
  }
}

struct Tagged $Json.discriminator(name = "type", valueName = "value") {
  before @4 :Int32;
  union {
    text @0 :Text;
    number @1 :Int64;
    nothing @2 :Void $Json.name("void");
    inner @3 :Inner;
    data @5 :Data $Json.hex;
    place :group {
      x @6 :Int32;
    }
  }
}

struct TaggedByName $Json.discriminator(name = "type") {
  union {
    text @0 :Text $Json.name("txt");
    number @1 :Int64;
    nothing @2 :Void;
    inner @3 :Inner $Json.flatten(prefix = "in.");
    other @4 :Inner $Json.flatten(prefix = "in.");
    place :group $Json.flatten() {
      x @5 :Int32;
      y @6 :Text;
    }
  }
}

struct Flat {
  inner @0 :Inner $Json.flatten();
  again @1 :Inner $Json.flatten(prefix = "2");
  state :union $Json.flatten() $Json.discriminator() {
    idle @2 :Void;
    busy :group $Json.flatten(prefix = "busy-") {
      since @3 :UInt64;
    }
    text @4 :Text $Json.name("words");
  }
  tagged @5 :TaggedByName $Json.flatten(prefix = "t/");
  named :union $Json.discriminator(name = "kind") {
    one @6 :Text;
    two @7 :Text;
  }
}

struct Untold $Json.discriminator(valueName = "value") {
  union {
    text @0 :Text;
    number @1 :Int32;
  }
}

struct UntoldFlat {
  union {
    inner @0 :Inner $Json.flatten();
    number @1 :Int32;
  }
}

struct Nameless $Json.discriminator(name = "") {
  union {
    text @0 :Text;
    number @1 :Int32;
  }
}

struct Box(T) {
  content @0 :T $Json.name("in_it");
  more @1 :Half $Json.flatten(prefix = "half ");

  struct Half {
    half @0 :T;
    colours @1 :List(Colour);
  }
}

struct Boxes {
  box @0 :Box(Text);
  list @1 :List(Box(Inner));
}

struct Twice {
  a @0 :Int32 $Json.name("b");
  b @1 :Int32;
}

struct TwiceSaid $Json.discriminator(name = "type", valueName = "value") {
  union {
    a @0 :Text $Json.name("x");
    b @1 :Text $Json.name("x");
  }
}

enum Confused {
  one @0 $Json.name("two");
  two @1;
}

struct TwiceEnum {
  confused @0 :Confused;
}

struct TwiceFlat {
  a @0 :Int32;
  inner @1 :Tagged $Json.flatten();
  type @2 :Int32;
}

struct Endless {
  endless @0 :Endless $Json.flatten(prefix = "x");
}

struct Wrong {
  data @0 :List(Data) $Json.base64;
}

struct WrongFlat {
  text @0 :Text $Json.flatten();
}
