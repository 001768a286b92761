"""Networks, how they are built, and their features."""
