"""A traced detector as AOTInductor compiles it: machine code for one kind of machine."""

import json
import warnings
from pathlib import Path
from typing import Any

from vedette.export.graph import Traced
from vedette.infer.backends.pt2 import METADATA
from vedette.weights.exported import Exported, to_metadata


def write_compiled(traced: Traced, exported: Exported, path: Path) -> None:
    """Writes a package of machine code and weights, and what it says of itself."""
    from torch._inductor import aot_compile
    from torch.export.pt2_archive._package import package_pt2

    given = traced.program.example_inputs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of how the compiler chooses
        graph = traced.program.module(check_guards=False)
        files: Any = aot_compile(graph, (), given[1], options={"aot_inductor.package": True})
        package_pt2(str(path), aoti_files=files, extra_files={METADATA: json.dumps(to_metadata(exported))})
