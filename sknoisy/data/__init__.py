"""What X and y may be, and how batches of them reach a device."""
