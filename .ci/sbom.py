"""Print the list of everything that is delivered, as CycloneDX 1.6 (JSON): `make sbom`.

Python packages come from requirements.lock, with the hashes that an installation accepts; the page's modules from
web/static/vendor/VENDOR.md. The same files give the same list, byte for byte.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
import uuid
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
VENDORED = ROOT / "web" / "static" / "vendor" / "VENDOR.md"

_PIN = re.compile(r"(?P<name>[a-z0-9._-]+)(\[[^\]]*\])?==(?P<version>[^\s;\\]+)(\s*;\s*(?P<marker>[^\\]+?))?\s*\\?")


def main() -> None:
    print(json.dumps(bill(), indent=1))


def bill() -> dict[str, Any]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    product = f"pkg:pypi/{project['name']}@{project['version']}"
    packages, users = _packages(LOCK.read_text("utf-8"))
    modules = _modules(VENDORED.read_text("utf-8"))
    text = LOCK.read_bytes() + VENDORED.read_bytes()
    references = {name: package["bom-ref"] for name, package in packages.items()}
    needs: dict[str, list[str]] = {product: [module["bom-ref"] for module in modules]}
    for name, by in users.items():
        for user in by:
            needs.setdefault(product if user == project["name"] else references[user], []).append(references[name])
    everything = [*packages.values(), *modules]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, hashlib.sha256(text).hexdigest())}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application", "bom-ref": product, "name": project["name"], "version": project["version"],
                "description": project["description"], "purl": product,
            },
        },
        "components": everything,
        "dependencies": [
            {"ref": reference, "dependsOn": sorted(needs.get(reference, []))}
            for reference in [product, *(one["bom-ref"] for one in everything)]
        ],
    }  # fmt: skip


def _packages(lock: str) -> tuple[dict[str, dict[str, Any]], dict[str, list[str]]]:
    """The components by name, and which packages need each."""
    found: dict[str, dict[str, Any]] = {}
    users: dict[str, list[str]] = {}
    name = ""
    for line in lock.splitlines():
        pin = _PIN.fullmatch(line)
        if pin is not None:
            name, version = pin["name"].lower(), pin["version"]
            purl = f"pkg:pypi/{name}@{version}"
            found[name] = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
            if pin["marker"]:
                found[name]["properties"] = [{"name": "aiworker:marker", "value": pin["marker"].strip()}]
            place = f"https://pypi.org/project/{name}/{version}/"
            found[name]["externalReferences"] = [{"type": "distribution", "url": place, "hashes": []}]
            users[name] = []
        elif "--hash=" in line:
            algorithm, value = line.strip().removesuffix("\\").strip().removeprefix("--hash=").split(":")
            assert algorithm == "sha256"
            found[name]["externalReferences"][0]["hashes"].append({"alg": "SHA-256", "content": value})
        elif line.startswith("    #") and name:
            user = line.strip("# ").removeprefix("via").strip().split(" ")[0].split("[")[0]
            if user:
                users[name].append(user)
    return found, users


def _modules(text: str) -> list[dict[str, Any]]:
    """The packages of npm of which the page uses files, with these files."""
    found: dict[str, dict[str, Any]] = {}
    for line in text.splitlines():
        cells = [cell.strip().strip("`") for cell in line.strip("| ").split("|")]
        if len(cells) != 5 or not re.fullmatch("[0-9a-f]{64}", cells[4]):
            continue
        name, version, licence, file, digest = cells
        purl = f"pkg:npm/{name.replace('@', '%40')}@{version}"
        group, _, short = name.rpartition("/")
        module = found.setdefault(purl, {
            "type": "library", "bom-ref": purl, **({"group": group} if group else {}), "name": short,
            "version": version, "purl": purl, "licenses": [{"expression": licence}],
            "components": [],
        })  # fmt: skip
        place = f"web/static/vendor/{file}"
        hashes = [{"alg": "SHA-256", "content": digest}]
        module["components"].append({"type": "file", "bom-ref": place, "name": place, "hashes": hashes})
    return list(found.values())


if __name__ == "__main__":
    main()
