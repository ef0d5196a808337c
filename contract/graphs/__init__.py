"""A bundle's model as an ONNX graph, for runtimes other than torch."""
