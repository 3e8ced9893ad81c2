"""Arrays as arguments of compiled kernels, each checked: a kernel reads and writes memory as it is told."""

import numpy as np

INT8, UINT8, INT32, INT64 = (np.dtype(name) for name in ("int8", "uint8", "int32", "int64"))
FLOAT, DOUBLE = np.dtype("float32"), np.dtype("float64")
UNSIGNED: dict[np.dtype, np.dtype] = {INT32: np.dtype("uint32"), INT64: np.dtype("uint64")}


def address(name: str, array: np.ndarray, dtype: np.dtype, shape: tuple[int, ...]) -> int:
    """Return where the numbers of ``array`` lie; ValueError unless it is what the kernel takes it for."""
    if array.dtype != dtype or array.shape != shape or not array.flags.c_contiguous:
        raise ValueError(f"{name}: expected contiguous {dtype} of shape {shape}, got {describe(array)}")
    return array.ctypes.data


def address_of_output(name: str, array: np.ndarray, shape: tuple[int, ...]) -> int:
    """The same of float32 numbers that the kernel writes."""
    if not array.flags.writeable:
        raise ValueError(f"{name}: expected an array that can be written")
    return address(name, array, FLOAT, shape)


def address_of_ids(name: str, ids: np.ndarray, dtype: np.dtype, shape: tuple[int, ...], count: int) -> int:
    """The same of ids; IndexError unless all of them lie in [0, count)."""
    where = address(name, ids, dtype, shape)
    if ids.size and ids.view(UNSIGNED[dtype]).max() >= count:  # negative ones are the largest
        wrong = ids.min() if ids.min() < 0 else ids.max()
        raise IndexError(f"{name}: {wrong}, but the model has ids from 0 to {count - 1}")
    return where


def multiple(name: str, number: int, unit: int) -> int:
    """Return ``number``; ValueError unless it is a multiple of ``unit``."""
    if number % unit:
        raise ValueError(f"{name}: expected a multiple of {unit}, got {number}")
    return number


def round_up(number: int) -> int:
    """Return the next multiple of 16, as tile.h has it."""
    return -(-number // 16) * 16


def aligned(values: np.ndarray) -> np.ndarray:
    """Copy ``values`` to memory aligned to 64 bytes."""
    buffer = np.empty(values.nbytes + 64, np.uint8)
    start = -buffer.ctypes.data % 64
    copy = buffer[start : start + values.nbytes].view(values.dtype).reshape(values.shape)
    copy[...] = values
    return copy


def describe(array: np.ndarray) -> str:
    """Return an array's layout, number format and shape, for a message."""
    layout = "" if array.flags.c_contiguous else "non-contiguous "
    return f"{layout}{array.dtype} of shape {array.shape}"
