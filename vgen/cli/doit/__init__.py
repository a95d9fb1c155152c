"""doit's runner on trio, and every touch of doit's private names."""
