"""What the stages do, from typed options to artifacts; each module is the library of the command of that name."""
