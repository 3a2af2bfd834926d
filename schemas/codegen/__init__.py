"""Python for a schema: its structs for type checkers and at run time, their JSON side, its services. Text, no files."""
