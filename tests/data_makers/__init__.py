"""Fake data with the real directory structures: small, made by code, no Sentinel data."""
