"""``python -m simulators``: the same as the command ``streetwarden-sim``."""

from simulators.cli import main

if __name__ == "__main__":
    main()
