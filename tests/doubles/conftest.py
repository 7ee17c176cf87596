"""What the tests of the doubles share."""

import pytest

ARGUMENTS = ("-p", "no:cacheprovider", "-W", "error")


class Suite:
    """A small project whose tests run in a pytest process of their own."""

    def __init__(self, pytester: pytest.Pytester, double: str) -> None:
        self.pytester = pytester
        self._arguments = (*ARGUMENTS, "-p", f"realdb_ci.doubles.{double}")

    def run(self, test: str, *arguments: str) -> pytest.RunResult:
        """Run one test file."""
        self.pytester.makepyfile(test_it=test)
        return self.pytester.runpytest_subprocess(*self._arguments, *arguments)

    def run_without(self, modules: tuple[str, ...], test: str) -> pytest.RunResult:
        """Run one test file where these modules cannot be imported."""
        self.pytester.makepyfile(
            blocker=f"""
            import sys

            class Blocker:
                def find_spec(self, name, path=None, target=None):
                    if name.partition(".")[0] in {modules!r}:
                        raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

            sys.meta_path.insert(0, Blocker())
            """
        )
        self.pytester.syspathinsert()
        return self.run(test, "-p", "blocker")
