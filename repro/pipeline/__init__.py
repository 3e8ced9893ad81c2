"""What the stages do, from typed options to artifacts; each module is a command's library."""
