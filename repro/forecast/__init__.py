"""What a table will take on this machine (time, memory, disk), from a calibration of some seconds."""
