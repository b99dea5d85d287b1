"""Verifies an audit pack or a receipt of daybook, offline and with nothing but Python (3.9 or newer).

    python3 -I verify.py PACK.zip     [--key HEX]...
    python3 -I verify.py RECEIPT.json [--key HEX]...

It proves that each event stands in the log as it was sealed: an event's digest and position are a leaf,
branches lead from the leaf to the root that a seal states, and the statement is signed with Ed25519. It also
compares the whole pack, to the byte, with the checksum and the signature at its end. `--key` says which keys
may have signed; without it the keys are printed, to be compared with those that you were told.

A verifier that comes with what it verifies proves little to somebody who suspects the sender: take this file
from the daybook that you know, or read it; it is short.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import zipfile
from collections.abc import Iterable, Iterator
from typing import IO, Any

FAN_OUT, LEAF, NODE = 16, 40, 32
KEY_BYTES, SIGNATURE_BYTES = 32, 64
SEAL_FORM, RECEIPT_FORM = "daybook-seal-1", "daybook-receipt-1"
SEAL_MEMBERS = ["form", "log", "epoch", "number", "after", "last", "events", "root", "prev", "sealed", "key"]
TRAILER = re.compile(rb"(daybook-pack-1 sha256=([0-9a-f]{64})) key=([0-9a-f]{64}) signature=([0-9a-f]{128})")
TRAILER_BYTES = 14 + 8 + 64 + 5 + 64 + 11 + 128
BLOCK = 1 << 20
LISTED_MAX = 20


class Wrong(Exception):
    """What is verified is not what it says it is."""


def require(holds: bool, what: str) -> None:
    if not holds:
        raise Wrong(what)


# Ed25519, as RFC 8032 defines it. Points are (X, Y, Z, T) with x = X/Z, y = Y/Z, xy = T/Z.

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)
Point = tuple[int, int, int, int]


def added(a: Point, b: Point) -> Point:
    m, n = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    t, z = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = n - m, z - t, z + t, n + m
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(factor: int, point: Point) -> Point:
    total: Point = (0, 1, 1, 0)
    while factor:
        if factor & 1:
            total = added(total, point)
        point = added(point, point)
        factor >>= 1
    return total


def is_same(a: Point, b: Point) -> bool:
    return not (a[0] * b[2] - b[0] * a[2]) % P and not (a[1] * b[2] - b[1] * a[2]) % P


def point_of(encoded: bytes) -> Point | None:
    y = int.from_bytes(encoded, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if (x * x - square) % P or (not x and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


BASE = point_of((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def is_signed(message: bytes, signature: bytes, key: bytes) -> bool:
    """Whether an Ed25519 signature of 64 bytes is by the public key of 32."""
    if len(signature) != SIGNATURE_BYTES or len(key) != KEY_BYTES:
        return False
    public, commitment = point_of(key), point_of(signature[:32])
    scalar = int.from_bytes(signature[32:], "little")
    if public is None or commitment is None or BASE is None or scalar >= ORDER:
        return False
    challenge = hashlib.sha512(signature[:32] + key + message).digest()
    product = times(int.from_bytes(challenge, "little") % ORDER, public)
    return is_same(times(scalar, BASE), added(commitment, product))


# Events and seals


def digest_of(event: dict[str, Any]) -> bytes:
    """SHA-256 over stream, version, name and state, each after its length in four bytes."""
    parts = (
        bytes.fromhex(event["stream"].replace("-", "")),
        event["version"].to_bytes(8, "big", signed=True),
        event["name"].encode(),
        event["state"].encode(),
    )
    return hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).digest()


def root_of(levels: list[dict[int, bytes]], leaves: int) -> bytes:
    """The root that branches over so many leaves lead to."""
    below: dict[int, bytes] = {}
    for depth, hangs in enumerate(levels):
        leaves = -(-leaves // FAN_OUT)
        size = NODE if depth else LEAF
        for number, digest in below.items():
            at = number % FAN_OUT * size
            hung = hangs.get(number // FAN_OUT, b"")
            require(hung[at : at + size] == digest, "a branch does not hang where it should")
        mark = b"\1" if depth else b"\0"
        below = {number: hashlib.sha256(mark + hung).digest() for number, hung in hangs.items()}
    require(leaves == 1 and list(below) == [0], "the branches do not lead to a root")
    return below[0]


class Verification:
    """What is known of one pack or receipt, as far as it was read."""

    def __init__(self, keys: Iterable[str]) -> None:
        self.asked = set(keys)
        self.trusted = set(self.asked)
        self.signers: set[str] = set()
        self.unsigned = 0
        self.seals = 0
        self.digests: dict[int, bytes] = {}
        self.proven: set[int] = set()
        self.heads: dict[str, tuple[int, str]] = {}
        self.last: dict[str, Any] | None = None
        self.last_digest = ""

    def read_event(self, event: dict[str, Any]) -> None:
        position, where = event["position"], f"the event at position {event['position']}"
        digest = digest_of(event)
        require(position not in self.digests, f"{where} is there twice")
        self.digests[position] = digest
        form = json.loads(event["state"])
        version, prev = self.heads.get(event["stream"], (0, ""))
        require(event["version"] == version + 1, f"{where} does not follow version {version} of its stream")
        require(form["meta"].get("prev", "") == prev, f"{where} does not name the event before it")
        self.heads[event["stream"]] = (event["version"], digest.hex())
        if "personal" in event:
            salted = bytes.fromhex(event["salt"]) + event["personal"].encode()
            is_committed = form["data"].get("personal") == hashlib.sha256(salted).hexdigest()
            require(is_committed, f"the personal text of {where} is not the one that was recorded")

    def read_seal(self, proof: dict[str, Any]) -> None:
        statement = proof["statement"]
        seal: dict[str, Any] = json.loads(statement)
        where = f"seal {seal.get('number')}"
        is_whole = list(seal) == SEAL_MEMBERS and json.dumps(seal, separators=(",", ":")) == statement
        require(is_whole and seal["form"] == SEAL_FORM, f"{where} is not in the form {SEAL_FORM}")
        self._check_signature(seal, proof, where)
        if self.last is not None and seal["number"] == self.last["number"] + 1:
            require(seal["prev"] == self.last_digest, f"{where} does not follow the seal before it")
        levels = [{number: bytes.fromhex(hung) for number, hung in level} for level in proof["branches"]]
        root = root_of(levels, seal["events"])
        require(root.hex() == seal["root"], f"{where}: the events do not lead to its root")
        for hung in levels[0].values():
            self._prove(hung, seal, where)
        self.last, self.last_digest = seal, hashlib.sha256(statement.encode()).hexdigest()
        self.seals += 1

    def _prove(self, hung: bytes, seal: dict[str, Any], where: str) -> None:
        for at in range(0, len(hung), LEAF):
            position = int.from_bytes(hung[at : at + 8], "big", signed=True)
            digest = self.digests.get(position)
            if digest is not None and seal["after"] < position <= seal["last"]:
                require(
                    digest == hung[at + 8 : at + LEAF],
                    f"the event at position {position} is not the one that {where} covers",
                )
                self.proven.add(position)

    def _check_signature(self, seal: dict[str, Any], proof: dict[str, Any], where: str) -> None:
        key, statement = seal["key"], proof["statement"].encode()
        if not key:
            require(not self.asked, f"{where} is not signed")
            self.unsigned += 1
            return
        signed = is_signed(statement, bytes.fromhex(proof["signature"]), bytes.fromhex(key))
        require(signed, f"{where} is not signed by the key that it names")
        self.signers.add(key)
        if self.asked and key not in self.trusted:
            before = self.last["key"] if self.last else ""
            vouched = bool(before) and is_signed(
                statement, bytes.fromhex(proof["countersignature"]), bytes.fromhex(before)
            )
            require(vouched, f"{where} is signed by {key}, a key that you did not name")
            self.trusted.add(key)

    def conclude(self) -> None:
        missing = sorted(self.digests.keys() - self.proven)
        listed = ", ".join(map(str, missing[:LISTED_MAX])) + (" and more" if missing[LISTED_MAX:] else "")
        require(not missing, f"no seal covers the events at {listed}")


# Files


def verify_pack(path: str, verification: Verification) -> str:
    """Every byte of the file, then every event in it; answers what is said of the file itself."""
    said = check_trailer(path, verification)
    with zipfile.ZipFile(path) as pack:
        for event in lines(pack.open("events.jsonl")):
            verification.read_event(event)
        for proof in lines(pack.open("seals.jsonl")):
            verification.read_seal(proof)
    verification.conclude()
    return said


def check_trailer(path: str, verification: Verification) -> str:
    """The end of the file tells the checksum of all before it, and who signs for that."""
    with open(path, "rb") as file:  # noqa: PTH123
        left = file.seek(0, 2) - TRAILER_BYTES
        require(left > 0, "too short for a pack")
        file.seek(0)
        whole = hashlib.sha256()
        while left:
            block = file.read(min(left, BLOCK))
            whole.update(block)
            left -= len(block)
        trailer = TRAILER.fullmatch(file.read())
    require(trailer is not None, "its end is not that of a pack")
    assert trailer is not None
    statement, checksum, key, signature = trailer.groups()
    require(whole.hexdigest().encode() == checksum, "its bytes are not those that its checksum is over")
    if not int(key, 16):
        require(not int(signature, 16), "its signature names no key")
        require(not verification.asked, "the pack is not signed")
        return "every byte is as its checksum says; the pack itself is not signed, only its seals"
    signed = is_signed(statement, bytes.fromhex(signature.decode()), bytes.fromhex(key.decode()))
    require(signed, "it is not signed by the key that it names")
    asked = not verification.asked or key.decode() in verification.asked
    require(asked, f"the pack is signed by {key.decode()}, a key that you did not name")
    return f"every byte is as it was signed with the key {key.decode()}"


def lines(file: IO[bytes]) -> Iterator[dict[str, Any]]:
    with file:
        for line in file:
            yield json.loads(line)


def verify_receipt(path: str, verification: Verification) -> str:
    with open(path, encoding="utf-8") as file:  # noqa: PTH123
        receipt = json.load(file)
    require(receipt.get("form") == RECEIPT_FORM, f"not a receipt in the form {RECEIPT_FORM}")
    for event in receipt["events"]:
        verification.read_event(event)
    for proof in receipt["seals"]:
        verification.read_seal(proof)
    verification.conclude()
    return "the receipt holds together"


def verified(path: str, keys: Iterable[str]) -> str:
    """What was proven, in sentences; raises Wrong, or whatever breaks on what is no pack at all."""
    verification = Verification(keys)
    with open(path, "rb") as file:  # noqa: PTH123
        is_pack = file.read(2) == b"PK"
    said = (verify_pack if is_pack else verify_receipt)(path, verification)
    events, streams = len(verification.digests), len(verification.heads)
    told = [
        f"{path}: VERIFIED",
        f"  {said}",
        f"  events that stand in the log as seals cover them: {events}, of {streams} histories",
    ]
    for key in sorted(verification.signers):
        compared = "you named it" if verification.asked else "compare it with the key that you were told"
        told.append(f"  seals are signed with {key}: {compared}")
    if verification.unsigned:
        told.append(f"  seals without signature, no proof against their maker: {verification.unsigned}")
    return "\n".join(told)


def main(words: list[str]) -> int:
    paths, keys = [], []
    rest = iter(words)
    for word in rest:
        if word == "--key":
            keys.append(next(rest, "").lower())
        else:
            paths.append(word)
    if len(paths) != 1 or paths[0].startswith("-") or not all(re.fullmatch("[0-9a-f]{64}", k) for k in keys):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        print(verified(paths[0], keys))
    except Wrong as wrong:
        print(f"{paths[0]}: NOT VERIFIED: {wrong}")
        return 1
    except Exception as fault:  # whatever it is, it is no pack
        print(f"{paths[0]}: NOT VERIFIED: it cannot be read: {type(fault).__name__}: {fault}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
