"""Read an API page by page, land what came, and notice when rows move."""
