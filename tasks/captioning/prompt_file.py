"""Prompts that are read from a file: ``prompt=@FILE``."""

from __future__ import annotations

from pathlib import Path

from tasks.contract import RequestError

MARK = "@"


def read_prompt(prompt: str) -> str:
    """Return the prompt, or the text of the file that ``@FILE`` names.

    A line break at the end of the file does not belong to the prompt. The text replaces the name,
    so a trial's id depends on what the file contains and not on where it is.

    Raises:
        RequestError: if the file cannot be read, or if its text could be taken for a name.
    """
    if not prompt.startswith(MARK):
        return prompt
    file = Path(prompt.removeprefix(MARK)).expanduser()
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise RequestError(
            f"the prompt {prompt!r} names a file that cannot be read: {reason}; check the path"
        ) from None
    text = text.removesuffix("\n").removesuffix("\r")
    if text.startswith(MARK):
        raise RequestError(f"the prompt in {file} starts with {MARK!r}; start it with another text")
    return text
