"""Async fixtures: always in the event loop of their test, whichever plugin runs it. Needs no database."""

import pytest

# Which plugins there are is what these tests are about, so each names its own.
ARGUMENTS = ("-p", "realdb_ci", "-p", "no:cacheprovider", "-W", "error")
ANYIO = ("-p", "anyio")
STRICT = ("-p", "asyncio", "-o", "asyncio_mode=strict", "-o", "asyncio_default_fixture_loop_scope=function")
AUTO = ("-p", "asyncio", "-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function")
RUNNERS = {
    "anyio alone": (ANYIO, "@pytest.mark.anyio"),
    "pytest-asyncio alone, strict": (STRICT, "@pytest.mark.asyncio"),
    "pytest-asyncio alone, auto": (AUTO, ""),
    "both, strict, marked anyio": ((*STRICT, *ANYIO), "@pytest.mark.anyio"),
    "both, strict, marked asyncio": ((*STRICT, *ANYIO), "@pytest.mark.asyncio"),
    "both, auto, marked anyio": ((*AUTO, *ANYIO), "@pytest.mark.anyio"),
    "both, auto, marked asyncio": ((*AUTO, *ANYIO), "@pytest.mark.asyncio"),
    "both, auto, not marked": ((*AUTO, *ANYIO), ""),
}
CONFTEST = """
import asyncio
import pytest
from realdb_ci.services import asynchronous

ended = []

@pytest.fixture
def anyio_backend():
    return "asyncio"

@asynchronous.fixture
async def name():
    yield "outer"
    ended.append("name")

@asynchronous.fixture
async def loop(name):
    '''The event loop of the test.'''
    assert name == "outer"
    running = asyncio.get_running_loop()
    yield running
    assert asyncio.get_running_loop() is running
    ended.append("loop")

def pytest_sessionfinish():
    print("ended:", *ended)
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, with_pytest_asyncio: None, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project with an async fixture of our kind, ``loop``, which also checks the loop it ends in."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeconftest(CONFTEST)
    return pytester


@pytest.mark.parametrize(("arguments", "mark"), RUNNERS.values(), ids=RUNNERS)
def test_fixture_lives_in_the_loop_of_its_test(
    suite: pytest.Pytester, arguments: tuple[str, ...], mark: str
) -> None:
    """Set-up, test and teardown share one loop, and what began last ends first."""
    suite.makepyfile(
        f"""
        import asyncio
        import pytest

        {mark}
        async def test_one(loop):
            assert loop is asyncio.get_running_loop()

        class TestClass:
            {mark}
            async def test_two(self, loop):
                assert loop is asyncio.get_running_loop()
        """
    )
    result = suite.runpytest_subprocess(*ARGUMENTS, *arguments, "-s")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*ended: loop name loop name"])


def test_both_plugins_run_their_tests_of_one_module(suite: pytest.Pytester) -> None:
    """Tests of anyio, of pytest-asyncio and plain ones take turns, each with the fixture in its own loop."""
    suite.makepyfile(
        """
        import asyncio
        import pytest

        @pytest.mark.anyio
        async def test_anyio(loop):
            assert loop is asyncio.get_running_loop()

        @pytest.mark.asyncio
        async def test_pytest_asyncio(loop):
            assert loop is asyncio.get_running_loop()

        def test_plain(loop):
            assert not loop.is_running() and not loop.is_closed()

        @pytest.mark.anyio
        async def test_anyio_again(loop):
            assert loop is asyncio.get_running_loop()
        """
    )
    result = suite.runpytest_subprocess(*ARGUMENTS, *STRICT, *ANYIO, "-s")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines([f"*ended: {' '.join(['loop name'] * 4)}"])


@pytest.mark.parametrize("scope", ["function", "class", "module", "session"])
@pytest.mark.parametrize("way", ["mark", "setting"])
def test_loop_scope_of_the_test_counts(suite: pytest.Pytester, way: str, scope: str) -> None:
    """Tests that share a loop have the fixture in it, though pytest-asyncio's fixtures go by another setting."""
    mark = f'@pytest.mark.asyncio(loop_scope="{scope}")' if way == "mark" else "@pytest.mark.asyncio"
    suite.makepyfile(
        f"""
        import asyncio
        import pytest
        seen = []

        class TestClass:
            {mark}
            async def test_first(self, loop):
                assert loop is asyncio.get_running_loop()
                seen.append(loop)

            {mark}
            async def test_second(self, loop):
                assert loop is asyncio.get_running_loop()
                assert (loop is seen[0]) == {scope != "function"}
        """
    )
    setting = () if way == "mark" else ("-o", f"asyncio_default_test_loop_scope={scope}")
    suite.runpytest_subprocess(*ARGUMENTS, *STRICT, *setting).assert_outcomes(passed=2)


