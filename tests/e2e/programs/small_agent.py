"""`spectap-agent` with tables small enough to fill: SMALL_AGENT has JSON of the fields of Sizes and
Limits.
"""

from __future__ import annotations

import json
import os
import sys
from functools import partial

from agent.cli import main
from agent.commands import run
from agent.probes.programs import Sizes
from agent.streams.table import Limits

sizes, limits = json.loads(os.environ["SMALL_AGENT"])
vars(run).update(Sizes=partial(Sizes, **sizes), Limits=partial(Limits, **limits))
sys.exit(main())
