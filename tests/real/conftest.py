"""What is there to test against: a file without its server is not collected, so that nothing is left out silently."""

from __future__ import annotations

import os

_IS_ASKED = os.environ.get("AIWORKER_TEST_REAL") == "1"
_HAS_GITEA = bool(os.environ.get("GITEA_URL") and os.environ.get("GITEA_TOKEN"))
_HAS_CLUSTER = bool(os.environ.get("KUBECONFIG"))
_NEEDS = {
    "test_forge_gitea.py": _HAS_GITEA,
    "test_runtime_kube.py": _HAS_CLUSTER,
    "test_fleet_kube.py": _HAS_CLUSTER,
    "test_story.py": _HAS_GITEA or _HAS_CLUSTER,
}

collect_ignore = [file for file, is_there in _NEEDS.items() if not (_IS_ASKED and is_there)]
