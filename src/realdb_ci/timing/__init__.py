"""Timing: what earlier runs of the base branch say about this one."""
