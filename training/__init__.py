"""Offline: from labelled images to a bundle. Imports neither the gallery nor the service."""
