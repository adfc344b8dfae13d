"""The verification worker: runs under the target project's interpreter, standard library and torch only."""
