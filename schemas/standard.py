"""The schemas that come with hootbus, each a module: `standard.envelope.Envelope`, `standard.demo.AudioClip`."""

from hootbus.schemas.loader import load_packaged

common = load_packaged("common")
tools = load_packaged("tools")
garden = load_packaged("garden")
jobs = load_packaged("jobs")
envelope = load_packaged("envelope")
broadcast = load_packaged("broadcast")
options = load_packaged("options")
event = load_packaged("event")
broker = load_packaged("broker")
recorder = load_packaged("recorder")
proof = load_packaged("proof")
demo = load_packaged("demo")
