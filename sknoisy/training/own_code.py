"""The code that a user wrote, read as text: with other code it is another training."""

import dis
import inspect
import os
import site
import sys
import sysconfig
from contextlib import suppress
from functools import cache, partial

# Packages whose code the versions stand for.
VERSIONED = ("builtins", "numpy", "sklearn", "sknoisy", "torch", "torchvision")
PLAIN = (bool, int, float, complex, str, bytes, type(None))  # constants by value
READS = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF")  # instructions
READS_OF = ("LOAD_ATTR", "LOAD_METHOD")


def sources(value):
    """Return the code of what a user wrote: with other code it is another training.

    Parameters
    ----------
    value : object
        A parameter of an estimator, or an estimator.

    Returns
    -------
    sources : list
        Source texts of its class or function, of those it is derived from, of what
        these call, and of its parameters.
    """
    if isinstance(value, partial):
        value = [value.func, value.args, value.keywords]
    if isinstance(value, dict):
        value = [*value.items()]
    if isinstance(value, (list, tuple)):
        return [sources(one) for one in value]
    is_code = inspect.isclass(value) or inspect.isfunction(value)
    code = value if is_code else type(value)
    if not inspect.isclass(code):
        return [_source(code)]
    bases = [base for base in code.__mro__ if not is_versioned(base)]
    found = [_source(base) for base in bases]
    if is_code or not hasattr(value, "get_params"):
        return found
    parts = value.get_params(deep=False).items()
    return found + [(name, sources(part)) for name, part in parts]


def is_versioned(code):
    """Whether a class or function is of a package whose version stands for its code."""
    return _module_of(code).partition(".")[0] in VERSIONED


def _module_of(code):
    """Return the name of the module of a class or function, or of a module itself."""
    is_module = inspect.ismodule(code)
    return code.__name__ if is_module else getattr(code, "__module__", None) or ""


def _source(code):
    """Return the text of a class or function, and of what it uses of the user's."""
    if is_versioned(code):
        return None
    found, todo, seen = [], [code], set()
    while todo:
        one = todo.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        found.append(_text(one))
        for name, value in _used(one):
            if inspect.isclass(value):
                todo += filter(_is_own, value.__mro__)
            elif inspect.isfunction(value):
                todo += filter(_is_own, [value])
            elif _is_plain(value):
                found.append((name, repr(value)))
    return found


def _text(code):
    try:
        return inspect.getsource(code)
    except (OSError, TypeError):  # typed into an interpreter, or made by exec
        if inspect.isfunction(code):
            return compiled(code.__code__)
        return [_text(function) for function in _functions(code)]


def _functions(code):
    """Return the functions of a class, or a function itself."""
    parts = vars(code).values() if inspect.isclass(code) else [code]
    parts = [getattr(part, "fget", part) for part in parts]  # of properties
    parts = [inspect.unwrap(getattr(part, "__func__", part)) for part in parts]
    return [part for part in parts if inspect.isfunction(part)]


def _used(code):
    """Yield the names that a class or function reads from outside, and their values.

    Of a module of the user's that it reads, what it reads of that.
    """
    for function in _functions(code):
        cells = function.__closure__ or ()
        there = dict(zip(function.__code__.co_freevars, cells, strict=True))
        read, read_of = (_named(function.__code__, by) for by in (READS, READS_OF))
        for name in read:
            if name in there:
                with suppress(ValueError):  # of a cell that is still empty
                    yield name, there[name].cell_contents
            elif name in function.__globals__:
                value = function.__globals__[name]
                if not inspect.ismodule(value):
                    yield name, value
                elif _is_own(value):
                    known = vars(value)
                    yield from ((n, known[n]) for n in read_of if n in known)


def _named(code, by):
    """Return the names that some instructions of a code object, and in it, have."""
    names = [i.argval for i in dis.get_instructions(code) if i.opname in by]
    for part in code.co_consts:
        if inspect.iscode(part):
            names += _named(part, by)
    return [*dict.fromkeys(names)]


def _is_plain(value):
    """Whether a value is a constant; lists may be what is counted or logged in."""
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    return isinstance(value, PLAIN)


def _is_own(code):
    """Whether a class, function or module is the user's, of no installed package."""
    file = getattr(sys.modules.get(_module_of(code)), "__file__", None)
    return not is_versioned(code) and (file is None or not _is_installed(file))


@cache
def _is_installed(file):
    paths = sysconfig.get_paths()
    folders = [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    folders += [*site.getsitepackages(), site.getusersitepackages()]
    file = os.path.realpath(file)
    return any(file.startswith(os.path.realpath(f) + os.sep) for f in folders)


def compiled(code):
    """Return what a function's code does, without where it was written."""
    consts = []
    for one in code.co_consts:
        if inspect.iscode(one):
            consts.append(compiled(one))
        else:  # of a set, the order is another in each process
            is_set = isinstance(one, frozenset)
            consts.append(sorted(map(repr, one)) if is_set else repr(one))
    return code.co_code, code.co_names, consts
