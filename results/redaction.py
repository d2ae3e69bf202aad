"""Remove credentials from addresses."""

from __future__ import annotations

import re

# Credentials before an @, which may contain a /, and query parameters that are named as secrets.
_BEFORE_AT = re.compile(r"(?<=://)\S*@|(?<![^\s='\"])[^\s@/='\"]+:[^\s@/='\"]+@")
_IN_QUERY = re.compile(
    r"(?i)([?&][^=&\s]*(?:key|secret|token|passw|credential|sig|auth)[^=&\s]*=)[^&\s'\"]+"
)


def redact(text: str) -> str:
    """Replace credentials in the addresses of a text: ``s3://***@bucket``."""
    return _IN_QUERY.sub(r"\1***", _BEFORE_AT.sub("***@", text))


def is_redacted(text: str) -> bool:
    """Return whether credentials were replaced in an address."""
    return "***" in text and redact(text) == text
