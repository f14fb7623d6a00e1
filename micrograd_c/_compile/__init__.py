"""Compiled programs: what a function records, replayed over many rows."""
