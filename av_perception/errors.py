"""The one exception that is meant for the user's eyes."""


class UserError(Exception):
    """Something the user can mend: a file, a device, a parameter, a command line.

    The message is one line and says what is wrong and what to do. Commands and nodes print it without a
    traceback and exit with status 2.
    """
