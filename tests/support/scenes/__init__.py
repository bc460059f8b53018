"""Stand-ins for the STAC APIs that publish scenes, with small rasters behind them."""
