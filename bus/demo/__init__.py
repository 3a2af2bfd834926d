"""The main job on real input, in one process tree: what `hoot demo` shows."""
