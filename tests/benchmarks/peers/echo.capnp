@0xd08b1ee5ac63f9b7;
# What pycapnp's own RPC is measured with.

interface Echo {
  echo @0 (body :Data) -> (body :Data);
}
