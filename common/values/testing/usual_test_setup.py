"""Files that usually define how tests run, as patterns of `.gitignore`: what new projects begin with.

Of package.json, pyproject.toml and the like, only the parts that do. Left out is what honest work changes with its
dependencies, such as pom.xml, Cargo.toml and pnpm-workspace.yaml.
"""

from __future__ import annotations

USUAL_TEST_SETUP = [
    "Makefile", "makefile", "GNUmakefile", "justfile", "Justfile", ".justfile", "Taskfile.*", "taskfile.*",
    "Rakefile", "rakefile", "Rakefile.rb", "rakefile.rb", "tox.ini", "tox.toml", "noxfile.py",
    "pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "pyproject.toml", "setup.cfg", ".coveragerc",
    "package.json", "deno.json", "deno.jsonc", "composer.json", "bunfig.toml",
    ".npmrc", ".yarnrc", ".yarnrc.yml", ".yarn/releases/", ".yarn/plugins/",
    ".mocharc.*", "jest.config.*", "vitest.config.*", "vitest.workspace.*", "vite.config.*", "ava.config.*",
    "karma.conf.*", "playwright.config.*", "cypress.config.*", ".taprc", "phpunit.xml", "phpunit.xml.dist",
    "phpunit.dist.xml", ".rspec", ".config/nextest.toml", ".cargo/config", ".cargo/config.toml", ".mvn/",
    ".gitlab-ci.yml", ".github/workflows/", ".gitea/workflows/", ".forgejo/workflows/",
]  # fmt: skip
"""A runner's other names of its file are here too: one that is read first would take the place of the base's."""
