"""The compiled kernels of ``native/`` as functions of NumPy arrays: all of a level."""

from repro.compiled.head_kernels import HeadKernels
from repro.compiled.layer_kernels import LayerKernels


class Kernels(HeadKernels, LayerKernels):
    """The kernels of a loaded ``library`` for one ``level``. AttributeError if it lacks one."""
