"""What holds for every test: figures are drawn without a screen."""

import os

os.environ.setdefault("MPLBACKEND", "Agg")
