"""The image's first and only program: the Action's story, from the runner's environment to an exit code."""

from realdb_ci.action import main

main()
