"""The fuzz targets are scripts that import their neighbours by name; so do the tests here."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
