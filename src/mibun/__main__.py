"""`python -m mibun` is the command `mibun`."""

import sys

from mibun.cli import main

if __name__ == "__main__":
    sys.exit(main())
