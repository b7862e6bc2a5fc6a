"""Authorities whose certificates have neither key usage nor key identifiers, as EKS and `openssl req -x509` make them.

Python refuses them by default from 3.13 on, which is the version of the container image.
"""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import urllib3
from urllib3.util import ssl_

from common.providers.runtime.cluster.client import connect
from tests.doubles.kubernetes import ClusterDouble
from tests.tls import Certificate, make_certificate_of_plain_authority, strict


@pytest.fixture(autouse=True)
def strict_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contexts are made as by Python 3.13."""
    monkeypatch.setattr(ssl, "create_default_context", strict(ssl.create_default_context))
    for module in (ssl_, urllib3.connection):
        monkeypatch.setattr(module, "create_urllib3_context", strict(ssl_.create_urllib3_context))


@pytest.fixture
def own(tmp_path: Path, no_named_certificates: None) -> Certificate:
    return make_certificate_of_plain_authority(tmp_path)


def test_a_cluster_with_such_an_authority_answers(own: Certificate, tmp_path: Path) -> None:
    with ClusterDouble() as double, double.secure_kubeconfig(tmp_path, own) as kubeconfig:
        cluster = connect(kubeconfig)
        assert cluster.version()["major"] == "1"
        cluster.close()
