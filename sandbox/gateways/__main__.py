"""Say what is missing before real gateways can run: `python -m sandbox.gateways`; silent, and 0, where nothing is."""

import os
import sys

from sandbox.gateways.missing import missing

if __name__ == "__main__":
    sys.exit(missing(os.environ.get("AISIX_BIN")) or 0)
