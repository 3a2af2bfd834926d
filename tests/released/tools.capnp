# Tools: functions that describe themselves, for callers that were not written for them: a model, a gateway, a person.
#
# Whoever calls may know no schema, so JSON always does. Those who share a schema may call and be answered in it: bodies
# are then read in place, as everywhere else.
@0x8e464bdd1ba89a1f;

struct ToolCall {
  # The arguments are JSON or typed, not both; a tool takes the kinds that its description names.
  name @0 :Text;
  args @1 :Text;  # a JSON object; empty: none, or `typed`

  # From here on hootbus's own; a peer that does not know these fields leaves them null.
  typed @2 :Typed;
}

struct Typed {
  # A struct of any type, and which: the receiver looks its schema up by the id.
  typeId @0 :UInt64;
  value @1 :AnyStruct;
}

struct Tool {
  # What a caller needs to know before it calls.
  name @0 :Text;  # unique in its host
  title @1 :Text;  # for people; empty: the name
  description @2 :Text;  # what it does and when to take it: all that a model has to choose by
  argsSchema @3 :Text;  # JSON Schema of an object; empty: it takes no arguments, or typed ones alone
  resultSchema @4 :Text;  # JSON Schema of `Content.json` in its result; empty: not said
  requestType @5 :UInt64;  # type id of the struct that a typed call carries; 0: it takes JSON alone
  replyType @6 :UInt64;  # type id of `Content.typed` in its result; 0: none

  # Hints: what its author says, which binds nobody. False is the careful answer, so that a tool that says nothing is
  # trusted with nothing.
  readOnly @7 :Bool;  # changes nothing
  idempotent @8 :Bool;  # a second call with the same arguments changes nothing more: it may be tried again
  additive @9 :Bool;  # what it changes, it adds: nothing is lost or overwritten
  closed @10 :Bool;  # reaches nothing but what its host holds itself
}

struct Tools {
  tools @0 :List(Tool);
}

struct ToolResult {
  content @0 :List(Content);  # to be taken in this order
  isError @1 :Bool;
  # The tool ran and failed, and the content says how, for the model to read. A call that could not be made at all, as of
  # a tool that is not there, is an error of the bus and has no result.
}

struct Content {
  # One piece of a result. An arm that its reader does not know can be left out: the others stand without it.
  union {
    text @0 :Text;  # for people and models
    json @1 :Text;  # by the tool's `resultSchema`, if it has one
    data @2 :Blob;
    typed @3 :Typed;
  }
}

struct Blob {
  mediaType @0 :Text;  # as in "image/png"
  bytes @1 :Data;
}

interface ToolHost {
  # A service with tools. A method is called as `SERVICE/method`: its parameter struct is the body of the request, its
  # result struct that of the reply, and `()` is an empty body.
  listTools @0 () -> Tools;
  callTool @1 ToolCall -> ToolResult;
  # `unknown_method`: there is no such tool. `bad_body`: its arguments will not do. `schema_mismatch`: it does not take
  # this type.
}
