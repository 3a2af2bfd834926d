"""Publishes three events; as `hoot publish jobs.progress '{"done": 1}'` does."""

from hootbus.workers import Publisher

with Publisher() as publisher:
    for done in range(1, 4):
        publisher.publish("jobs.progress", {"done": done, "of": 3})
