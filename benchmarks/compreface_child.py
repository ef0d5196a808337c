"""CompreFace's SDK in a process of its own: calls come as lines of JSON, answers go as such lines.

Runs in the SDK's environment, which has nothing of ours.
"""

import base64
import hashlib
import importlib.metadata
import json
import sys

from compreface.service import DetectionService, RecognitionService, VerificationService


def changed_files():
    """Files of the installed SDK that are not as its wheel had them."""
    changed = []
    for path in importlib.metadata.distribution("compreface-sdk").files:
        if path.hash is not None:
            digest = hashlib.new(path.hash.mode, path.locate().read_bytes()).digest()
            if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != path.hash.value:
                changed.append(str(path))
    return changed


def main(domain, port):
    """Answer until there are no more calls: {"key", "of", "method", "arguments"}."""
    sys.stdout.write(json.dumps({"changed": changed_files()}) + "\n")
    sys.stdout.flush()
    for line in sys.stdin:
        call = json.loads(line)
        recognition = RecognitionService(call["key"], domain, port)
        of = {
            "recognition": recognition,
            "faces": recognition.get_face_collection(),
            "subjects": recognition.get_subjects(),
            "verification": VerificationService(call["key"], domain, port),
            "detection": DetectionService(call["key"], domain, port),
        }[call["of"]]
        answer = getattr(of, call["method"])(**call["arguments"])
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
