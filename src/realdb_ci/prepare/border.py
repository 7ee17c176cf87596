"""Border: what crosses from the runner to the tested project, which is not to be trusted with the rest."""

from __future__ import annotations

import contextlib
import ctypes
import re
import sys
from collections.abc import Iterator, Mapping, MutableMapping

# What a tested project has no business with: the runner's files, its services, our inputs.
_OURS = re.compile(r"(?:INPUT|ACTIONS)_.*|GITHUB_(?:OUTPUT|ENV|PATH|STATE|STEP_SUMMARY|TOKEN|ARTIFACTS.*)")
_GIT = re.compile(r"GIT_CONFIG_(?:COUNT|(?:KEY|VALUE)_\d+)")
# prctl(2): whether other processes of the same account may look into this one.
_SET_DUMPABLE = 4


def close(environ: MutableMapping[str, str]) -> None:
    """Keep what the suite is not handed from where it could find it: below ``/proc``, under the same account.

    Our children inherit none of it, and other processes cannot look into this one, where the kernel is Linux.

    Args:
        environ: this process's environment; what is not for the suite is removed.
    """
    for name in environ.keys() - visible(environ, environ.get("INPUT_TOKEN", "").strip()).keys():
        del environ[name]
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_SET_DUMPABLE, 0, 0, 0, 0)


def visible(environ: Mapping[str, str], token: str) -> dict[str, str]:
    """The variables that uv and the suite may see: the user's own, and Git's leave to read the checkout.

    Args:
        environ: everything the runner set.
        token: the token given to us; no variable that holds it goes on, whatever its name.
    """
    kept = {
        name: value
        for name, value in environ.items()
        if not _OURS.fullmatch(name) and not (token and token in value)
    }
    # The checkout belongs to another account, which Git takes for an attack. Dependencies and submodules may
    # lie anywhere in it, and all code here is the project's own in any case.
    settings = [*_git_settings(kept), ("safe.directory", "*")]
    numbered = {f"GIT_CONFIG_KEY_{number}": key for number, (key, _) in enumerate(settings)}
    numbered |= {f"GIT_CONFIG_VALUE_{number}": value for number, (_, value) in enumerate(settings)}
    others = {name: value for name, value in kept.items() if not _GIT.fullmatch(name)}
    return others | numbered | {"GIT_CONFIG_COUNT": str(len(settings))}


def _git_settings(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The pairs of ``GIT_CONFIG_*``; Git refuses to work where one of those that are counted is incomplete."""
    count = environ.get("GIT_CONFIG_COUNT", "")
    for number in range(int(count) if count.isdecimal() else 0):
        key, value = (environ.get(f"GIT_CONFIG_{kind}_{number}") for kind in ("KEY", "VALUE"))
        if key is not None and value is not None:
            yield key, value
