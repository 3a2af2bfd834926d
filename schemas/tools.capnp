# A call of a named tool, as an MCP gateway passes it on.
@0x8e464bdd1ba89a1f;

struct ToolCall {
  name @0 :Text;
  args @1 :Text;  # JSON
}
