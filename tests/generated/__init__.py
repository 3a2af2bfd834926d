"""Golden modules of `odd.capnp` and `other.capnp`: `hoot schema gen tests/generated/*.capnp -o tests/generated`."""
