"""Numbers and times as producers of JUnit files write them, in their own locale or in none."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

# Digits in groups of three: "1,234" is Surefire's way to write 1234 (it formats in English), not 1.234.
_GROUPED = re.compile(r"[1-9]\d{0,2}(?:,\d{3})+")
_BLANKS = re.compile(r"[\s\u00a0\u202f'_]+")


def seconds(text: str | None) -> float:
    """A duration in seconds; 0.0 for one that is missing, negative, not finite or not a number."""
    if not text:
        return 0.0
    try:
        value = float(text)
    except ValueError:
        value = _localised(text)
    return value if 0.0 <= value < math.inf else 0.0


def _localised(text: str) -> float:
    """``1,234.5``, ``1.234,5``, ``1 234,5`` and ``0,5`` as the numbers they mean; 0.0 for no number."""
    plain = _BLANKS.sub("", text).removesuffix("s")
    if plain.rfind(",") > plain.rfind(".") and not _GROUPED.fullmatch(plain):
        plain = plain.replace(".", "").replace(",", ".")
    try:
        return float(plain.replace(",", ""))
    except ValueError:
        return 0.0


def whole(text: str | None) -> int | None:
    """A whole number that is not negative; None for anything else."""
    try:
        number = int(text or "")
    except ValueError:
        number = int(seconds(text)) if seconds(text) else -1
    return number if number >= 0 else None


def moment(text: str | None) -> float:
    """Seconds since the epoch, from ISO 8601 or the form of e-mails; UTC where no zone is told, 0.0 for neither."""
    if not text:
        return 0.0
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            told = parse(text.strip())
            return max((told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp(), 0.0)
        except (ValueError, TypeError, OverflowError, IndexError):
            continue
    return 0.0
