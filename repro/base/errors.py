"""The one error that a user's mistake or an incomplete set-up raises."""


class InputError(Exception):
    """A mistake in the input or the set-up, told in one sentence that names the file, line or record and the cure.

    Every command prints it to stderr without a traceback and ends with exit code 2.
    """
