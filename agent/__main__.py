"""`python -m agent` is `spectap-agent`."""

import sys

from agent.cli import main

sys.exit(main())
