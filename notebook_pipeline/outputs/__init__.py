"""Output: executed notebooks and pages, stored by key in a folder or on an object store."""
