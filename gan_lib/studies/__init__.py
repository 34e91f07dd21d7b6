"""What single lessons need, a file each."""
