"""A worker that remembers every request that it has had."""

from unittest import mock

from hootbus.workers import Request

_remembered: list[bytearray] = []
_raw = Request.raw.fget  # type: ignore[attr-defined]  # the property itself, as it is asked of the class


def raw(self: Request) -> memoryview:
    """As Request.raw."""
    _remembered.append(bytearray(self.id))
    return _raw(self)  # type: ignore[no-any-return]  # as above


mock.patch.object(Request, "raw", property(raw)).start()
