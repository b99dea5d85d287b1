"""Keys of seals: Ed25519, in PEM files that lie outside of the database.

The first private key of a file signs. Those behind it sign only the first seal of a new key, so that whoever
trusted the old one may trust the new; public keys behind it are merely trusted.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

BLOCK = re.compile(rb"-----BEGIN (PRIVATE|PUBLIC) KEY-----.+?-----END \1 KEY-----", re.DOTALL)
HEX = re.compile(r"[0-9a-f]{64}")


class BadKey(Exception):
    """A key cannot be used; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What a key file holds; public keys are named by their 32 bytes in hex."""

    private: tuple[Ed25519PrivateKey, ...] = ()
    trusted: tuple[str, ...] = ()

    @property
    def current(self) -> str:
        """The key that signs; empty where nothing is signed."""
        return name(self.private[0]) if self.private else ""

    def signed(self, statement: str) -> str:
        return self.private[0].sign(statement.encode()).hex() if self.private else ""

    def countersigned(self, statement: str, by: str) -> str:
        """The signature of the key before; empty where it is not here any more."""
        return next((key.sign(statement.encode()).hex() for key in self.private if name(key) == by), "")


def name(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def is_signed(statement: str, signature: str, key: str) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(
            bytes.fromhex(signature), statement.encode()
        )
    except (InvalidSignature, ValueError):
        return False
    return True


def read(path: Path) -> Keys:
    """The keys of a file; raises BadKey."""
    try:
        blocks = [(found[1], found[0]) for found in BLOCK.finditer(path.read_bytes())]
        private = [load_pem_private_key(block, None) for kind, block in blocks if kind == b"PRIVATE"]
        public = [load_pem_public_key(block) for kind, block in blocks if kind == b"PUBLIC"]
    except OSError as fault:
        raise BadKey(f"{path}: {fault.strerror}") from fault
    except (ValueError, TypeError, UnsupportedAlgorithm) as fault:
        raise BadKey(f"{path}: no key that can be read: {fault}") from fault
    ours = tuple(key for key in private if isinstance(key, Ed25519PrivateKey))
    theirs = [key.public_bytes_raw().hex() for key in public if isinstance(key, Ed25519PublicKey)]
    if not blocks or len(ours) + len(theirs) != len(blocks):
        raise BadKey(f"{path}: holds no Ed25519 key in PEM, or others beside; see daybook seal-key")
    return Keys(ours, tuple(dict.fromkeys([*map(name, ours), *theirs])))


def named(words: Iterable[str]) -> tuple[str, ...]:
    """The public keys that are said: in hex, or by a file that holds keys."""
    found: list[str] = []
    for word in words:
        found += [word] if HEX.fullmatch(word) else read(Path(word)).trusted
    return tuple(dict.fromkeys(found))


def make(path: Path) -> str:
    """Write a new private key where nothing is yet, for its owner's eyes only; answers its name."""
    key = Ed25519PrivateKey.generate()
    _write_new(path, [_pem(key)])
    return name(key)


def rotate(path: Path) -> str:
    """Put a new key before those of a file; the one before will countersign its first seal."""
    _with_private(path)
    key = Ed25519PrivateKey.generate()
    _replace(path, [_pem(key), path.read_bytes()])
    return name(key)


def retire(path: Path) -> Sequence[str]:
    """Keep only the public half of the keys that sign no more; answers their names."""
    keys = _with_private(path)
    old = [name for name in keys.trusted if name != keys.current]
    _replace(path, [_pem(keys.private[0]), *map(_public_pem, old)])
    return old


def _with_private(path: Path) -> Keys:
    keys = read(path)
    if not keys.private:
        raise BadKey(f"{path}: holds no private key")
    return keys


def _pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _public_pem(key: str) -> bytes:
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _write_new(path: Path, blocks: Sequence[bytes]) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as fault:
        raise BadKey(f"{path}: {fault.strerror}") from fault
    with os.fdopen(descriptor, "wb") as file:
        file.writelines(blocks)
        file.flush()
        os.fsync(file.fileno())


def _replace(path: Path, blocks: Sequence[bytes]) -> None:
    """All or nothing: a key that is lost cannot be had again."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    _write_new(fresh, blocks)
    fresh.replace(path)
