# How a struct is spelled in JSON, under the ids and names of Cap'n Proto's own file of this name, which pycapnp leaves
# out: schemas that import it compile here, and say the same to every other implementation.
#
#   using Json = import "/capnp/compat/json.capnp";
#
#   struct Clip {
#     frameCount @0 :UInt32 $Json.name("frame_count");
#   }
@0x8ef99297a43a5e34;

struct Value {
  # Any JSON.
  union {
    null @0 :Void;
    boolean @1 :Bool;
    number @2 :Float64;
    string @3 :Text;
    array @4 :List(Value);
    object @5 :List(Field);
    call @6 :Call;  # no JSON but what some databases print: NAME(VALUE, …)
  }

  struct Field {
    name @0 :Text;
    value @1 :Value;
  }

  struct Call {
    function @0 :Text;
    params @1 :List(Value);
  }
}

# The name that it has in JSON.
annotation name @0xfa5b1fd61c2e7c3d (field, enumerant, method, group, union) :Text;

# The fields of this struct or group stand among those of the struct around it, with a prefix if one is given. Of a
# member of a union this takes a discriminator, or nobody could tell which member is meant.
annotation flatten @0x82d3e852af0336bf (field, group, union) :FlattenOptions;

struct FlattenOptions {
  prefix @0 :Text = "";
}

# A field of this name says which member of the union is set; with `valueName` that member itself has this name, whichever
# it is. A struct's annotation is about its union without a name. A union that is flattened needs no `name`: it has its own.
annotation discriminator @0xcfa794e8d19a0162 (struct, union) :DiscriminatorOptions;

struct DiscriminatorOptions {
  name @0 :Text;
  valueName @1 :Text;
}

# Data as a string, and not as a list of numbers.
annotation base64 @0xd7d879450a253e4b (field) :Void;
annotation hex @0xf061e22f0ae5c7b5 (field) :Void;

# A method whose caller waits for no reply.
annotation notification @0xa0a054dea32fd98c (method) :Void;
