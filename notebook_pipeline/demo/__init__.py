"""Sample data and the sample API: fictional players, the same on every machine."""
