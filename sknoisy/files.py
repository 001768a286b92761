"""Files of values: tensors, arrays and plain Python, with a checksum, without code.

A file is in the safetensors format, which other programs read, too. Its tensors are
the arrays; its metadata are

- "format" and "format_version": what the file is, and how it is laid out;
- "kind": "model" or "checkpoint"; "version": that of the package that wrote it;
- "content": JSON, in which arrays are numbers of tensors;
- "sha256": the checksum of the whole file, with zeros in its place.

Reading runs nothing that the file names: each kind of value is built by the code here,
or by a function that the caller passes.
"""

import hashlib
import json
import os
import shutil
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path

from sknoisy import _version
from sknoisy._compat import parse_version
from sknoisy.checks import as_path
from sknoisy.packing import Stored, pack, unpack

NAME = "sknoisy"
FORMAT = 1  # raise it, and add a step to MIGRATIONS, when files change
MIGRATIONS = {}  # by format: from its JSON, and the kind of file, to the next JSON
ZEROS = 64 * "0"
# What is raised where values are not what their places need.
DAMAGED = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
)


def write(path, content, kind, describe=None, part=None, keep=None):
    """Write a file; it takes the place of another once it is whole on the disk.

    Parameters
    ----------
    path : path
        The file.
    content : object
        See :func:`pack`.
    kind : str
        What the file is: "model" or "checkpoint".
    describe : callable, default=None
        See :func:`pack`.
    part : path, default=None
        The file that is written before; by default a new one beside `path`.
    keep : path, default=None
        What the file that is replaced is called then; by default it is removed.

    Raises
    ------
    OSError
        If the file cannot be written; a FileNotFoundError if there is no such folder.
    """
    described, tensors = pack(content, describe)
    header, digest = _header(described, tensors, kind)
    header = header.replace(_checksum(ZEROS), _checksum(digest))
    with replacing(path, part, keep, mode="wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        for _, _, data in tensors:
            file.write(data)


@contextmanager
def replacing(path, part=None, keep=None, **settings):
    """In this context, an open file that takes the place of another at its end.

    Whatever happens, there is the old file or the new one, and no part of it. The new
    one has the permissions of the old one, and where that was a link, is where it led.

    Parameters
    ----------
    path : path
        The file.
    part, keep : path, default=None
        See :func:`write`.
    **settings : dict
        Arguments of ``open``.

    Raises
    ------
    OSError
        See :func:`write`.
    """
    path = Path(as_path("path", path))
    if path.exists() and not path.is_file():
        raise FileExistsError(
            f"path={str(path)!r} is not valid: it is a folder or a device, not a file."
        )
    path = path.resolve()
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"path={str(path)!r} is not valid: there is no folder {str(path.parent)!r}."
        )
    part = part or path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        with part.open(**settings) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        with suppress(OSError):  # no file yet, or a file system without permissions
            shutil.copymode(path, part)
        if keep is not None and path.exists():
            os.replace(path, keep)
        os.replace(part, path)
    except BaseException as error:
        with suppress(OSError):
            os.unlink(part)
        if isinstance(error, OSError) and error.errno and error.filename is None:
            error.filename = str(path)  # what writes to an open file names none
        raise


def read(path, kind, build=None):
    """Return the content of a file that :func:`write` wrote.

    Parameters
    ----------
    path : path
        The file.
    kind : str
        What it must be: "model" or "checkpoint".
    build : callable, default=None
        See :func:`unpack`.

    Raises
    ------
    ValueError
        If the file is damaged, truncated, not one of this package or of a newer
        version; names the file.
    OSError
        If it cannot be read.
    """
    raw = Path(as_path("path", path)).read_bytes()
    return parse(raw, path, kind, build)


