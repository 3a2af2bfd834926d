"""Who may do what: the judge of all rights, pure, so that one place tells and everyone else asks.

A peer is a *principal*: its public key, as CURVE has proved it. Without keys nobody is known, and all may do all that
the address lets them reach, but for what is the operator's.
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Final

import msgspec

from hootbus.frames.errors import Denied

OWN_PREFIX: Final = "hoot."
# What changes the bus for others, or shows what is theirs, and is not for everybody who may use it.
_ADMIN: Final = ("hoot.broker/drain", "hoot.quarantine", "hoot.quarantine/*")
# What hands out events: who may not listen may not have them from there either.
_EVENTS: Final = ("hoot.events", "hoot.events/*", "hoot.recorder", "hoot.recorder/*")
# Answers that are kept: a program calls the same few methods again and again. When there are more, all are forgotten.
_KEPT_MAX: Final = 10_000
_SHOWN_CHARS: Final = 100


class Rights(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one key may do. `offer` has patterns of services, `call` of `service/method`, as `fnmatch` reads them.

    A pattern of `call` without a method is for all of a service's. Those that do not begin with `hoot.` never match
    what does.
    """

    offer: tuple[str, ...] = ("*",)
    call: tuple[str, ...] = ("*",)
    publish: bool = True
    subscribe: bool = True
    admin: bool = False


class Known(msgspec.Struct, frozen=True):
    """A key that is let in: the name of its file, for people, and its rights."""

    name: str
    rights: Rights


class Access:
    """The rights of all keys at one moment; another takes its place when a file has changed.

    With `keys` None the bus has no keys: everyone may do everything, and `admin` only if the address is one that
    nobody but its user reaches.
    """

    def __init__(self, keys: Mapping[bytes, Known] | None = None, *, admin: bool = True) -> None:
        self._keys = keys
        self._admin = admin
        self._calls: dict[tuple[bytes, bytes], bool] = {}

    @property
    def keyed(self) -> bool:
        """Whether anybody is asked who they are."""
        return self._keys is not None

    def principals(self) -> list[bytes]:
        """All keys that are let in."""
        return list(self._keys) if self._keys is not None else []

    def knows(self, principal: bytes) -> bool:
        """Whether it is let in at all."""
        return self._keys is None or principal in self._keys

    def name(self, principal: bytes) -> str:
        """What people call it."""
        known = self._keys.get(principal) if self._keys is not None else None
        return known.name if known is not None else "?"

    def may_offer(self, principal: bytes, service: bytes) -> bool:
        """Whether it may attach workers of a service."""
        if self._keys is None:
            return True
        known = self._keys.get(principal)
        name = service.decode(errors="replace")
        return known is not None and any(_is_meant(pattern, name) for pattern in known.rights.offer)

    def may_call(self, principal: bytes, service_frame: bytes) -> bool:
        """Whether it may send this request. What the broker tells of itself, all may ask that are let in."""
        if self._keys is None:
            # What is the operator's is so also where nobody is asked who they are.
            return self._admin or not _among(_ADMIN, service_frame.decode(errors="replace"))
        asked = (principal, service_frame)
        allowed = self._calls.get(asked)
        if allowed is None:
            if len(self._calls) >= _KEPT_MAX:
                self._calls.clear()
            allowed = self._calls[asked] = self._judge_call(principal, service_frame.decode(errors="replace"))
        return allowed

    def may_publish(self, principal: bytes) -> bool:
        """Whether it may connect to where events are published."""
        known = self._keys.get(principal) if self._keys is not None else None
        return self._keys is None or (known is not None and known.rights.publish)

    def may_subscribe(self, principal: bytes) -> bool:
        """Whether it may connect to where events are received."""
        known = self._keys.get(principal) if self._keys is not None else None
        return self._keys is None or (known is not None and known.rights.subscribe)

    def may_administer(self, principal: bytes) -> bool:
        """Whether it may drain the broker and decide about quarantined requests."""
        known = self._keys.get(principal) if self._keys is not None else None
        return self._admin if self._keys is None else known is not None and known.rights.admin

    # What those are told who may not

    def offer_refusal(self, principal: bytes, service: bytes) -> Denied | None:
        """The error for a READY, None if it is allowed."""
        if self.may_offer(principal, service):
            return None
        return self._denied(principal, f"offer {_shown(service)!r}", "offer")

    def call_refusal(self, principal: bytes, service_frame: bytes) -> Denied | None:
        """The error for a REQUEST, None if it is allowed."""
        if self.may_call(principal, service_frame):
            return None
        name = service_frame.decode(errors="replace")
        if _among(_ADMIN, name) and self._keys is None:
            return Denied(f"{_shown(service_frame)!r} needs an ipc address, or keys and the right 'admin'")
        right = "admin" if _among(_ADMIN, name) else "subscribe" if _among(_EVENTS, name) else "call"
        return self._denied(principal, f"call {_shown(service_frame)!r}", right)

    def _denied(self, principal: bytes, what: str, right: str) -> Denied:
        if not self.knows(principal):
            return Denied("this key is not among those that the broker lets in (any more)")
        return Denied(f"the key {self.name(principal)!r} may not {what}: it lacks the right {right!r}")

    def _judge_call(self, principal: bytes, target: str) -> bool:
        assert self._keys is not None
        known = self._keys.get(principal)
        if known is None:
            return False
        if _among(_ADMIN, target):
            return known.rights.admin
        if _among(_EVENTS, target):
            return known.rights.subscribe
        if target.startswith(OWN_PREFIX):
            return True
        service, _, method = target.partition("/")
        for pattern in known.rights.call:
            services, slash, methods = pattern.partition("/")
            if _is_meant(services, service) and (not slash or fnmatchcase(method, methods)):
                return True
        return False


def _is_meant(pattern: str, service: str) -> bool:
    """Whether a pattern of services means this one. The broker's own are meant by their name alone."""
    if service.startswith(OWN_PREFIX) and not pattern.startswith(OWN_PREFIX):
        return False
    return fnmatchcase(service, pattern)


def _among(patterns: tuple[str, ...], target: str) -> bool:
    return any(fnmatchcase(target, pattern) for pattern in patterns)


def _shown(name: bytes) -> str:
    """A peer's word, as much of it as an error should repeat."""
    return name.decode(errors="replace")[:_SHOWN_CHARS]
