"""Keep what comes out, executed notebooks and pages, by their keys: in a folder or on an object store."""
