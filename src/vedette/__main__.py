"""`python -m vedette`, where the command `vedette` is not on the path."""

from vedette.cli.main import main

if __name__ == "__main__":
    main()
