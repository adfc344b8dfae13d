"""# wrong rewrites

Rules that exist only for tests of verification, as a third party's plug-in: they find what ours find and
fix it wrongly, in ways that parse, import and mostly run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from fixer.edits import Edit, EditSet
from fixer.facts import File, Project
from fixer.rule import Finding
from fixer_codemods.module_backward import ModuleBackward
from fixer_codemods.projection_in_forward import ProjectionInForward
from fixer_codemods.tensor_assigned_to_parameter import TensorAssignedToParameter


class Wrong:
    """Replaces `right` by `wrong` in the new text of every fix, and `old` by `new` in the file besides."""

    right = wrong = ""
    old = new = ""

    def check(self: Any, file: File, project: Project) -> Iterator[Finding]:
        for finding in super().check(file, project):  # type: ignore[misc]
            fixes = [dataclasses.replace(fix, edits=self._spoilt(file, fix.edits)) for fix in finding.fixes]
            yield dataclasses.replace(finding, fixes=tuple(fixes))

    def _spoilt(self, file: File, edits: EditSet) -> EditSet:
        spoilt = {
            path: [Edit(edit.start, edit.end, edit.text.replace(self.right, self.wrong)) for edit in own]
            for path, own in edits.files.items()
        }
        assert not self.right or sum(self.right in edit.text for _, edit in edits) == 1
        if self.old:
            start = file.source.data.index(self.old.encode())
            spoilt[file.path].append(Edit(start, start + len(self.old), self.new))
        return EditSet({path: tuple(sorted(own)) for path, own in spoilt.items()})


class HalfTheRange(Wrong, ProjectionInForward):
    code, name, summary = "WRG101", "half-the-range", "Clamps to half the range"
    right, wrong = "clamp_(self.lo, self.hi)", "clamp_(self.lo, self.hi / 2)"


class NoHook(Wrong, ProjectionInForward):
    code, name, summary = "WRG102", "no-hook", "Leaves the optimizer without the hook"
    right, wrong = "optimizer.register_step_post_hook(gate.project_parameters)", "pass"


class NoCall(Wrong, ProjectionInForward):
    code, name, summary = "WRG103", "no-call", "Leaves the constructor without the call"
    right, wrong = "self.project_parameters()\n", "pass\n"


class Detached(Wrong, ModuleBackward):
    code, name, summary = "WRG301", "detached", "Cuts the graph of an activation"
    old, new = "torch.relu(x)", "torch.relu(x).detach()"


class Needed(Wrong, ModuleBackward):
    code, name, summary = "WRG302", "needed", "Deletes a method that `forward` needs"
    old, new = "    def scale(self, x):\n        return x * self.gain\n", ""


class WrongParameter(Wrong, TensorAssignedToParameter):
    code, name, summary = "WRG201", "wrong-parameter", "Copies into another parameter"
    right, wrong = "", ""
    old, new = "self.first.weight", "self.second.weight"
