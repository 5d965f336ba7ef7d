"""The compiled modules of Clarion; all else about the distribution stands in pyproject.toml.

Every one is optional: where there is no C compiler, or with CLARION_PURE_PYTHON=1, its Python twin serves.
"""

import os
from pathlib import Path

from setuptools import Extension, setup

SOURCES = ("node/sip/_codec.pyx", "node/transport/_udp.pyx", "relay/_forward.pyx")


def extensions() -> list[Extension]:
    """One extension for each source there is; none where pure Python is asked for or Cython is missing."""
    if os.environ.get("CLARION_PURE_PYTHON") == "1":
        return []
    try:
        from Cython.Build import cythonize
    except ImportError:
        return []
    modules = [
        Extension(
            source[:-4].replace("/", "."),
            [source],
            depends=sorted(map(str, Path(source).parent.glob("*.pxd"))),
            extra_compile_args=["-O3"],
        )
        for source in SOURCES
        if Path(source).exists()
    ]
    compiled: list[Extension] = cythonize(modules, language_level=3)
    for extension in compiled:
        extension.optional = True  # cythonize forgets what an Extension says of it
    return compiled


setup(ext_modules=extensions())
