"""The command line, `hoot`."""

from hootbus.bus.cli.app import main

__all__ = ["main"]
