"""The image's first and only program: the Action's story, from the runner's environment to an exit code."""

from realdb_ci import signals

signals.hold()
from realdb_ci.action import main  # noqa: E402  # which takes a second, and a job may be cancelled in it

main()
