"""The database engine you deploy, in every test: pytest fixtures, a command line and a GitHub Action."""

__version__ = "0.1.0"
