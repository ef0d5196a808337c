"""CompreFace's HTTP interface over our own core, for its users to move by changing a URL.

What differs is in docs/compreface.md. Its routes are not in our OpenAPI description: they are
another interface's, with errors in another form.
"""
