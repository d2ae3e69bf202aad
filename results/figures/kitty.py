"""Encode a picture for Kitty's graphics protocol, which Ghostty, Konsole and WezTerm also read.

https://sw.kovidgoyal.net/kitty/graphics-protocol/
"""

from __future__ import annotations

import base64

_CHUNK = 4096  # the most characters of data in an escape sequence
# Transmit and display a PNG, leave the cursor where it is, and send no answer.
_FIRST = "a=T,f=100,C=1,q=2,"


def encode_kitty(png: bytes) -> str:
    """Return the escape sequences that draw a PNG file from the cursor to the right and down."""
    data = base64.b64encode(png).decode()
    starts = range(0, len(data), _CHUNK)
    return "".join(
        f"\x1b_G{'' if start else _FIRST}m={int(start + _CHUNK < len(data))};"
        f"{data[start : start + _CHUNK]}\x1b\\"
        for start in starts
    )
