"""The only training loops."""
