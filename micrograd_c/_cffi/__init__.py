"""Value as a Python proxy over calls to the C library: the portable backend."""
