"""`python -m benchmarks.file COUNT > invoices.jsonl`: the measured invoice, often, each under a key.

`python -m benchmarks.file --reference-data > reference.yaml` is what they rest on.
"""

from __future__ import annotations

import json
import sys

from google.protobuf.json_format import MessageToDict

from .invoice import REFERENCE_DATA, request


def main(what: str) -> None:
    if what == "--reference-data":
        print(json.dumps(MessageToDict(REFERENCE_DATA), indent=2))  # which is YAML as well
        return
    invoice = MessageToDict(request().invoice)
    for number in range(int(what)):
        print(json.dumps({"uniqueIdentifier": f"bench:{number:07}", **invoice}, ensure_ascii=False))


if __name__ == "__main__":
    main(*sys.argv[1:])
