"""Timing: where the time of a test goes, and what earlier runs of the base branch say about this one."""
