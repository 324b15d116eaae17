"""`python -m server` is `spectap`."""

import sys

from server.cli import main

sys.exit(main())
