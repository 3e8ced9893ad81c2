"""What ``import repro`` offers beyond encoding: impact indexes, searching them, measuring runs."""