def test_async_fixtures_of_the_project_build_on_ours(suite: pytest.Pytester) -> None:
    """A project's own fixture, in the manner of its plugin, shares the loop with ours."""
    suite.makepyfile(
        """
        import asyncio
        import pytest
        import pytest_asyncio

        @pytest_asyncio.fixture(loop_scope="module")
        async def for_pytest_asyncio(loop):
            assert loop is asyncio.get_running_loop()
            yield loop
            assert loop is asyncio.get_running_loop()

        @pytest.fixture
        async def for_anyio(anyio_backend, loop):
            assert loop is asyncio.get_running_loop()
            yield loop
            assert loop is asyncio.get_running_loop()

        @pytest.mark.asyncio(loop_scope="module")
        async def test_pytest_asyncio(for_pytest_asyncio, loop):
            assert for_pytest_asyncio is loop

        @pytest.mark.anyio
        async def test_anyio(for_anyio, loop):
            assert for_anyio is loop
        """
    )
    suite.runpytest_subprocess(*ARGUMENTS, *STRICT, *ANYIO).assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("arguments", "test"),
    [
        (STRICT, "async def test_it(loop): ..."),
        (ANYIO, "async def test_it(loop): ..."),
        (ANYIO, "def test_it(loop): ..."),
        ((), "def test_it(loop): ..."),
        ((), "def test_it(anyio_backend, loop): ..."),
    ],
)
def test_test_that_no_async_plugin_runs_is_told_what_to_write(
    suite: pytest.Pytester, arguments: tuple[str, ...], test: str
) -> None:
    """The failure names the fixture and both marks, without a trace through our code."""
    suite.makepyfile(test)
    result = suite.runpytest_subprocess(*ARGUMENTS, *arguments)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["name is asynchronous, and no async plugin runs this test", "*fix: *pytest.mark.anyio*asyncio*"]
    )
    result.stdout.no_fnmatch_line("*asynchronous.py*")


@pytest.mark.parametrize("backend", ["'trio'", "('trio', {})"])
def test_other_event_loops_than_asyncio_are_refused(suite: pytest.Pytester, backend: str) -> None:
    """A test that anyio would run on trio learns how to have it run on asyncio."""
    suite.makepyfile(
        f"""
        import pytest

        @pytest.fixture
        def anyio_backend():
            return {backend}

        @pytest.mark.anyio
        async def test_it(loop): ...
        """
    )
    result = suite.runpytest_subprocess(*ARGUMENTS, *ANYIO)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["name runs on asyncio, and anyio runs this test on trio", "*fix: *anyio_backend*"])


def test_too_old_pytest_asyncio_is_named(suite: pytest.Pytester) -> None:
    """A version whose fixtures do not see their loop is refused with the one that is needed."""
    suite.makepyfile(
        """
        import pytest
        import pytest_asyncio
        pytest_asyncio.__version__ = "1.3.0"

        @pytest.mark.asyncio
        async def test_it(loop): ...
        """
    )
    result = suite.runpytest_subprocess(*ARGUMENTS, *STRICT)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["pytest-asyncio 1.3.0 is too old*", "*pip install 'pytest-asyncio>=1.4'"])


@pytest.mark.parametrize("mark", ["asyncio", "anyio"], ids=["by pytest-asyncio", "by anyio"])
def test_failure_of_a_fixture_is_the_error_of_its_test(suite: pytest.Pytester, mark: str) -> None:
    """Whether it fails at its beginning or at its end, the test has an error and the next one runs."""
    suite.makepyfile(
        f"""
        import pytest
        from realdb_ci.services import asynchronous

        @asynchronous.fixture
        async def broken(request):
            assert request.node.name != "test_first", "cannot begin"
            yield 1
            assert False, "cannot end"

        @pytest.mark.{mark}
        async def test_first(broken): ...

        @pytest.mark.{mark}
        async def test_second(broken, loop):
            assert broken == 1
        """
    )
    result = suite.runpytest_subprocess(*ARGUMENTS, *STRICT, *ANYIO)
    result.assert_outcomes(passed=1, errors=2)
    result.stdout.fnmatch_lines(["*cannot begin*", "*ERROR at teardown of test_second*", "*cannot end*"])


def test_failure_of_a_fixture_that_is_not_ours_shows_nothing_of_us(suite: pytest.Pytester) -> None:
    """We look at every fixture, and no traceback of a project needs to tell."""
    suite.makepyfile(
        helper="""
        import pytest

        @pytest.fixture
        def broken():
            raise ZeroDivisionError
        """,
        test_it="""
        from helper import broken

        def test_it(broken): ...
        """,
    )
    result = suite.runpytest_subprocess(*ARGUMENTS, *ANYIO)
    result.assert_outcomes(errors=1)
    result.stdout.no_fnmatch_line("*asynchronous.py*")


def test_pytest_lists_the_fixture_by_its_docstring(suite: pytest.Pytester) -> None:
    """``pytest --fixtures`` says what it is, and where it is defined."""
    suite.makepyfile("def test_it(): ...")
    result = suite.runpytest_subprocess(*ARGUMENTS, *STRICT, "--fixtures")
    result.stdout.fnmatch_lines(["loop -- conftest.py:*", "    The event loop of the test."])


def test_fixture_of_the_project_takes_its_place(suite: pytest.Pytester) -> None:
    """A fixture of the same name in a test module wins, and may build on ours."""
    suite.makepyfile(
        """
        import asyncio
        import pytest

        @pytest.fixture
        def loop(loop):
            return [loop]

        @pytest.mark.anyio
        async def test_it(loop):
            assert loop == [asyncio.get_running_loop()]
        """
    )
    suite.runpytest_subprocess(*ARGUMENTS, *STRICT, *ANYIO).assert_outcomes(passed=1)
