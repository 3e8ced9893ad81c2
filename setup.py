"""The kernels in C; all else about the package stands in pyproject.toml."""

from pathlib import Path

from setuptools import Extension, setup

setup(
    # Loaded with ctypes and needing no Python.h; without a C compiler, encoding does without it, slower.
    ext_modules=[
        Extension(
            "repro_native",
            sorted(map(str, Path("native").glob("*.c"))),  # a level of one kind of processor each
            depends=sorted(map(str, Path("native").glob("*.h"))),
            extra_compile_args=["-O3"],
            optional=True,
            py_limited_api=True,  # names it repro_native.abi3.so, for every Python
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},  # one wheel for 3.11 and every later Python
)
