"""Show the key that signs champions, or sign some by hand: `python -m src.signing`."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from src.command_line import Parser, exit_code
from src.errors import ModelFileError

_EXAMPLES = """\
examples:
  python -m src.signing                                            show the key's public part; made if there is none
  python -m src.signing checkpoints/BTCUSDT_autonomous_final.pth   vouch for a champion that is not signed yet"""


def main(arguments: Sequence[str]) -> int:
    """Run the command line; returns the exit code."""
    return exit_code(lambda: _run(_parser().parse_args(arguments)))


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m src.signing",
        description="Show the key that signs champions, or sign some by hand. Where it is used, never on the server.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="model files to sign")
    return parser


def _run(options: argparse.Namespace) -> int:
    from src.signing.signature import public_text, sign, signature_path
    from src.signing.signing_key import VARIABLE, default_key_path, own_key

    key = own_key(os.environ)
    for path in options.files:
        try:
            sign(path, path.read_bytes(), key)
        except OSError as error:
            raise ModelFileError(
                f"{path} cannot be signed ({error.strerror}); name a model file, such as one of checkpoints/"
            ) from error
        print(f"{signature_path(path)} says that you vouch for {path}")
    where = VARIABLE if os.environ.get(VARIABLE, "").strip() else default_key_path(os.environ)
    print(f"key: {where}; keep a copy, and let nobody else have it")
    print("A bot with real orders needs this line in its config/live.yaml:")
    print(f'verification_key: "{public_text(key)}"')
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
