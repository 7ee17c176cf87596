"""Timing: where the time of a test goes: its statements, counted and timed."""
