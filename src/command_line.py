"""What every command line of the project does alike: refuse in one sentence, and end quietly when asked to."""

import argparse
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from src.errors import ConfigError, TraderError


class Parser(argparse.ArgumentParser):
    """Refuses as everything else does: its `ConfigError` is the sentence that is printed."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}; see {self.prog} --help")


def exit_code(
    work: Callable[[], int], interrupted: str = "interrupted", shown: Callable[[TraderError], str] = str
) -> int:
    """Do the work of a command and return its exit code: its own, that of a `TraderError`, or 130 after Ctrl-C.

    Args:
        interrupted: what to say after Ctrl-C.
        shown: how an error is to be put into words.
    """
    try:
        code = work()
        sys.stdout.flush()  # or it would be found out at the very end that nobody reads
        return code
    except TraderError as error:
        print(f"error: {shown(error)}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(interrupted, file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
