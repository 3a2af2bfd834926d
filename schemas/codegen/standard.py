"""The files of hootbus's own: whoever imports one of them has its modules from `hootbus.workers.standard`."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

STANDARD: Final[Mapping[int, str]] = MappingProxyType(
    {
        0x93CF6E9F99BC5134: "broadcast",
        0xC46ED5492B248D09: "broker",
        0x82DEF2B5E40441BE: "common",
        0xDA1537374D5C2311: "demo",
        0xB1BB24E6743D105A: "envelope",
        0xBCA42C19D57AFD22: "event",
        0xD7430BB8B74C3EAB: "garden",
        0xB4A5188779FAF9B6: "jobs",
        0xF00D9BD088E10B9E: "options",
        0xDC015A791B24845B: "proof",
        0xE1A7C5D2984F6B03: "recorder",
        0x8E464BDD1BA89A1F: "tools",
    }
)
