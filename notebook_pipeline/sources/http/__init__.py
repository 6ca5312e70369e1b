"""Read HTTP APIs: the client, pages, and where pages are kept until they are merged."""
