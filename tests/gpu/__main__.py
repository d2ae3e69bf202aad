"""Check every task on a device: ``python -m tests.gpu``. It needs no pytest."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.append(str(Path(__file__).parent / "without_jaxtyping"))  # only if it is not installed

from gpu.suite import main

sys.exit(main())
