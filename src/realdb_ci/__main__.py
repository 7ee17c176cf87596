"""``python -m realdb_ci`` is ``realdb-ci``."""

from realdb_ci.cli import main

if __name__ == "__main__":
    main()
