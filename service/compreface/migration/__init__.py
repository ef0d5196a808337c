"""Moving over from CompreFace: its photos and whose they are, as ordinary imports.

    with open_source(source, key=None, service=None) as compreface:
        for part in parts(compreface, progress):
            client.import_archive(part.archive, csv=part.csv)
        compreface.findings.words()

`open_source` (source.py) reads a running CompreFace by its URL, or a dump of its database.
`parts` (parts.py) writes zips that POST /v1/imports takes, one at a time, so that neither memory
nor the disk need hold all photos. `Findings` (findings.py) says what came with and what could not:
it is complete after the last part. Whatever does not work raises MigrationError, for people.
"""
