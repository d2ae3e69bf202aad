"""Read a file that another process may replace meanwhile."""

from __future__ import annotations

import pyarrow.fs

#: How often a file is read before a size that still differs is accepted.
NUM_READS = 5


def read_whole(filesystem: pyarrow.fs.FileSystem, path: str) -> bytes:
    """Return the content of a file: of one version, even if it is replaced while it is read.

    In an object store, pyarrow asks for the size of an object first and then for as many bytes. If
    a longer object replaces it in between, those bytes are the beginning of the new object.

    Raises:
        FileNotFoundError: if it does not exist.
        OSError: if it cannot be read.
    """
    for _ in range(NUM_READS):
        with filesystem.open_input_stream(path) as stream:
            blob = bytes(stream.read())
        if isinstance(filesystem, pyarrow.fs.LocalFileSystem):
            break  # the open file stays the same after it is replaced
        if filesystem.get_file_info(path).size == len(blob):
            break
    return blob
