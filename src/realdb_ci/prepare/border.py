"""Border: what crosses from the runner to the tested project, which is not to be trusted with the rest."""

from __future__ import annotations

import re
from collections.abc import Mapping

# What a tested project has no business with: the runner's files, its services, our inputs.
_OURS = re.compile(r"(?:INPUT|ACTIONS|STATE)_.*|GITHUB_(?:OUTPUT|ENV|PATH|STATE|STEP_SUMMARY|TOKEN|ARTIFACTS.*)")


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
    count = int(kept.get("GIT_CONFIG_COUNT") or 0)
    return kept | {
        "GIT_CONFIG_COUNT": str(count + 1),
        f"GIT_CONFIG_KEY_{count}": "safe.directory",
        f"GIT_CONFIG_VALUE_{count}": "*",
    }
