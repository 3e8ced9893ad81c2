"""What everything else stands on: errors, files, progress. Imports nothing of the package."""
