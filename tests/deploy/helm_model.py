"""`helm` where there is none: takes the call that the documentation shows, and applies the chart with kubectl.

tests/deploy/test_helm.py compares what it makes of the chart with Helm itself, where Helm is installed.
"""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

import yaml

from tests.deploy.helm_chart import CHART, render


def main(arguments: list[str]) -> str:
    """What was applied. SystemExit(2) for what Helm would not take."""
    parser = argparse.ArgumentParser(prog="helm", allow_abbrev=False)
    commands = parser.add_subparsers(required=True)
    upgrade = commands.add_parser("upgrade", allow_abbrev=False)
    upgrade.add_argument("-i", "--install", action="store_true", required=True)
    upgrade.add_argument("-n", "--namespace", required=True)
    upgrade.add_argument("-f", "--values", type=Path, required=True)
    upgrade.add_argument("release")
    upgrade.add_argument("chart", type=Path)
    asked = parser.parse_args(arguments)
    name = yaml.safe_load((asked.chart / "Chart.yaml").read_text())["name"]
    assert name == yaml.safe_load((CHART / "Chart.yaml").read_text())["name"]
    made = render(yaml.safe_load(asked.values.read_text()), namespace=asked.namespace)
    command = ["kubectl", "apply", "-n", asked.namespace, "-f", "-"]
    return subprocess.run(command, input=made, capture_output=True, text=True, check=True).stdout
