"""The hosts that a confined command may reach through the proxy unless its project says more: package registries."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

REGISTRIES = (
    # Python
    "pypi.org",
    "files.pythonhosted.org",
    "repo.anaconda.com",
    "conda.anaconda.org",
    # JavaScript
    "registry.npmjs.org",
    "registry.yarnpkg.com",
    "repo.yarnpkg.com",
    "npm.jsr.io",
    "jsr.io",
    "nodejs.org",
    # Rust
    "crates.io",
    "index.crates.io",
    "static.crates.io",
    "static.rust-lang.org",
    # Go
    "proxy.golang.org",
    "sum.golang.org",
    "go.dev",
    "dl.google.com",
    # Java, Kotlin, Scala
    "repo.maven.apache.org",
    "repo1.maven.org",
    "plugins.gradle.org",
    "plugins-artifacts.gradle.org",
    "services.gradle.org",
    "downloads.gradle.org",
    # Ruby, PHP, .NET, Elixir, Haskell, Dart, Swift
    "rubygems.org",
    "index.rubygems.org",
    "packagist.org",
    "repo.packagist.org",
    "api.nuget.org",
    "hex.pm",
    "repo.hex.pm",
    "builds.hex.pm",
    "hackage.haskell.org",
    "pub.dev",
    # Debian and Ubuntu packages
    "deb.debian.org",
    "security.debian.org",
    "archive.ubuntu.com",
    "security.ubuntu.com",
    "ports.ubuntu.com",
    # Browsers of Playwright and Cypress
    "cdn.playwright.dev",
    "playwright.download.prss.microsoft.com",
    "download.cypress.io",
)

_VARIABLES = (
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "UV_INDEX_URL",
    "UV_DEFAULT_INDEX",
    "NPM_CONFIG_REGISTRY",
    "npm_config_registry",
    "YARN_NPM_REGISTRY_SERVER",
    "GOPROXY",
)
_FILES = (Path("/etc/pip.conf"), Path("/etc/npmrc"), Path("/etc/xdg/pip/pip.conf"))
_URL = re.compile(r"https?://(?:[^/@\s]*@)?(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+)(:\d+)?")


def own_registries(environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The registries that this machine's administrator configured, as `host` or `host:port`: in the variables of this
    process and in the configuration under /etc, both of which commands see.
    """
    texts = [environ.get(name, "") for name in _VARIABLES]
    for path in _FILES:
        try:
            texts.append(path.read_text(errors="replace"))
        except OSError:
            continue
    return tuple(sorted({host + port for text in texts for host, port in _URL.findall(text)}))
