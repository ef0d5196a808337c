"""The gallery: records, durable store, search indexes. Knows neither torch nor HTTP."""
