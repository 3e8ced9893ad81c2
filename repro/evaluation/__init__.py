"""Effectiveness measures, and the significance of differences."""
