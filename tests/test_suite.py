"""A child that is watched to its end, whatever it does to its output."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from textwrap import dedent

import psutil
import pytest

from realdb_ci import suite

Child = Callable[[str], suite.Suite]


@pytest.fixture
def child(tmp_path: Path) -> Child:
    """Make a suite of one module, without our plugin."""

    def make(source: str) -> suite.Suite:
        (tmp_path / "test_it.py").write_text(dedent(source), encoding="utf-8")
        return suite.Suite(tmp_path, ["-s", "-q"], ["-p", "no:realdb_ci", "-p", "no:cacheprovider"], {}, os.environ)

    return make


def test_suite_that_closes_its_output_is_waited_for(child: Child, tmp_path: Path) -> None:
    """Tests that close every descriptor, as a daemon does, are run to the end like others."""
    made = child(
        """
        import os, signal
        from pathlib import Path

        def test_closes():
            os.closerange(0, 256)
            Path("closed").touch()
            signal.sigtimedwait([signal.SIGUSR1], 2)  # goes on for longer than reading does
            Path("went_on").touch()
            os._exit(7)
        """
    )
    assert suite.run(made, lambda _text: None, lambda _pid: None).returncode == 7
    assert (tmp_path / "went_on").exists()


def test_what_a_suite_leaves_running_does_not_hold_the_run_up(child: Child, tmp_path: Path) -> None:
    """A process that writes to the suite's output for ever ends with the suite."""
    made = child(
        """
        import subprocess, sys
        from pathlib import Path

        def test_leaves_a_process():
            left = subprocess.Popen([sys.executable, "-c", "while True: print('still here', flush=True)"])
            Path("left").write_text(str(left.pid))
        """
    )
    written: list[str] = []
    ended = suite.run(made, written.append, lambda _pid: None)
    assert ended.returncode == 0
    assert "1 passed" in "".join(written)
    assert "".join(written).endswith(ended.last)
    with suppress(psutil.NoSuchProcess):
        psutil.Process(int((tmp_path / "left").read_text())).wait(10)


def test_interrupted_suite_without_output_may_tear_down(child: Child, tmp_path: Path) -> None:
    """A suite that closed its output has as much time for its fixtures' teardown as any other."""
    made = child(
        """
        import os, signal, time
        import pytest
        from pathlib import Path

        @pytest.fixture
        def thing():
            yield
            time.sleep(0.5)
            Path("torn_down").touch()

        def test_is_interrupted(thing):
            null = os.open(os.devnull, os.O_RDWR)
            for number in range(3):
                os.dup2(null, number)
            os.closerange(3, null)
            os.closerange(null + 1, 256)
            Path("running").touch()
            signal.pause()
        """
    )
    running = tmp_path / "running"
    over = threading.Event()

    def interrupt() -> None:
        while not running.exists():
            over.wait(0.05)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        suite.run(made, lambda _text: None, lambda _pid: None)
    assert (tmp_path / "torn_down").exists()
