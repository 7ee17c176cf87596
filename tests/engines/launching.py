"""Start servers in a test, and hear what the run says of it."""

from dataclasses import replace

from realdb_ci import engines, services
from realdb_ci.config import Config
from realdb_ci.engines.contract import Notice, Run, Running
from realdb_ci.services.contract import Wish


class Steps(list[Notice]):
    """The notices of a run, in their order."""

    @property
    def stages(self) -> list[str]:
        """The stages without repetition."""
        return list(dict.fromkeys(notice.stage for notice in self))


class Launcher:
    """Start services and stop them again at the end of the test."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._running: list[Running] = []

    def __call__(self, text: str, **changes: object) -> Running:
        """Start the service that ``text`` names; ``changes`` go into the wish."""
        name = services.named([text])[0]
        wish: Wish = replace(services.wishes(Config(services=(text,)))[name], **changes)  # type: ignore[arg-type]
        running = engines.start(services.get(name), wish, self._run)
        self._running.append(running)
        return running

    def stop(self) -> None:
        """Stop all, the last first."""
        for running in reversed(self._running):
            running.stop()
