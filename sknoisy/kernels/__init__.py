"""Kernel machines in closed form, and how what they predict is confused."""
