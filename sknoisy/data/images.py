"""Image files: which of them exist, and how they are decoded."""

import errno
import os
from collections import Counter
from itertools import islice

import numpy as np

LISTED = 64  # least number of paths in one folder for which it is listed
# Too little memory, too many open files: another image would fail, too.
NOT_OF_THE_FILE = {errno.ENOMEM, errno.EMFILE, errno.ENFILE}
# Of Pillow's formats: EPS is PostScript, a program that Ghostscript runs, IPTC may hold
# it, and the system draws WMF. Pillow goes by the content, whatever a file is called.
PROGRAMS = ("EPS", "IPTC", "WMF")


def missing_files(paths):
    """Return the positions of paths that are no files.

    Folders that hold many of the paths are listed once, which is faster than a call
    for each file.

    Parameters
    ----------
    paths : ndarray of str
        Paths.

    Returns
    -------
    missing : list of int
        Their positions.
    """
    paths = paths.tolist()
    folders = [path.rpartition(os.sep)[0] for path in paths]
    listed = {
        folder: _files_in(folder, limit=4 * count)
        for folder, count in Counter(folders).items()
        if count >= LISTED
    }
    missing = []
    for i, (path, folder) in enumerate(zip(paths, folders, strict=True)):
        # A listing may lack a file: if it is cut off, or has the name in other case.
        found = folder in listed and path[len(folder) + 1 :] in listed[folder]
        if not found and not os.path.isfile(path):
            missing.append(i)
    return missing


def _files_in(folder, limit):
    """Return the names of the files among the first entries of a folder."""
    try:
        with os.scandir(folder or os.curdir) as entries:
            return {e.name for e in islice(entries, limit) if e.is_file()}
    except (OSError, ValueError):
        return set()


def open_image(path):
    """Return an image file, opened by Pillow, unless it is a program that draws one.

    Parameters
    ----------
    path : str or path-like
        The file.

    Raises
    ------
    Exception
        Whatever Pillow raises where the file cannot be read.
    """
    from PIL import Image

    Image.init()  # all formats, not the usual ones only
    formats = [name for name in Image.ID if name not in PROGRAMS]
    return Image.open(path, formats=formats)


def read_image(path, size):
    """Decode an image file, resize its shorter side and crop its centre.

    Parameters
    ----------
    path : str
        An image file that Pillow can read, with at most 8 bits per channel.
    size : (int, int)
        Height and width to return, in pixels.

    Returns
    -------
    image : ndarray of shape (height, width, 3), dtype uint8
        RGB values.

    Raises
    ------
    ValueError
        If the file cannot be read, for whatever reason; the message names it.
    """
    from PIL import Image, ImageOps

    height, width = size
    try:
        with open_image(str(path)) as file:
            mode = file.mode
            if not mode.startswith(("I", "F")):
                # JPEG decodes at a half, quarter or eighth at the cost of that size.
                least = 2 * width, 2 * height
                file.draft("RGB", least[::-1] if _is_turned(file) else least)
                file.load()
                image = upright(file).convert("RGB")
                image = ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
                return np.asarray(image)
    except Image.DecompressionBombError as error:
        raise ValueError(
            f"{str(path)!r} has too many pixels ({error}): shrink it, or raise "
            "PIL.Image.MAX_IMAGE_PIXELS if you trust it"
        ) from error
    except FileNotFoundError as error:
        raise ValueError(f"{str(path)!r} does not exist") from error
    except MemoryError:
        raise
    except Exception as error:  # decoders raise anything on damaged files
        if getattr(error, "errno", None) in NOT_OF_THE_FILE:
            raise
        raise ValueError(
            f"{str(path)!r} is not an image, or is damaged "
            f"({type(error).__name__}: {error})"
        ) from error
    raise ValueError(
        f"{str(path)!r} has more than 8 bits per channel (mode {mode!r}): pass an "
        "array instead, or convert the file"
    )


def _is_turned(image):
    """Whether a photograph is stored with its sides exchanged.

    Of other kinds of files, asking may decode them, and hide that they are damaged.
    """
    from PIL import ExifTags

    if image.format not in ("JPEG", "MPO"):
        return False
    try:
        return image.getexif().get(ExifTags.Base.Orientation) in (5, 6, 7, 8)
    except Exception:  # metadata may be damaged in any way
        return False


def upright(image):
    """Return an image turned by its orientation, if that can be read."""
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # metadata may be damaged in any way
        return image
