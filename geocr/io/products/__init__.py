"""Sentinel-2 products as users download them: SAFE folders and zips, the layout on AWS, STAC items, folders of band files."""
