"""What holds for every test."""

import os

from hypothesis import settings

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # the last line of a run is the runner's own

settings.register_profile("daybook", deadline=None)  # machines are shared: no test is timed
settings.load_profile("daybook")
