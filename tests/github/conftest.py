"""A GitHub to talk to."""

from fake_github import fake

__all__ = ["fake"]
