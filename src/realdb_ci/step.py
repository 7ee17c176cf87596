"""Step: one step of a workflow from its inside: what the runner gave, and what it gets back whatever happens."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from realdb_ci import github, reports, results, run, runner
from realdb_ci.errors import RealdbError
from realdb_ci.github import GitHub
from realdb_ci.inputs import Inputs
from realdb_ci.reports import outputs

WIDTH = 120
TITLE = "realdb-ci"


@dataclass
class Step:
    """One step of a workflow.

    Attributes:
        environ: the environment, read at the door.
        log: the step's log.
        workspace: the checkout.
        began: when the step began, seconds since the epoch.
        out: the folder for events and reports, once it is known to be usable.
    """

    environ: Mapping[str, str]
    log: runner.Log
    workspace: Path
    began: float
    out: Path | None = None

    def append(self, event: str, **fields: object) -> bool:
        """Add an event; whether there is a file that took it."""
        if self.out is not None:
            with contextlib.suppress(OSError):
                run.append(self.out / run.EVENTS, event, **fields)
                return True
        return False

    def span(self, name: str, detail: str, start: float, stop: float) -> None:
        """Note a stretch of time; times are seconds since the epoch."""
        self.append("span", name=name, detail=detail, start=start, stop=stop)

    def tell(self, problem: RealdbError) -> None:
        """Note a problem: the reports tell of it; where there is no place for them, the log does."""
        noted = self.append("problem", **problem.to_dict())
        if problem.log:
            with self.log.deaf():
                self.log.line(problem.log)
        if not noted:
            words = f"{problem.what}: {problem.why}" if problem.why else problem.what
            self.log.problem("error", TITLE, f"{words}\n{problem.remedy}".rstrip())

    def finish(self, codes: Sequence[int], inputs: Inputs) -> int:
        """Reports, outputs and ownership; a report that cannot be written changes nothing else.

        Args:
            codes: the exit codes so far: the suite's, and that of what went wrong outside it.
            inputs: what the workflow told, as far as it could be read.

        Returns:
            The exit code of the step.
        """
        found = results.Results()
        if self.out is not None:
            with self._guarded("The reports"):
                found = results.read(self.out / run.EVENTS)
                console = Console(file=self.log, width=WIDTH, no_color=True)  # type: ignore[arg-type]
                hurried = results.INTERRUPTED in codes
                reports.publish(found, self.out, console, self._reporting(inputs, hurried=hurried))
        # Without a record, what went wrong before it is the whole verdict.
        code = results.gravest([*codes, found.exit_code] if found.suites or not codes else codes)
        with self._guarded("The outputs"):
            self._hand_over(outputs.render(self.outputs(found, code)))
        with self._guarded("The ownership of files"):
            runner.give_back(self.workspace)
        return code

    def outputs(self, found: results.Results, code: int) -> dict[str, str]:
        """The step's outputs; paths start from the root of the repository.

        Args:
            found: what the suite's record says, empty where there is none.
            code: the exit code.
        """
        told = outputs.outputs(found, self.out or self.workspace)
        paths = {name: self._path(Path(told[name])) for name in ("junit", "events", "html")}
        outcome = results.VERDICTS[code].replace(" ", "-")
        return {**told, "outcome": outcome, "duration": f"{time.time() - self.began:.3f}", **paths}

    def github(self, inputs: Inputs) -> GitHub | None:
        """The job that the step is part of, or None outside GitHub."""
        told = {"GITHUB_TOKEN": inputs.token, github.MATRIX: inputs.matrix}
        return github.read({**self.environ, **told}, self.workspace)

    def _reporting(self, inputs: Inputs, *, hurried: bool) -> GitHub | None:
        """The job as the reports know it; the outputs are ours, because they are written whatever happens."""
        job = self.github(inputs)
        if job is None:
            return None
        job = replace(job, output=None)
        # A job that was cancelled has seconds before it is killed.
        return replace(job, patience=1.0, timeout=1.0, pace=0.0) if hurried else job

    def _hand_over(self, text: str) -> None:
        if self.environ.get("GITHUB_OUTPUT"):
            with Path(self.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as file:
                file.write(text)

    def _path(self, file: Path) -> str:
        return file.relative_to(self.workspace.resolve()).as_posix() if file.is_file() else ""

    @contextlib.contextmanager
    def _guarded(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as problem:  # noqa: BLE001  # whatever it is, the others are written
            self.log.problem("warning", TITLE, f"{what} could not be written: {problem}")
