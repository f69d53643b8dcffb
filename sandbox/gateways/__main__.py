"""`python -m sandbox.gateways`: say what real gateways still need; silent, with status 0, if nothing is missing."""

import os
import sys

from sandbox.gateways.missing import missing

if __name__ == "__main__":
    sys.exit(missing(os.environ.get("AISIX_BIN")) or 0)
