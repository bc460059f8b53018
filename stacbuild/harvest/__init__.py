"""Sources to items of the catalog: one module a kind of store."""
