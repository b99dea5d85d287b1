"""Certificates for a test: an authority, and whom it vouches for."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="no openssl to make certificates with"
)


@dataclass(frozen=True, slots=True)
class Authority:
    """Signs what it is asked to, for a day."""

    folder: Path
    name: str = "authority"

    @property
    def certificate(self) -> Path:
        return self.folder / f"{self.name}.pem"

    def found(self) -> Authority:
        said = ("-keyout", f"{self.name}.key", "-out", f"{self.name}.pem", "-subj", f"/CN={self.name}")
        self._openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *said)
        return self

    def vouch(self, common_name: str, *names: str) -> tuple[Path, Path]:
        """The certificate and the key of somebody with these names, such as `DNS:localhost`."""
        key, request, signed = (
            self.folder / f"{self.name}-{common_name}.{end}" for end in ("key", "csr", "pem")
        )
        subject = ("-subj", f"/CN={common_name}")
        self._openssl(
            "req", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(request), *subject
        )
        extensions = self.folder / "extensions"
        extensions.write_text(f"subjectAltName={','.join(names)}" if names else "")
        by = ("-CA", f"{self.name}.pem", "-CAkey", f"{self.name}.key", "-CAcreateserial")
        made = ("-extfile", str(extensions), "-out", str(signed))
        self._openssl("x509", "-req", "-in", str(request), "-days", "1", *by, *made)
        return signed, key

    def credentials(self, pair: tuple[Path, Path] | None = None) -> grpc.ChannelCredentials:
        """What a caller needs to trust those that the authority vouches for, and to show who it is."""
        certificate, key = (path.read_bytes() for path in pair) if pair else (None, None)
        return grpc.ssl_channel_credentials(self.certificate.read_bytes(), key, certificate)

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.folder, capture_output=True, check=True)
