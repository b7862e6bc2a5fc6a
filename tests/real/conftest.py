"""What is there to test against: a file without its server is not collected, so that nothing is left out silently."""

from __future__ import annotations

import os

_IS_ASKED = os.environ.get("AIWORKER_TEST_REAL") == "1"
_NEEDS = {"test_forge_gitea.py": ("GITEA_URL", "GITEA_TOKEN"), "test_runtime_kube.py": ("KUBECONFIG",)}

collect_ignore = [
    file for file, names in _NEEDS.items() if not _IS_ASKED or not all(os.environ.get(name) for name in names)
]
