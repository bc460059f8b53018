"""Stand-ins for Zenodo, CLMS and S3: real servers on loopback, real layouts, known values."""
