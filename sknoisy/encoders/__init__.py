"""Encoders: how they are built, initialised and loaded, and their features."""
