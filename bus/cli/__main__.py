"""`python -m hootbus.bus.cli`, where the script `hoot` is not on the path."""

from hootbus.bus.cli.app import main

main()
