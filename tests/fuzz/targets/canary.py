"""A target that has a bug, so that a run which finds nothing in the others means something."""


def canary_target(data: bytes) -> None:
    """Wrong for what begins with two bytes that are not said to the fuzzer, but compared one after the other."""
    if data[:1] == b"h" and data[1:2] == b"o":
        raise ValueError("the canary sings")
