"""Answers: what GitHub's answers mean that are not what was asked for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import requests

# Where a limit was met and the server does not say for how long:
# https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
UNTOLD_SECONDS = 60.0
FORBIDDEN, MISSING, REJECTED, MANY, BROKEN = 403, 404, 422, 429, 500


def never_sent(problem: requests.RequestException) -> bool:
    """Whether no connection was made, so that the server has surely not seen the request."""
    import requests
    from urllib3.exceptions import NewConnectionError

    reason = getattr(problem.args[0], "reason", None) if problem.args else None
    kinds = (requests.ConnectTimeout, requests.exceptions.SSLError, requests.exceptions.ProxyError)
    return isinstance(problem, kinds) or isinstance(reason, NewConnectionError)


def limit(answer: requests.Response) -> float | None:
    """Seconds until a rate limit ends, or None where none was met."""
    if answer.status_code not in (FORBIDDEN, MANY):
        return None
    after, reset = answer.headers.get("Retry-After", ""), answer.headers.get("X-RateLimit-Reset", "")
    if after.isdecimal():
        return float(after)
    if answer.headers.get("X-RateLimit-Remaining") == "0" and reset.isdecimal():
        return max(float(reset) - time.time(), 1.0)
    limited = answer.status_code == MANY or "rate limit" in told(answer).lower()
    return UNTOLD_SECONDS if limited else None


def told(answer: requests.Response) -> str:
    """``403: Resource not accessible by integration``: the server's own words, not too many of them."""
    try:
        found = answer.json()
    except ValueError:
        found = None
    words = []
    if isinstance(found, dict):
        words = [str(found.get("message", "")), *(str(one) for one in found.get("errors") or ())]
    return f"{answer.status_code}: {'; '.join(filter(None, words)) or answer.reason}"[:500]
