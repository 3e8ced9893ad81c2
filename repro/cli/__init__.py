"""Command lines: their options, how a stage is started, how an error reaches the user."""
