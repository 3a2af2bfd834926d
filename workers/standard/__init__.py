"""hootbus's own schemas, as `hoot schema gen` makes Python of them.

`from hootbus.workers.standard.demo_capnp import AudioClip`. A generated module that needs one of them imports it from
here. `hoot schema gen schemas/*.capnp -o workers/standard` renews them.
"""
