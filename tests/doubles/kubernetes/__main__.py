"""`python -m tests.doubles.kubernetes --folder DIR [--node simulated|process]`: the double as a program, until it is
told to end.

DIR/kubeconfig says how to reach it. At its end it says what is left on it; exit status 1 where something is.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path

from tests.doubles.kubernetes.cluster import ClusterDouble
from tests.doubles.kubernetes.node import ProcessNode, SimulatedNode


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.doubles.kubernetes")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--node", choices=["simulated", "process"], default="simulated")
    asked = parser.parse_args()
    # Before the threads begin, so that the signals are this one's alone.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
    node = SimulatedNode() if asked.node == "simulated" else ProcessNode()
    with ClusterDouble(speed=20, node=node) as cluster:
        print(f"KUBECONFIG={cluster.kubeconfig(asked.folder)} AIWORKER_KUBE_INGRESS_URL={cluster.url}", flush=True)
        signal.sigwait(_ENDS)
        left = {kind: cluster.names(kind) for kind in ("namespaces", "deployments", "jobs", "pods")}
    print(json.dumps(left), flush=True)
    return int(any(left.values()))


_ENDS = {signal.SIGINT, signal.SIGTERM}

if __name__ == "__main__":
    sys.exit(main())
