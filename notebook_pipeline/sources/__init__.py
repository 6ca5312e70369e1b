"""Where rows come from: files, HTTP APIs, and rejected rows read again."""
