"""For all tests: the same examples in every run, and no example is on the clock."""

from hypothesis import settings

settings.register_profile("hootbus", deadline=None, derandomize=True)
settings.load_profile("hootbus")
