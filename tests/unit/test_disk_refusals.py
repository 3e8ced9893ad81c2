"""A disk's refusal is known in whatever a library raises of it, and named by what was written."""

import errno
import os
from pathlib import Path

import pytest

from repro.base.errors import InputError
from repro.base.files import write_text
from repro.base.full_disk import writing


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_words_of_the_system_in_a_message_or_in_its_cause(number):
    direct = RuntimeError(f"write error in x: 3 != 9 ({os.strerror(number)})")
    indirect = InputError("indexing a: cannot complete forceMerge")
    indirect.__cause__ = direct
    for error in (direct, indirect):
        with pytest.raises(OSError, match="a/index") as refused, writing(Path("a/index")):
            raise error
        assert (refused.value.errno, refused.value.filename) == (number, "a/index")


def test_what_a_library_raises_while_it_cleans_up_after_the_refusal():
    full, cleaning = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), RuntimeError("unexpected pos 6400")
    cleaning.__context__ = full  # as torch.save's zip file, closed after a write that failed
    with pytest.raises(OSError, match="a/index"), writing(Path("a/index")):
        raise cleaning
    cleaning.__suppress_context__ = True
    with pytest.raises(RuntimeError, match="unexpected"), writing(Path("a/index")):
        raise cleaning


def test_a_file_that_the_system_names_and_other_errors_stay_as_they_are():
    with pytest.raises(OSError, match="a/b") as refused, writing(Path("a")):
        raise OSError(errno.ENOSPC, "full", "a/b")
    assert refused.value.filename == "a/b"
    with pytest.raises(RuntimeError, match="of another kind"), writing(Path("a")):
        raise RuntimeError("of another kind")
    with pytest.raises(OSError, match="broken"), writing(Path("a")):
        raise OSError(errno.EIO, "broken")


def test_a_file_that_cannot_be_written_is_named(monkeypatch, tmp_path):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"table\.json"):
        write_text(tmp_path / "table.json", "{}")
    assert not list(tmp_path.iterdir())
