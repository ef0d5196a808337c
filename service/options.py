"""The words that a request may choose between. A client knows them, too."""

from typing import Literal

PolicyName = Literal["off", "standard", "strict"]
FacePolicy = Literal["single", "largest"]
StoreImage = Literal["none", "crop"]
DuplicateCheck = Literal["off", "warn", "reject"]
Mode = Literal["decide", "investigate"]
LogFormat = Literal["text", "json"]
EmbedderRuntime = Literal["torchscript", "onnxruntime", "openvino"]
FeedbackUse = Literal["use", "ignore"]
