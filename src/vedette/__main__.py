"""The command `vedette`; `python -m vedette` is the same where it is not on the path.

What it needs is imported here, so that a Ctrl-C in that time is no traceback.
"""

import sys


def main() -> None:
    """Runs the command of `sys.argv`, and exits."""
    try:
        from vedette.cli.main import main as run
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
