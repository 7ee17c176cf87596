"""A small project that a test of the doubles runs in a pytest process of its own."""

import pytest

# pytest-asyncio warns where its loop scope is not set, as in these projects.
ARGUMENTS = ("-p", "no:cacheprovider", "-p", "no:asyncio", "-W", "error")

# A wait that never ends is what some of these tests are about: it fails, and nobody waits for it.
SECONDS = 100


class Suite:
    """A small project whose tests run in a pytest process of their own."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self._arguments = ARGUMENTS

    def run(self, test: str, *arguments: str) -> pytest.RunResult:
        """Run one test file."""
        self.pytester.makepyfile(test_it=test)
        return self.pytester.runpytest_subprocess(*self._arguments, *arguments, timeout=SECONDS)

    def run_without(self, modules: tuple[str, ...], test: str, *arguments: str) -> pytest.RunResult:
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
        return self.run(test, "-p", "blocker", *arguments)
