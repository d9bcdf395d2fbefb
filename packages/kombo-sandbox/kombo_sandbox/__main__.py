"""`python -m kombo_sandbox`."""

import sys

from kombo_sandbox.cli import main

sys.exit(main())
