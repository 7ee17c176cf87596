"""Make the JUnit files in fixtures/junit again, by running their producers on the samples there.

    python tests/foreign/corpus/make.py --work FOLDER [--googletest SOURCES] [--catch2 SOURCES] [PRODUCER...]

Each producer needs its own tools: Python's from a package index, npm for JavaScript's, Maven, a C++ compiler. What
is of the machine (its name, its folders, its properties) is taken out; nothing else is changed. The goldens beside
the files are written by ``golden.py`` and have to be read by a person.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

JUNIT = Path(__file__).parents[3] / "fixtures" / "junit"
SAMPLES = JUNIT / "samples"
# Where the files say that they were made.
HOME = "/home/ci/desk"
PYTESTS = {
    "7": ("pytest==7.4.4", "pytest-asyncio==0.23.8", "pytest-rerunfailures==16.1"),
    "8": ("pytest==8.4.2", "pytest-asyncio==1.3.0", "pytest-rerunfailures==16.1"),
    "9": ("pytest==9.2.0", "pytest-asyncio==1.5.0", "pytest-rerunfailures==16.7"),
}
PLUGINS = ("pytest-xdist==3.8.0", "pytest-subtests==0.15.0")
NODE = {
    "jest": ("jest@30", "jest-junit@16"),
    "mocha": ("mocha@10", "mocha-junit-reporter@2"),
    "vitest": ("vitest@4",),
    "playwright": ("@playwright/test@1",),
}


@dataclass(frozen=True)
class Workshop:
    """Where producers run.

    Attributes:
        work: a folder for what they need.
        sources: checkouts of C++ libraries, by name.
    """

    work: Path
    sources: dict[str, Path | None]

    def sample(self, name: str) -> Path:
        """A copy of a sample, to run in."""
        copy = self.work / "run" / name
        shutil.rmtree(copy, ignore_errors=True)
        return shutil.copytree(SAMPLES / name, copy)

    def python(self, name: str, *packages: str) -> Path:
        """The interpreter of an environment with these packages."""
        venv = self.work / "venvs" / name
        if not venv.exists():
            run(sys.executable, "-m", "venv", "--without-pip", venv)
            run(sys.executable, "-m", "pip", f"--python={venv}/bin/python", "install", "--quiet", *packages)
        return venv / "bin" / "python"

    def node(self, name: str) -> Path:
        """A copy of a sample beside its runner's packages."""
        home = self.work / "node" / name
        home.mkdir(parents=True, exist_ok=True)
        if not (home / "node_modules").exists():
            run("npm", "install", "--silent", "--prefix", home, *NODE[name])
        copy = home / "desk"
        shutil.rmtree(copy, ignore_errors=True)
        return shutil.copytree(SAMPLES / name, copy)


def run(*command: object, cwd: Path | None = None, **environ: str) -> str:
    """Run a producer; that tests failed is what it is run for."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env={**os.environ, "CI": "1", **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    sys.stderr.write(done.stderr[-500:])
    return done.stdout


def keep(producer: str, name: str, file: Path, *folders: Path) -> None:
    """Put a file into the corpus, without what is of this machine."""
    text = file.read_bytes().decode("utf-8", "surrogateescape")
    for folder in folders:
        text = text.replace(str(folder.resolve()), HOME)
    text = re.sub(r"/[^\s\"'():]*/(?=lib/python3\.\d+/)", "/usr/", text)
    text = re.sub(r"/[^\s\"'():]*/(?=node_modules/)", f"{HOME}/", text)
    text = re.sub(r'hostname="(?!desktop|phone|tbd)[^"]*"', 'hostname="runner"', text)
    text = re.sub(r"^    <property name=\"(?!java\.version\")[^\n]*\n", "", text, flags=re.MULTILINE)
    target = JUNIT / producer / name
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(text.encode("utf-8", "surrogateescape"))
    sys.stdout.write(f"{target.relative_to(JUNIT)}\n")


def make_pytest(shop: Workshop) -> None:
    """Three versions, three dialects, xdist, what a project may rename, no tests at all, and a worker that dies."""
    for version, packages in PYTESTS.items():
        python, out = shop.python(f"pytest{version}", *packages, *PLUGINS), shop.work / "pytest.xml"
        base = (
            python,
            "-m",
            "pytest",
            "-pno:cacheprovider",
            "--continue-on-collection-errors",
            f"--junit-xml={out}",
        )
        variants: dict[str, tuple[str, ...]] = {
            **{family: ("-o", f"junit_family={family}") for family in ("xunit1", "xunit2", "legacy")},
            "xdist": ("-n2", "-o", "junit_logging=all"),
            "renamed": ("-o", "junit_suite_name=desk", "--junit-prefix=py311", "tests/test_plain.py"),
            "empty": ("-k", "nothing"),
        }
        for name, flags in variants.items():
            folder = shop.sample("pytest")
            run(*base, *flags, cwd=folder)
            keep("pytest", f"pytest{version}-{name}.xml", out, folder)
        folder = shop.sample("pytest-crash")
        run(*base, "-n1", cwd=folder)
        keep("pytest", f"pytest{version}-crash.xml", out, folder)


def make_unittest(shop: Workshop) -> None:
    """unittest-xml-reporting, one file a class."""
    python = shop.python("unittest", "unittest-xml-reporting==4.0.0")
    folder = shop.sample("unittest")
    run(python, "-m", "xmlrunner", "test_desk", "-o", "out", cwd=folder)
    for file in sorted((folder / "out").iterdir()):
        keep("unittest-xml-reporting", re.sub(r"-\d{14}", "", file.name), file, folder)


def make_behave(shop: Workshop) -> None:
    """behave, one file a feature."""
    python, folder = shop.python("behave", "behave==1.3.3"), shop.sample("behave")
    run(python, "-m", "behave", "--junit", "--junit-directory", "out", cwd=folder)
    for file in sorted((folder / "out").iterdir()):
        keep("behave", file.name, file, folder)


def make_robot(shop: Workshop) -> None:
    """Robot Framework's --xunit."""
    python, folder = shop.python("robot", "robotframework==7.5"), shop.sample("robot")
    run(python, "-m", "robot", "--xunit", "xunit.xml", "--outputdir", "out", ".", cwd=folder)
    keep("robot", "xunit.xml", folder / "out" / "xunit.xml", folder)


