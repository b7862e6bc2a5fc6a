"""A Gitea server whose certificate comes from an authority of one's own: its API, and git over HTTPS."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from common.errors import ProviderUnavailable
from common.providers.forge.gitea import GiteaForge
from tests.doubles.gitea import GiteaDouble
from tests.providers.gitea_fixtures import SHOP, make, server
from tests.tls import make_certificate, tls_in_front_of

pytestmark = pytest.mark.slow

__all__ = ["server"]


@pytest.mark.usefixtures("no_named_certificates")
def test_a_repository_is_made_and_read_where_the_machine_trusts_it(
    server: GiteaDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = make_certificate(tmp_path)
    with tls_in_front_of(urlsplit(server.url).port or 0, own) as port:
        forge = GiteaForge(
            f"https://127.0.0.1:{port}", server.token, mirrors=tmp_path / "mirrors",
            webhook_url="http://x.example.org/hook", webhook_secret="secret", import_allow=(),
        )  # fmt: skip
        with pytest.raises(ProviderUnavailable, match=r"the certificate of 127\.0\.0\.1:[0-9]+ is not trusted"):
            make(forge)
        monkeypatch.setenv("SSL_CERT_FILE", str(own.certificate))

        head = make(forge)

        assert forge.read_head(SHOP, "main") == head
        assert forge.read_file(SHOP, commit=head, path="README.md") is not None
        forge.close()
