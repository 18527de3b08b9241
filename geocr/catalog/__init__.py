"""STAC: what runs made as items and collections; finding scenes in catalogues, and fetching what is needed of them."""
