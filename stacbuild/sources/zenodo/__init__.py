"""Records of Zenodo."""
