"""Runs that are to be handed in: checked as the venue does, converted, packed with what describes them."""
