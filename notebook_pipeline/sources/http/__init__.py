"""HTTP APIs: the client, pages, and where pages are stored until they are merged."""
