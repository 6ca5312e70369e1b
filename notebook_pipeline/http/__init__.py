"""Ask servers over HTTP, and take no credential further than it may go."""