def make_jest(shop: Workshop) -> None:
    """jest-junit as it comes, and with file names and suites that did not load."""
    for name, settings in {
        "default.xml": {},
        "files.xml": {"JEST_JUNIT_ADD_FILE_ATTRIBUTE": "true", "JEST_JUNIT_REPORT_TEST_SUITE_ERRORS": "true"},
    }.items():
        folder = shop.node("jest")
        run(
            "npx",
            "jest",
            "--rootDir=.",
            "--reporters=jest-junit",
            cwd=folder,
            JEST_JUNIT_OUTPUT_NAME="out.xml",
            **settings,
        )
        keep("jest", name, folder / "out.xml", folder)


def make_mocha(shop: Workshop) -> None:
    """mocha-junit-reporter, and mocha's own reporter."""
    folder = shop.node("mocha")
    run(
        "npx",
        "mocha",
        "--reporter=mocha-junit-reporter",
        "--reporter-options=mochaFile=out.xml,outputs=true",
        ".",
        cwd=folder,
    )
    keep("mocha", "junit-reporter.xml", folder / "out.xml", folder)
    run("npx", "mocha", "--reporter=xunit", "--reporter-options=output=xunit.xml", ".", cwd=folder)
    keep("mocha", "xunit.xml", folder / "xunit.xml", folder)


def make_vitest(shop: Workshop) -> None:
    """Vitest's own reporter."""
    folder = shop.node("vitest")
    run("npx", "vitest", "run", "--root=.", "--reporter=junit", "--outputFile=out.xml", cwd=folder)
    keep("vitest", "junit.xml", folder / "out.xml", folder)


def make_playwright(shop: Workshop) -> None:
    """Playwright's own reporter, as it comes and with retries told."""
    for name, settings in {"default.xml": {}, "retries.xml": {"PLAYWRIGHT_JUNIT_INCLUDE_RETRIES": "1"}}.items():
        folder = shop.node("playwright")
        run("npx", "playwright", "test", cwd=folder, **settings)
        keep("playwright", name, folder / "junit.xml", folder)


def make_node(shop: Workshop) -> None:
    """The runner that Node brings."""
    folder = shop.sample("node")
    (folder / "out.xml").write_text(run("node", "--test", "--test-reporter=junit", "desk.test.mjs", cwd=folder))
    keep("node", "junit.xml", folder / "out.xml", folder)


def make_surefire(shop: Workshop) -> None:
    """Maven Surefire, one file a class, with tests tried again."""
    folder = shop.sample("surefire")
    run("mvn", "--offline", "--batch-mode", "--quiet", "test", cwd=folder)
    for file in sorted((folder / "target" / "surefire-reports").glob("*.xml")):
        keep("surefire", file.name, file, folder)


def make_googletest(shop: Workshop) -> None:
    """GoogleTest, built from a checkout."""
    folder, source = shop.sample("googletest"), shop.sources["googletest"]
    if source is not None:
        inner = source / "googletest"
        parts = (inner / "src" / "gtest-all.cc", inner / "src" / "gtest_main.cc", folder / "desk_test.cc")
        run("g++", "-std=c++17", f"-I{inner}/include", f"-I{inner}", *parts, "-o", "desk", "-lpthread", cwd=folder)
        run("./desk", "--gtest_output=xml:out.xml", cwd=folder)
        keep("googletest", "desk.xml", folder / "out.xml", folder)


def make_catch2(shop: Workshop) -> None:
    """Catch2, built from a checkout."""
    folder, source = shop.sample("catch2"), shop.sources["catch2"]
    if source is not None:
        extras = source / "extras"
        run(
            "g++",
            "-std=c++17",
            f"-I{extras}",
            extras / "catch_amalgamated.cpp",
            "desk_test.cpp",
            "-o",
            "desk",
            cwd=folder,
        )
        run("./desk", "--reporter=junit", "--out=out.xml", "--rng-seed=1", cwd=folder)
        keep("catch2", "desk.xml", folder / "out.xml", folder)


PRODUCERS: dict[str, Callable[[Workshop], None]] = {
    name.removeprefix("make_"): made for name, made in list(globals().items()) if name.startswith("make_")
}


def main() -> None:
    """Read the command line and run the producers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("producers", nargs="*", metavar="PRODUCER", help=", ".join(PRODUCERS))
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--googletest", type=Path)
    parser.add_argument("--catch2", type=Path)
    options = parser.parse_args()
    shop = Workshop(options.work.resolve(), {"googletest": options.googletest, "catch2": options.catch2})
    for name in options.producers or PRODUCERS:
        PRODUCERS[name](shop)


if __name__ == "__main__":
    main()