def parse(raw, path, kind, build=None, device="cpu"):
    """Return the content of a file by its bytes.

    Parameters
    ----------
    raw : bytes
        What the file holds.
    path, kind, build, device
        See :func:`read`; the path is for messages.

    Raises
    ------
    ValueError
        See :func:`read`.
    """
    name = f"the file {str(path)!r} cannot be read"
    header, start = _parsed(raw, name)
    metadata = header.pop("__metadata__")
    _check_whole(raw, start, header, metadata, name)
    version = metadata.get("version")
    check_not_newer(version, f"the file {str(path)!r}")
    found = int(metadata["format_version"])
    if found > FORMAT:
        raise ValueError(
            f"{name}: it has the format {found} of sknoisy {version}, and "
            f"{_version.__version__} knows formats up to {FORMAT}."
        )
    if metadata.get("kind") != kind:
        raise ValueError(f"{name}: it is a {metadata.get('kind')}, not a {kind}.")
    try:
        described = json.loads(metadata["content"])
        for older in range(found, FORMAT):
            described = MIGRATIONS[older](described, kind)
        tensors = [Stored(header[str(i)], raw, start) for i in range(len(header))]
        if sum(len(stored.data) for stored in tensors) > len(raw):
            raise ValueError("its tensors overlap")
        return unpack(described, tensors, build, device)
    except DAMAGED as error:
        raise ValueError(
            f"{name}: its content is not as sknoisy writes it "
            f"({type(error).__name__}: {error})."
        ) from error
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"{name}: {error}") from error


def check_not_newer(version, what):
    """Raise ``ValueError`` if a version is newer than this one, or none.

    Parameters
    ----------
    version : str
        Version of the package that saved something.
    what : str
        What it saved, for the message.
    """
    try:
        newer = parse_version(version) > parse_version(_version.__version__)
    except (TypeError, ValueError):
        raise ValueError(f"{what} has no valid version: {version!r}.") from None
    if newer:
        raise ValueError(
            f"{what} was saved by sknoisy {version}, which is newer than "
            f"{_version.__version__}: update sknoisy to load it."
        )


def _header(described, tensors, kind):
    """Return the header, with zeros for its checksum, and that checksum."""
    metadata = {
        "format": NAME,
        "format_version": str(FORMAT),
        "version": _version.__version__,
        "kind": kind,
        "content": json.dumps(described, allow_nan=False, separators=(",", ":")),
        "sha256": ZEROS,
    }
    header, end = {"__metadata__": metadata}, 0
    for i, (code, shape, data) in enumerate(tensors):
        begin, end = end, end + len(data)
        entry = {"dtype": code, "shape": list(shape), "data_offsets": [begin, end]}
        header[str(i)] = entry
    header = json.dumps(header, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    digest = hashlib.sha256(len(header).to_bytes(8, "little") + header)
    for _, _, data in tensors:
        digest.update(data)
    return header, digest.hexdigest()


def _parsed(raw, name):
    """Return the header, and where the tensors begin."""
    foreign = f"{name}: it is damaged, or not a file of sknoisy."
    size = int.from_bytes(raw[:8], "little")
    start = 8 + size
    if len(raw) < 10 or start > len(raw):
        if len(raw) > 20 and raw[8:24] == b'{"__metadata__":':
            foreign = f"{name}: it is damaged: its end is missing."
        raise ValueError(foreign)
    try:
        header = json.loads(raw[8:start])
        metadata = header["__metadata__"]
        ours = metadata["format"] == NAME
        int(metadata["format_version"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError(foreign) from None
    if not ours:
        raise ValueError(f"{name}: it is damaged, or a file of another program.")
    return header, start


def _check_whole(raw, start, header, metadata, name):
    """Raise ``ValueError`` unless a file is as it was written."""
    try:
        end = start + max((v["data_offsets"][1] for v in header.values()), default=0)
        digest = metadata["sha256"]
        known = _checksum(digest)
    except (KeyError, TypeError, IndexError, AttributeError):
        raise ValueError(f"{name}: it is damaged.") from None
    if end > len(raw):
        raise ValueError(
            f"{name}: it is damaged: {end - len(raw)} of its {end} bytes are missing."
        )
    view = memoryview(raw)
    found = hashlib.sha256(raw[:start].replace(known, _checksum(ZEROS)))
    found.update(view[start:])
    if found.hexdigest() != digest:
        raise ValueError(f"{name}: it is damaged: its checksum does not match.")


def _checksum(digest):
    return f'"sha256":"{digest}"'.encode()
