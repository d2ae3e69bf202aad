"""A small terminal: what a program's output leaves on its screen, with the pictures."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

_TOKEN = re.compile(
    "(?P<kitty>(?:\x1b_G[^\x1b]*\x1b\\\\)+)|(?P<sixel>\x1bP[^\x1b]*\x1b\\\\)"
    "|\x1b\\[(?P<number>[0-9;]*)(?P<csi>[A-Za-z])|\x1b(?P<cursor>[78])|(?P<text>.)",
    re.DOTALL,
)


@dataclass
class Screen:
    """The lines of a screen without an end, and where pictures were drawn."""

    cells: dict[tuple[int, int], str] = field(default_factory=dict)
    pictures: list[tuple[int, int, Image.Image]] = field(default_factory=list)  # line, column
    cursor: tuple[int, int] = (0, 0)
    saved: tuple[int, int] = (0, 0)

    def show(self, output: str) -> Screen:
        """Follow the output of a program; an unknown sequence is an error."""
        for found in _TOKEN.finditer(output.replace("\r\n", "\n")):
            line, column = self.cursor
            if found["kitty"]:
                self.pictures.append((line, column, decode_kitty(found["kitty"])))
            elif found["sixel"]:
                self.pictures.append((line, column, decode_sixel(found["sixel"])))
            elif found["cursor"] == "7":
                self.saved = self.cursor
            elif found["cursor"] == "8":
                self.cursor = self.saved
            elif found["csi"]:
                moves = {"A": (-1, 0), "C": (0, 1), "m": (0, 0)}[found["csi"]]
                number = int(found["number"] or 1) if found["csi"] != "m" else 0
                self.cursor = (line + moves[0] * number, column + moves[1] * number)
            elif found["text"] in "\r\n":
                self.cursor = (line + (found["text"] == "\n"), 0)
            else:
                assert found["text"].isprintable(), repr(found["text"])
                self.cells[self.cursor] = found["text"]
                self.cursor = (line, column + 1)
        return self

    def under(self, line: int, column: int, width: int, height: int) -> set[str]:
        """Return the characters of some cells."""
        return {
            self.cells.get((line + y, column + x), " ") for y in range(height) for x in range(width)
        }


def decode_kitty(text: str) -> Image.Image:
    """Join the chunks of a picture of Kitty's protocol, and open its PNG."""
    chunks = re.findall("\x1b_G([^;]*);([^\x1b]*)\x1b\\\\", text)
    keys = [dict(pair.split("=") for pair in chunk.split(",")) for chunk, _ in chunks]
    assert keys[0] | {"m": ""} == {"a": "T", "f": "100", "C": "1", "q": "2", "m": ""}
    assert all(set(each) == {"m"} for each in keys[1:])
    assert [each["m"] for each in keys] == ["1"] * (len(keys) - 1) + ["0"]
    assert all(len(data) <= 4096 and len(data) % 4 == 0 for _, data in chunks)
    return Image.open(io.BytesIO(base64.b64decode("".join(data for _, data in chunks))))


def decode_sixel(text: str) -> Image.Image:
    """Draw a Sixel sequence pixel by pixel, as the manual of the VT340 says."""
    head = re.match('\x1bP0;1;0q"1;1;([0-9]+);([0-9]+)', text)
    assert head is not None
    pixels = np.full((int(head[2]), int(head[1]), 3), -1)
    colors: dict[int, list[int]] = {}
    color, x, top = 0, 0, 0
    for command in re.findall("#[0-9;]+|![0-9]+.|[$-]|[?-~]", text[head.end() : -2]):
        if command[0] == "#":
            color, *values = map(int, command[1:].split(";"))
            if values:
                colors[color] = [round(value * 255 / 100) for value in values[1:]]
        elif command == "$":
            x = 0
        elif command == "-":
            x, top = 0, top + 6
        else:
            number = int(command[1:-1]) if command[0] == "!" else 1
            for bit in range(6):
                if (ord(command[-1]) - 63) >> bit & 1:
                    pixels[top + bit, x : x + number] = colors[color]
            x += number
    assert (pixels >= 0).all()  # every pixel has a color
    return Image.fromarray(pixels.astype(np.uint8))
