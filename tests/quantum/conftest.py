"""The tests of this folder import its own `states`."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent))
