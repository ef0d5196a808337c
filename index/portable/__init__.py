"""A collection as one file, to carry it elsewhere: docs/gallery_file.md."""
