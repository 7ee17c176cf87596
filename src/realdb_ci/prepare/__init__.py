"""Prepare: what a suite needs before it can start: its environment, the images of its databases, caches."""
