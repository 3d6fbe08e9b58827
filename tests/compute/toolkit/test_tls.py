"""Contexts are made once, and again where the roots have changed."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import trustme

from floe_monitor.compute import ComputeConfigurationError
from floe_monitor.compute.toolkit.tls import roots_version, tls_context

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file(tmp_path: Path, authority: trustme.CA) -> None:
    roots = tmp_path / "roots.pem"
    authority.cert_pem.write_to_path(roots)
    context = tls_context(roots)
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert len(context.get_ca_certs()) == 1
    assert tls_context(str(roots)) is context
    trustme.CA().cert_pem.write_to_path(roots, append=True)
    assert len(tls_context(roots).get_ca_certs()) == 2


def test_a_directory(tmp_path: Path) -> None:
    context = tls_context(tmp_path)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert tls_context(tmp_path) is context


def test_the_systems(tmp_path: Path, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> None:
    context = tls_context()
    assert tls_context() is context
    roots = tmp_path / "roots.pem"
    authority.cert_pem.write_to_path(roots)
    monkeypatch.setenv("SSL_CERT_FILE", str(roots))
    assert tls_context() is not context
    assert len(tls_context().get_ca_certs()) == 1


def test_anybody() -> None:
    context = tls_context("/nowhere", verify=False)
    assert context.verify_mode is ssl.CERT_NONE
    assert not context.check_hostname
    assert tls_context(verify=False) is context


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ComputeConfigurationError, match=rf"roots in {tmp_path}/none: No such file"):
        tls_context(tmp_path / "none")
    (tmp_path / "empty").touch()
    with pytest.raises(ComputeConfigurationError, match=rf"roots in {tmp_path}/empty: it holds no cert"):
        tls_context(tmp_path / "empty")
    (tmp_path / "text").write_text("-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n")
    with pytest.raises(ComputeConfigurationError, match=rf"roots in {tmp_path}/text: it holds no cert"):
        tls_context(tmp_path / "text")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ComputeConfigurationError, match=rf"roots in {tmp_path}/pipe: no file"):
        tls_context(tmp_path / "pipe")
    with pytest.raises(ComputeConfigurationError, match="no path"):
        roots_version("\0")


@pytest.mark.skipif(os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root may read everything")
@pytest.mark.process
def test_what_may_not_be_read_is_named(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    code = (
        "import sys\n"
        "from floe_monitor.compute import ComputeConfigurationError\n"
        "from floe_monitor.compute.toolkit.tls import tls_context\n"
        "try:\n"
        "    tls_context(sys.argv[1])\n"
        "except ComputeConfigurationError as error:\n"
        "    print(error)\n"
    )
    command = [sys.executable, "-c", code, str(closed)]
    if os.geteuid() == 0:
        command = ["setpriv", "--inh-caps=-all", "--bounding-set=-all", *command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.stdout == f"cannot read the TLS roots in {closed}: Permission denied\n", done.stderr


@pytest.mark.process
def test_importing_loads_no_roots() -> None:
    code = (
        "import ssl\n"
        "def fail(*_, **__): raise AssertionError('made at import')\n"
        "ssl.create_default_context = ssl.SSLContext.__new__ = fail\n"
        "import floe_monitor.compute.toolkit.http_client\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=50)
