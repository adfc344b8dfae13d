"""Start the worker under the target's interpreter: ``python …/worker SCRATCH``.

The folder is loaded as the package ``_fixer_worker``, so that its module names never shadow the target's.
This file must also parse on interpreters that are too old, to be able to say so.
"""

import importlib
import importlib.util
import os
import sys
from types import ModuleType

OLDEST = (3, 8)


def load_package(folder: str) -> ModuleType:
    """Import the worker as a package of its own, take its folder off the import path, return its `start`."""
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != folder]
    spec = importlib.util.spec_from_file_location(
        "_fixer_worker", os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
    )
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules["_fixer_worker"] = package
    spec.loader.exec_module(package)
    return importlib.import_module("_fixer_worker.start")


if __name__ == "__main__":
    if sys.version_info < OLDEST:
        sys.exit("Python {}.{} is older than 3.8".format(*sys.version_info[:2]))
    load_package(os.path.dirname(os.path.abspath(__file__))).main(sys.argv[1:])
